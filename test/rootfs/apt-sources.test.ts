import test from 'ava'
import {
  formatSource,
  parseDeb822Sources,
  parseOneLineSources,
} from '../../src/rootfs/apt-sources.ts'

test('a stanza gives its mirrors, suites, components and options', t => {
  const sources = parseDeb822Sources(`# the distribution
Types: deb deb-src
URIs: http://a.example.org/debian http://b.example.org/debian
Suites: bookworm bookworm-updates
Components: main contrib
Architectures: amd64, arm64
Signed-By: /usr/share/keyrings/a.gpg
By-Hash: no
X-Note: ignored
`)
  t.deepEqual(sources, [
    {
      uris: ['http://a.example.org/debian', 'http://b.example.org/debian'],
      suites: ['bookworm', 'bookworm-updates'],
      components: ['main', 'contrib'],
      architectures: ['amd64', 'arm64'],
      signedBy: { kind: 'references', values: ['/usr/share/keyrings/a.gpg'] },
      options: { 'By-Hash': 'no' },
    },
  ])
})

test('disabled stanzas, source packages and disks are left out', t => {
  const common = 'URIs: http://a.example.org/\nSuites: x\nComponents: main\n'
  t.deepEqual(parseDeb822Sources(`Enabled: no\nTypes: deb\n${common}`), [])
  t.deepEqual(parseDeb822Sources(`Types: deb-src\n${common}`), [])
  t.deepEqual(parseOneLineSources('deb cdrom:[Debian_12]/ bookworm main\n#deb http://a b c\n'), [])
  t.deepEqual(parseOneLineSources('deb-src http://a.example.org/ x main\n'), [])
})

test('a key written in place keeps its lines', t => {
  const [source] = parseDeb822Sources(`Types: deb
URIs: http://a.example.org/
Suites: ./
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEZ
 -----END PGP PUBLIC KEY BLOCK-----
`)
  t.deepEqual(source?.signedBy, {
    kind: 'inline',
    armored: '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n',
  })
})

test('one line gives the same as a stanza', t => {
  const [source] = parseOneLineSources(
    '  deb [arch=amd64,i386 signed-by=/k.gpg trusted=yes check-valid-until=no lang=de] http://a.example.org/x  stable  main contrib # why\n',
  )
  t.deepEqual(source, {
    uris: ['http://a.example.org/x'],
    suites: ['stable'],
    components: ['main', 'contrib'],
    architectures: ['amd64', 'i386'],
    signedBy: { kind: 'references', values: ['/k.gpg'] },
    options: { 'Check-Valid-Until': 'no', Trusted: 'yes' },
  })
})

test('a written source reads back as it was', t => {
  const source = {
    uris: ['http://a.example.org/'],
    suites: ['noble'],
    components: ['main', 'universe'],
    architectures: [],
    signedBy: { kind: 'references', values: ['/k.gpg', 'ABCDEF'] },
    options: { 'By-Hash': 'force' },
  } as const
  t.deepEqual(parseDeb822Sources(formatSource(source)), [source])
})
