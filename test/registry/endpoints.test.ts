import test from 'ava'
import { parseReference } from '../../src/oci/reference.ts'
import { endpointsOf } from '../../src/registry/endpoints.ts'
import { emptyConf, parseRegistriesConf } from '../../src/registry/registries-conf.ts'

const placesOf = async (name: string, conf = ''): Promise<string[]> => {
  const parsed = await parseRegistriesConf(conf, 'registries.conf')
  return endpointsOf(parseReference(name), parsed).forPulls.map(
    ({ host, repository, insecure, pulls }) =>
      `${host}/${repository}${insecure ? ' insecure' : ''}${pulls === 'all' ? '' : ` ${pulls}`}`,
  )
}

const cases = [
  {
    title: "Docker Hub's API has another host",
    name: 'debian',
    conf: '',
    want: ['registry-1.docker.io/library/debian'],
  },
  {
    title: 'mirrors come before the registry, in their order',
    name: 'debian:12',
    conf: `
      [[registry]]
      prefix = "docker.io"
      location = "docker.io"
      [[registry.mirror]]
      location = "one.example.org/hub"
      [[registry.mirror]]
      location = "two.example.org"
      insecure = true`,
    want: [
      'one.example.org/hub/library/debian',
      'two.example.org/library/debian insecure',
      'registry-1.docker.io/library/debian',
    ],
  },
  {
    title: 'the longest prefix wins, and ends where a word ends',
    name: 'example.org/team/app',
    conf: `
      [[registry]]
      location = "example.org"
      insecure = true
      [[registry]]
      prefix = "example.org/team"
      location = "other.example.org/moved"
      [[registry]]
      prefix = "example.org/te"
      blocked = true`,
    want: ['other.example.org/moved/app'],
  },
  {
    title: 'a star stands for subdomains',
    name: 'a.b.example.org/app',
    conf: '[[registry]]\nprefix = "*.example.org"\nlocation = "mirror.test/all"',
    want: ['mirror.test/all/app'],
  },
  {
    title: 'a star does not stand for the domain itself',
    name: 'example.org/app',
    conf: '[[registry]]\nprefix = "*.example.org"\nblocked = true',
    want: ['example.org/app'],
  },
  {
    title: 'mirrors may be for digests or tags only',
    name: 'example.org/app',
    conf: `
      [[registry]]
      location = "example.org"
      mirror-by-digest-only = true
      [[registry.mirror]]
      location = "one.test"
      [[registry.mirror]]
      location = "two.test"
      pull-from-mirror = "tag-only"`,
    want: ['one.test/app digest-only', 'two.test/app tag-only', 'example.org/app'],
  },
]

for (const { title, name, conf, want } of cases)
  test(title, async t => t.deepEqual(await placesOf(name, conf), want))

test('a blocked name is refused with the entry that blocks it', async t => {
  const conf = '[[registry]]\nlocation = "example.org/private"\nblocked = true'
  await t.throwsAsync(placesOf('example.org/private/app', conf), {
    code: 'REGISTRY_DENIED',
    message: /example\.org\/private/,
  })
  t.deepEqual(await placesOf('example.org/privateer', conf), ['example.org/privateer'])
})

const broken = [
  { title: 'no TOML', text: 'registry = [', message: /registries\.conf/ },
  {
    title: 'a location with a scheme',
    text: '[[registry]]\nlocation = "https://example.org"',
    message: /without https/,
  },
  {
    title: 'a location that climbs',
    text: '[[registry]]\nlocation = "example.org/../x"',
    message: /host/,
  },
  {
    title: 'an entry without a place',
    text: '[[registry]]\ninsecure = true',
    message: /prefix nor location/,
  },
  {
    title: 'a word for a switch',
    text: '[[registry]]\nlocation = "a.b"\ninsecure = "yes"',
    message: /true or false/,
  },
  {
    title: 'an unknown kind of pull',
    text: '[[registry]]\nlocation = "a.b"\n[[registry.mirror]]\nlocation = "c.d"\npull-from-mirror = "some"',
    message: /tag-only/,
  },
  {
    title: 'version 1',
    text: '[registries.search]\nregistries = ["docker.io"]',
    message: /version 1/,
  },
]

for (const { title, text, message } of broken)
  test(`registries.conf with ${title} is refused`, async t => {
    await t.throwsAsync(parseRegistriesConf(text, 'registries.conf'), { message })
  })

test('aliases and helpers are read, and a file of comments is empty', async t => {
  const conf = await parseRegistriesConf(
    'unqualified-search-registries = ["docker.io"]\ncredential-helpers = ["a", "containers-auth.json"]\n[aliases]\n"fedora" = "registry.example.org/fedora"',
    'x',
  )
  t.is(conf.aliases.get('fedora'), 'registry.example.org/fedora')
  t.deepEqual(conf.credentialHelpers, ['a', 'containers-auth.json'])
  t.deepEqual(await parseRegistriesConf('# nothing\n\n  # here', 'x'), emptyConf)
})

test('plain http is for this machine alone unless it is asked for', t => {
  const allows = (name: string, tlsVerify = true): boolean =>
    endpointsOf(parseReference(name), emptyConf, { tlsVerify }).primary.allowsHttp
  for (const name of ['localhost:5000/a', '127.0.0.1/a', '127.8.9.1:80/a', '[::1]:5000/a'])
    t.true(allows(name), name)
  for (const name of [
    'example.org/a',
    '127.0.0.1.example.org/a',
    'localhost.example.org/a',
    '10.0.0.1/a',
  ])
    t.false(allows(name), name)
  t.true(allows('example.org/a', false))
})
