import test from 'ava'
import {
  parsePrintedUris,
  parseRemovedNames,
  parseSelectedProviders,
  parseSimulation,
} from '../../src/rootfs/apt-solution.ts'

const sum = 'a'.repeat(64)

test('printed addresses give name, version, architecture, size and checksum', t => {
  const stdout = `Reading package lists...
'http://example.org/pool/p/passwd_4.13%2bdfsg1_amd64.deb' passwd_1%3a4.13+dfsg1_amd64.deb 972180 SHA256:${sum}
'file:/srv/repo/a_1_all.deb' a_1_all.deb 10 SHA256:${sum}
'http://example.org/weak_1_all.deb' weak_1_all.deb 10 MD5Sum:00
'http://example.org/none_1_all.deb' none_1_all.deb 10${' '}
`
  t.deepEqual(parsePrintedUris(stdout), [
    {
      name: 'passwd',
      version: '1:4.13+dfsg1',
      architecture: 'amd64',
      url: 'http://example.org/pool/p/passwd_4.13%2bdfsg1_amd64.deb',
      sizeBytes: 972180,
      sha256: sum,
    },
    {
      name: 'a',
      version: '1',
      architecture: 'all',
      url: 'file:/srv/repo/a_1_all.deb',
      sizeBytes: 10,
      sha256: sum,
    },
    {
      name: 'none',
      version: '1',
      architecture: 'all',
      url: 'http://example.org/none_1_all.deb',
      sizeBytes: 10,
      sha256: undefined,
    },
  ])
})

test('removals, providers and the order of a simulation are read', t => {
  const stdout = `Note, selecting 'mawk' instead of 'awk'
The following packages will be REMOVED:
  exim4 exim4-base*
  bsd-mailx
The following NEW packages will be installed:
  postfix
Remv exim4 [4.96] [bsd-mailx:amd64 ]
Purg exim4-base [4.96]
Inst libc6:i386 (2.36 Debian:12 [i386])
Inst postfix (3.7 Debian:12 [amd64])
Conf libc6:i386 (2.36 Debian:12 [i386])
`
  t.deepEqual(parseRemovedNames(stdout), ['exim4', 'exim4-base', 'bsd-mailx'])
  t.deepEqual([...parseSelectedProviders(stdout)], [['awk', 'mawk']])
  t.deepEqual(parseSimulation(stdout), [
    { kind: 'remove', name: 'exim4' },
    { kind: 'purge', name: 'exim4-base' },
    { kind: 'unpack', name: 'libc6:i386' },
    { kind: 'unpack', name: 'postfix' },
    { kind: 'configure', name: 'libc6:i386' },
  ])
  t.deepEqual(parseRemovedNames('nothing'), [])
})
