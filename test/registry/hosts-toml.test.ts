// containerd's hosts.toml: what it says, and that it is followed.

import { mkdirSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { parseReference } from '../../src/oci/reference.ts'
import { endpointsOf } from '../../src/registry/endpoints.ts'
import { parseHostsFile } from '../../src/registry/hosts-toml.ts'
import { emptyConf, parseRegistriesConf } from '../../src/registry/registries-conf.ts'
import { serveRegistry } from '../helpers/registry-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { giveImage, quickRegistries } from './small-registry.ts'

const endpointTexts = async (
  name: string,
  files: Readonly<Record<string, string>>,
  conf = '',
): Promise<string[]> => {
  const hosts = new Map()
  for (const [registry, text] of Object.entries(files))
    hosts.set(registry, await parseHostsFile(text, `/c/${registry}/hosts.toml`))
  const parsed = conf === '' ? emptyConf : await parseRegistriesConf(conf, 'registries.conf')
  const { forPulls } = endpointsOf(parseReference(name), parsed, { hosts })
  return forPulls.map(({ host, apiRoot, repository, pulls, insecure, allowsHttp, namespace }) =>
    [
      `${host}${apiRoot}/${repository}`,
      ...(pulls === 'all' ? [] : [pulls]),
      ...(insecure ? ['insecure'] : []),
      ...(allowsHttp ? ['http'] : []),
      ...(namespace === undefined ? [] : [`ns=${namespace}`]),
    ].join(' '),
  )
}

const cases = [
  {
    title: 'a mirror before the registry',
    name: 'debian',
    files: { 'docker.io': '[host."https://mirror.example.org"]' },
    want: [
      'mirror.example.org/v2/library/debian ns=docker.io',
      'registry-1.docker.io/v2/library/debian',
    ],
  },
  {
    title: 'a server in place of the registry',
    name: 'example.org/a',
    files: { 'example.org': 'server = "https://other.example.org:8443"' },
    want: ['other.example.org:8443/v2/a ns=example.org'],
  },
  {
    title: 'capabilities',
    name: 'example.org/a',
    files: {
      'example.org': `
        [host."https://both"]
          capabilities = ["pull", "resolve"]
        [host."https://digests"]
          capabilities = ["pull"]
        [host."https://pushes"]
          capabilities = ["push"]`,
    },
    want: [
      'both/v2/a ns=example.org',
      'digests/v2/a digest-only ns=example.org',
      'example.org/v2/a',
    ],
  },
  {
    title: 'paths, as they are or below /v2',
    name: 'example.org/a',
    files: {
      'example.org': `
        [host."https://one/cache/"]
        [host."https://two/v2/cache"]
          override_path = true`,
    },
    want: ['one/cache/v2/a ns=example.org', 'two/v2/cache/a ns=example.org', 'example.org/v2/a'],
  },
  {
    title: 'plain http and unchecked certificates where it says so',
    name: 'example.org/a',
    files: { 'example.org': '[host."http://plain:80"]\n[host."https://any"]\nskip_verify = true' },
    want: [
      'plain/v2/a http ns=example.org',
      'any/v2/a insecure ns=example.org',
      'example.org/v2/a',
    ],
  },
  {
    title: 'the file of _default for registries without one',
    name: 'example.org/a',
    files: { _default: '[host."https://all"]', 'other.example.org': '' },
    want: ['all/v2/a ns=example.org', 'example.org/v2/a'],
  },
]

for (const { title, name, files, want } of cases)
  test(`hosts.toml: ${title}`, async t => {
    t.deepEqual(await endpointTexts(name, files), want)
  })

test('what registries.conf says of a name counts alone', async t => {
  const conf = '[[registry]]\nlocation = "example.org"\n[[registry.mirror]]\nlocation = "mirror"'
  const files = { 'example.org': '[host."https://other"]' }
  t.deepEqual(await endpointTexts('example.org/a', files, conf), [
    'mirror/v2/a',
    'example.org/v2/a',
  ])
})

const wrong: readonly [string, string, RegExp][] = [
  ['no TOML', '[[', /cannot be read/],
  ['an address of a file', 'server = "file:///etc"', /address of a registry/],
  ['a password in an address', '[host."https://a:b@c"]', /more than a host and a path/],
  [
    'a header with a line break',
    '[host."https://a"]\n[host."https://a".header]\nx = "a\\nb"',
    /ASCII/,
  ],
  ['a number as capability', '[host."https://a"]\ncapabilities = [1]', /capabilities/],
]

for (const [title, text, message] of wrong)
  test(`hosts.toml with ${title} is refused with the file`, async t => {
    const error = await t.throwsAsync(parseHostsFile(text, '/c/x/hosts.toml'), { message })
    t.regex(error?.message ?? '', /\/c\/x\/hosts\.toml/)
  })

test('a mirror is asked first, with its headers, and the registry where it fails', async t => {
  using scratch = makeScratch()
  await using mirror = await serveRegistry()
  await using server = await serveRegistry()
  const { digest } = giveImage(mirror, 'app', { tag: '1' })
  giveImage(server, 'app', { tag: '2', layer: Buffer.from('other') })
  const directory = scratch.at(`containerd/certs.d/${server.host}`)
  mkdirSync(directory, { recursive: true })
  writeFileSync(
    `${directory}/hosts.toml`,
    `[host."${mirror.origin}"]\n[host."${mirror.origin}".header]\nx-asks = ["kauri"]`,
  )
  let asks: unknown
  mirror.intercept = ({ request }) => {
    asks = request.headers['x-asks']
    return false
  }
  const environment = { XDG_CONFIG_HOME: scratch.path }
  await using registries = await quickRegistries({ environment })
  const repository = registries.repository(parseReference(`${server.host}/app`))
  t.is(String((await repository.resolve('1'))?.digest), digest)
  t.is(asks, 'kauri')
  t.true(mirror.log.some(line => line.startsWith(`HEAD /v2/app/manifests/1?ns=127.0.0.1`)))
  t.deepEqual(server.log, [])
  t.truthy(await repository.resolve('2'))
  t.is(server.log.length, 1)
})
