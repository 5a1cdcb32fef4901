import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { dependencyClosure, essentialClosure } from '../../src/rootfs/apt-bootstrap.ts'
import { unpackRounds } from '../../src/rootfs/apt-bootstrap-order.ts'
import { groupActions } from '../../src/rootfs/apt-install-onto.ts'
import type { OpenedDeb } from '../../src/rootfs/deb-unpack.ts'
import { parseStanzas, stanzaOf } from '../../src/rootfs/dpkg-control.ts'
import { statusStanza, triggerFiles } from '../../src/rootfs/dpkg-database.ts'

function deb(text: string, files: Record<string, string> = {}): OpenedDeb {
  const stanza = parseStanzas(text)[0] ?? stanzaOf([])
  const file = (content: string): { content: Buffer; mode: number; mtimeSeconds: number } => ({
    content: Buffer.from(content),
    mode: 0o644,
    mtimeSeconds: 0,
  })
  const member = { file: '', name: '', offset: 0, sizeBytes: 0 }
  return {
    name: stanza.get('Package') ?? '',
    architecture: stanza.get('Architecture') ?? 'amd64',
    version: '1',
    archive: { file: '', control: member, data: member },
    control: {
      stanza,
      control: file(text),
      files: new Map(Object.entries(files).map(([name, content]) => [name, file(content)])),
    },
    rank: 0,
  }
}

const names = (debs: Iterable<OpenedDeb>): string[] =>
  [...debs].map(({ name }) => name).toSorted((a, b) => (a < b ? -1 : 1))

const libc = deb('Package: libc6\nDepends: libgcc\n')
const libgcc = deb('Package: libgcc\n')
const shell = deb('Package: dash\nEssential: yes\nPre-Depends: libc6 (>= 2)\nDepends: awk\n')
const awk = deb('Package: mawk\nProvides: awk\n')
const apt = deb('Package: apt\nDepends: libc6, adduser\n')
const adduser = deb('Package: adduser\nDepends: passwd\n')
const passwd = deb('Package: passwd\nPre-Depends: libpam\n')
const libpam = deb('Package: libpam\n')
const all = [libc, libgcc, shell, awk, apt, adduser, passwd, libpam]

test('what is essential needs what it depends on, by whatever name', t => {
  t.deepEqual(names(essentialClosure(all)), ['dash', 'libc6', 'libgcc', 'mawk'])
  t.deepEqual(names(dependencyClosure(['apt', 'nothing'], all)), [
    'adduser',
    'apt',
    'libc6',
    'libgcc',
    'libpam',
    'passwd',
  ])
})

test('packages are unpacked in rounds, each after what it needs before', t => {
  const needy = deb('Package: needy\nPre-Depends: passwd\n')
  const rounds = unpackRounds([needy, adduser, passwd], {
    all: [...all, needy],
    configured: essentialClosure(all),
  })
  t.deepEqual(
    rounds.map(({ configureFirst, debs }) => [names(configureFirst), names(debs)]),
    [
      [['libpam'], ['adduser', 'passwd']],
      [['passwd'], ['needy']],
    ],
  )
})

test('packages that need one another before unpacking are told', t => {
  const one = deb('Package: one\nPre-Depends: two\n')
  const two = deb('Package: two\nPre-Depends: one\n')
  const error = t.throws(
    () => unpackRounds([one, two], { all: [one, two], configured: new Set() }),
    {
      instanceOf: KauriError,
    },
  )
  t.is(error?.code, 'PACKAGE_CONFLICT')
  t.regex(error?.message ?? '', /one, two/)
})

test('neighbouring actions are one call, and the last configuring is left to the end', t => {
  t.deepEqual(
    groupActions([
      { kind: 'remove', name: 'x' },
      { kind: 'unpack', name: 'a' },
      { kind: 'configure', name: 'a' },
      { kind: 'unpack', name: 'b' },
      { kind: 'unpack', name: 'c' },
      { kind: 'configure', name: 'b' },
      { kind: 'configure', name: 'c' },
    ]),
    [
      { kind: 'remove', names: ['x'] },
      { kind: 'unpack', names: ['a'] },
      { kind: 'configure', names: ['a'] },
      { kind: 'unpack', names: ['b', 'c'] },
    ],
  )
  t.deepEqual(groupActions([]), [])
})

test('the status of an unpacked package is its control file with what dpkg adds', t => {
  const stanza = statusStanza({
    deb: deb('Package: a\nVersion: 1\nDescription: short\n long\n'),
    paths: [],
    files: [],
    conffiles: ['/etc/a', '/etc/b'],
    newestMtimeSeconds: 0,
    collides: false,
  })
  t.is(
    stanza,
    'Package: a\nStatus: install ok unpacked\nVersion: 1\nDescription: short\n long\nConffiles:\n /etc/a newconffile\n /etc/b newconffile\n',
  )
})

test('interests of packages become files of triggers', t => {
  const listeners = [
    deb('Package: a\n', {
      triggers: '# note\ninterest /usr/share/x\ninterest-noawait ldconfig\nactivate y\n',
    }),
    deb('Package: b\nArchitecture: amd64\nMulti-Arch: same\n', {
      triggers: 'interest-noawait /usr/share/x\ninterest-await ldconfig\ninterest ../../escape\n',
    }),
  ]
  const unpacked = listeners.map(one => ({
    deb: one,
    paths: [],
    files: [],
    conffiles: [],
    newestMtimeSeconds: 0,
    collides: false,
  }))
  t.deepEqual(
    [...triggerFiles(unpacked)],
    [
      ['File', '/usr/share/x a\n/usr/share/x b:amd64/noawait\n'],
      ['ldconfig', 'a/noawait\nb:amd64\n'],
    ],
  )
})
