import test from 'ava'
import { type ErrorCode, KauriError } from '../../src/core/errors.ts'
import type { PackageRepository } from '../../src/plan/plan.ts'
import type { AptHost } from '../../src/rootfs/apt-host.ts'
import { expandRepository } from '../../src/rootfs/apt-repositories.ts'
import type { AptSource } from '../../src/rootfs/apt-sources.ts'

const where = { file: 'config.xml', line: 7, column: 3 }

function repository(change: Partial<PackageRepository>): PackageRepository {
  return {
    alias: 'main',
    location: 'http://example.org/debian',
    components: [],
    keys: [],
    checkSignatures: true,
    inImage: 'no',
    where,
    ...change,
  }
}

function source(uri: string, suites: string[], components = ['main']): AptSource {
  return {
    uris: [uri],
    suites,
    components,
    architectures: [],
    signedBy: { kind: 'references', values: [`/keys/${suites[0]}.gpg`] },
    options: {},
  }
}

const host: AptHost = {
  architecture: 'amd64',
  acquire: [],
  netrc: '',
  trustedKeys: ['/trusted/a.gpg'],
  codenames: ['bookworm'],
  sources: [
    source('http://m.example.org/debian', ['bookworm', 'bookworm-updates', 'bookworm-backports']),
    source('http://m.example.org/security', ['bookworm-security']),
    source('http://tools.example.org/apt', ['nodistro']),
    source('http://docker.example.org/apt', ['bookworm'], ['stable']),
  ],
}

function suitesOf(change: Partial<PackageRepository>, on: AptHost = host): string[] {
  const { sources } = expandRepository(repository(change), on)
  return sources.map(({ source: { uris, suites, components } }) =>
    [uris.join(' '), ...suites, ...components].join(' '),
  )
}

test("the host's repositories turn to the distribution asked for, with what follows it", t => {
  const location = 'obsrepositories:/'
  t.deepEqual(suitesOf({ location, distribution: 'trixie', components: ['main', 'contrib'] }), [
    'http://m.example.org/debian trixie main contrib',
    'http://m.example.org/debian trixie-updates main contrib',
    'http://m.example.org/security trixie-security main contrib',
  ])
  t.deepEqual(suitesOf({ location, distribution: 'bookworm', components: ['main'] }), [
    'http://m.example.org/debian bookworm main',
    'http://m.example.org/debian bookworm-updates main',
    'http://m.example.org/security bookworm-security main',
  ])
})

test("without a distribution the host's repositories are taken as they are", t => {
  t.is(suitesOf({ location: 'obsrepositories:///' }).length, 6)
  t.deepEqual(suitesOf({ location: 'obsrepositories:', components: ['stable'] }), [
    'http://m.example.org/debian bookworm stable',
    'http://m.example.org/debian bookworm-updates stable',
    'http://m.example.org/debian bookworm-backports stable',
    'http://m.example.org/security bookworm-security stable',
    'http://tools.example.org/apt nodistro stable',
    'http://docker.example.org/apt bookworm stable',
  ])
})

test('a pocket has no pockets of its own', t => {
  t.deepEqual(suitesOf({ location: 'obsrepositories:/', distribution: 'bookworm-backports' }), [
    'http://m.example.org/debian bookworm-backports main',
    'http://m.example.org/debian bookworm-backports main',
    'http://docker.example.org/apt bookworm-backports stable',
  ])
})

test('a host on a moving suite serves releases, too', t => {
  const moving = { ...host, codenames: [], sources: [source('http://m.example.org/d', ['sid'])] }
  t.deepEqual(suitesOf({ location: 'obsrepositories:/', distribution: 'trixie' }, moving), [
    'http://m.example.org/d trixie main',
  ])
})

test('keys and options of the host come along; switched off checks show', t => {
  const { sources } = expandRepository(
    repository({ location: 'obsrepositories:/', distribution: 'trixie', checkSignatures: false }),
    host,
  )
  t.deepEqual(sources[0]?.source.signedBy, {
    kind: 'references',
    values: ['/keys/bookworm.gpg'],
  })
  t.is(sources[0]?.source.options.Trusted, 'yes')
  t.true(sources[0]?.isOptional)
})

test("keys of the request come on top of the host's trusted ones", t => {
  const [bare = source('', [])] = host.sources
  const trusting = { ...host, sources: [{ ...bare, signedBy: undefined }] }
  const expanded = (keys: string[]): AptSource['signedBy'] =>
    expandRepository(repository({ location: 'obsrepositories:/', keys }), trusting).sources[0]
      ?.source.signedBy
  t.deepEqual(expanded(['file:///k.asc']), { kind: 'references', values: ['/trusted/a.gpg'] })
  t.is(expanded([]), undefined)
})

const refused: {
  title: string
  change: Partial<PackageRepository>
  on?: AptHost
  code: ErrorCode
}[] = [
  {
    title: 'a host without repositories',
    change: { location: 'obsrepositories:/', distribution: 'trixie' },
    on: { ...host, sources: [] },
    code: 'REPOSITORY_INVALID',
  },
  { title: 'an address of another kind', change: { location: 'obs://a/b' }, code: 'UNSUPPORTED' },
  { title: 'a relative path', change: { location: 'repo/here' }, code: 'UNSUPPORTED' },
  { title: 'file with a host', change: { location: 'file://host/x' }, code: 'UNSUPPORTED' },
  {
    title: 'components without distribution',
    change: { components: ['main'] },
    code: 'REPOSITORY_INVALID',
  },
]
for (const { title, change, on, code } of refused)
  test(`refused with its position: ${title}`, t => {
    const error = t.throws(() => expandRepository(repository(change), on ?? host), {
      instanceOf: KauriError,
    })
    t.is(error?.code, code)
    t.is(error?.where, where)
  })

const locations: { location: string; uri: string }[] = [
  { location: 'https://example.org/debian', uri: 'https://example.org/debian' },
  { location: 'dir:///srv/repo', uri: 'file:/srv/repo' },
  { location: 'dir:/srv/repo', uri: 'file:/srv/repo' },
  { location: 'file:///srv/my repo', uri: 'file:/srv/my%20repo' },
  { location: '/srv/repo', uri: 'file:/srv/repo' },
  { location: 'http://me:pw@example.org/x', uri: 'http://example.org/x' },
  { location: 'mirror+https://example.org/list', uri: 'mirror+https://example.org/list' },
]
for (const { location, uri } of locations)
  test(`the address ${location}`, t => {
    const { sources } = expandRepository(repository({ location, distribution: 'x' }), host)
    t.deepEqual(sources[0]?.source.uris, [uri])
    t.deepEqual(sources[0]?.source.components, ['main'])
    t.false(sources[0]?.isOptional)
  })

test('credentials of an address go to the netrc text only', t => {
  const { sources, netrc } = expandRepository(
    repository({ location: 'http://me:s3cret@example.org/x/' }),
    host,
  )
  t.is(netrc, 'machine http://example.org/x/ login me password s3cret\n')
  t.false(JSON.stringify(sources.map(entry => entry.source)).includes('s3cret'))
  t.deepEqual(sources[0]?.source.suites, ['./'])
  t.deepEqual(sources[0]?.source.components, [])
})
