import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { readAuthFile } from '../../src/registry/auth-file.ts'
import { credentialFinder } from '../../src/registry/find-credentials.ts'
import { forgetCredentials, keepCredentials } from '../../src/registry/keep-credentials.ts'
import type { Credentials, RegistryOptions } from '../../src/registry/registry.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

const auth = (text: string): object => ({ auth: Buffer.from(text).toString('base64') })

function place(scratch: Scratch, more: RegistryOptions['environment'] = {}): RegistryOptions {
  const environment = { HOME: scratch.path, PATH: `${scratch.at('bin')}:/usr/bin:/bin`, ...more }
  return { userId: 1000, environment: { XDG_RUNTIME_DIR: scratch.at('run'), ...environment } }
}

function write(scratch: Scratch, file: string, value: unknown): string {
  const target = scratch.at(file)
  mkdirSync(path.dirname(target), { recursive: true })
  writeFileSync(target, typeof value === 'string' ? value : JSON.stringify(value))
  return target
}

/** A helper that knows one registry, and notes what it is told. */
function giveHelper(scratch: Scratch, name: string, answer: string): void {
  const file = write(
    scratch,
    `bin/docker-credential-${name}`,
    `#!/bin/sh\nread -r line\nprintf '%s %s\\n' "$1" "$line" >> "${scratch.at(`${name}.log`)}"\n${answer}\n`,
  )
  chmodSync(file, 0o755)
}

const find = async (options: RegistryOptions, name: string, helpers: readonly string[] = []) => {
  const slash = name.indexOf('/')
  return await credentialFinder(options, helpers).find({
    registry: name.slice(0, slash),
    repository: name.slice(slash + 1),
  })
}

const password = (username: string, word: string): Credentials => ({
  kind: 'password',
  username,
  password: word,
})

const keys = [
  { title: 'a host', key: 'example.org', name: 'example.org/a' },
  { title: 'a host with a port', key: 'example.org:5000', name: 'example.org:5000/a' },
  {
    title: 'an address, as old dockers write it',
    key: 'https://example.org/v1/',
    name: 'example.org/a',
  },
  {
    title: "Docker Hub's old address",
    key: 'https://index.docker.io/v1/',
    name: 'docker.io/library/a',
  },
  { title: "Docker Hub's name", key: 'docker.io', name: 'docker.io/library/a' },
  { title: 'a namespace', key: 'example.org/team', name: 'example.org/team/app' },
  { title: 'a repository', key: 'example.org/team/app', name: 'example.org/team/app' },
]

for (const { title, key, name } of keys)
  test(`credentials are found by ${title}`, async t => {
    using scratch = makeScratch()
    write(scratch, '.docker/config.json', { auths: { [key]: auth('me:se:cret') } })
    t.deepEqual(await find(place(scratch), name), password('me', 'se:cret'))
    t.is(await find(place(scratch), 'other.org/a'), undefined)
    t.is(await find(place(scratch), 'example.orgx/team/app'), undefined)
  })

test('the longest namespace wins, and part of a word is no namespace', async t => {
  using scratch = makeScratch()
  const auths = {
    'example.org': auth('host:1'),
    'example.org/team': auth('team:2'),
    'example.org/team/app': auth('app:3'),
  }
  write(scratch, '.config/containers/auth.json', { auths })
  const options = place(scratch)
  t.deepEqual(await find(options, 'example.org/team/app'), password('app', '3'))
  t.deepEqual(await find(options, 'example.org/team/application'), password('team', '2'))
  t.deepEqual(await find(options, 'example.org/teamwork'), password('host', '1'))
})

test('the files are asked in their order: docker, then containers; one that is named counts alone', async t => {
  using scratch = makeScratch()
  const entry = (word: string): object => ({ auths: { 'example.org': auth(`me:${word}`) } })
  write(scratch, '.config/containers/auth.json', entry('own'))
  t.deepEqual(await find(place(scratch), 'example.org/a'), password('me', 'own'))
  write(scratch, 'run/containers/auth.json', entry('run'))
  t.deepEqual(await find(place(scratch), 'example.org/a'), password('me', 'run'))
  write(scratch, 'docker/config.json', entry('docker'))
  const docker = { DOCKER_CONFIG: scratch.at('docker') }
  t.deepEqual(await find(place(scratch, docker), 'example.org/a'), password('me', 'docker'))
  const named = write(scratch, 'named.json', { auths: {} })
  t.is(
    await find(place(scratch, { ...docker, REGISTRY_AUTH_FILE: named }), 'example.org/a'),
    undefined,
  )
  t.is(await find({ ...place(scratch, docker), authFile: named }, 'example.org/a'), undefined)
})

test('identity and registry tokens, padded and split passwords', async t => {
  using scratch = makeScratch()
  write(scratch, '.docker/config.json', {
    auths: {
      'a.org': { ...auth('<token>:'), identitytoken: 'refresh-me' },
      'b.org': { registrytoken: 'as-it-is' },
      'c.org': auth('me:padded\0\0'),
      'd.org': { username: 'me', password: 'plain' },
      'e.org': {},
    },
  })
  const options = place(scratch)
  t.deepEqual(await find(options, 'a.org/x'), { kind: 'identity-token', token: 'refresh-me' })
  t.deepEqual(await find(options, 'b.org/x'), { kind: 'registry-token', token: 'as-it-is' })
  t.deepEqual(await find(options, 'c.org/x'), password('me', 'padded'))
  t.deepEqual(await find(options, 'd.org/x'), password('me', 'plain'))
  t.is(await find(options, 'e.org/x'), undefined)
})

test('a helper for a host comes before the helper for all, and that before the file', async t => {
  using scratch = makeScratch()
  giveHelper(scratch, 'one', `echo '{"ServerURL":"x","Username":"one","Secret":"1"}'`)
  giveHelper(scratch, 'all', `echo '{"ServerURL":"x","Username":"<token>","Secret":"2"}'`)
  write(scratch, '.docker/config.json', {
    auths: { 'a.org': auth('file:0'), 'b.org': auth('file:0') },
    credHelpers: { 'https://a.org': 'one' },
    credsStore: 'all',
  })
  const options = place(scratch)
  t.deepEqual(await find(options, 'a.org/x'), password('one', '1'))
  t.deepEqual(await find(options, 'b.org/x'), { kind: 'identity-token', token: '2' })
  t.deepEqual(await find(options, 'docker.io/library/x'), { kind: 'identity-token', token: '2' })
  t.is(readFileSync(scratch.at('all.log'), 'utf8'), 'get b.org\nget https://index.docker.io/v1/\n')
})

test('a helper that knows nothing leaves the file its say', async t => {
  using scratch = makeScratch()
  giveHelper(scratch, 'none', 'echo "credentials not found in native keychain"; exit 1')
  write(scratch, '.docker/config.json', { auths: { 'a.org': auth('file:0') }, credsStore: 'none' })
  t.deepEqual(await find(place(scratch), 'a.org/x'), password('file', '0'))
})

test('helpers of registries.conf are asked last', async t => {
  using scratch = makeScratch()
  giveHelper(scratch, 'conf', `echo '{"Username":"conf","Secret":"3"}'`)
  t.deepEqual(
    await find(place(scratch), 'a.org/x', ['containers-auth.json', 'conf']),
    password('conf', '3'),
  )
})

test('a helper that fails is named, and what it printed is not shown', async t => {
  using scratch = makeScratch()
  giveHelper(scratch, 'bad', `echo '{"Secret":"hidden'; echo "the key ring is locked" >&2; exit 1`)
  giveHelper(scratch, 'odd', `echo 'hidden { no json'`)
  write(scratch, '.docker/config.json', {
    credHelpers: { 'a.org': 'bad', 'b.org': 'odd', 'c.org': 'missing', 'd.org': '../evil' },
  })
  const failure = async (name: string): Promise<Error> =>
    await t.throwsAsync(find(place(scratch), name))
  const bad = await failure('a.org/x')
  t.regex(bad.message, /docker-credential-bad get failed: the key ring is locked/)
  const odd = await failure('b.org/x')
  t.regex(odd.message, /no JSON/)
  t.notRegex(`${bad.message}${odd.message}`, /hidden/)
  t.regex((await failure('c.org/x')).message, /docker-credential-missing is not installed/)
  t.regex((await failure('d.org/x')).message, /not the name of a credential helper/)
})

const wrongFiles = [
  { title: 'no JSON', text: '{"auths": {', message: /not valid JSON/ },
  {
    title: 'a password without a name',
    text: { auths: { 'a.org': auth(':x') } },
    message: /a\.org\.auth is not base64/,
  },
  { title: 'a list for a map', text: { auths: [] }, message: /an object/ },
  { title: 'a document that is too deep', text: '['.repeat(100), message: /deeper/ },
]

for (const { title, text, message } of wrongFiles)
  test(`a file with ${title} is an error that shows no secret`, t => {
    using scratch = makeScratch()
    const file = write(scratch, 'config.json', text)
    const error = t.throws(() => readAuthFile(file), { message })
    t.notRegex(error?.message ?? '', /OnhK|:x/)
  })

test('a login is kept in a file of its owner alone, and nothing else in it changes', async t => {
  using scratch = makeScratch()
  const file = write(scratch, '.docker/config.json', {
    HttpHeaders: { 'User-Agent': 'x' },
    auths: { 'other.org': auth('o:p'), 'https://example.org/v2/': auth('old:old') },
  })
  chmodSync(file, 0o644)
  await keepCredentials(place(scratch), 'example.org', password('me', 'new'))
  t.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
    HttpHeaders: { 'User-Agent': 'x' },
    auths: { 'other.org': auth('o:p'), 'example.org': auth('me:new') },
  })
  t.is(statSync(file).mode & 0o777, 0o600)
  t.deepEqual(await find(place(scratch), 'example.org/a'), password('me', 'new'))
})

test('a first login makes directory and file, and a link stays a link', async t => {
  using scratch = makeScratch()
  await keepCredentials(place(scratch), 'docker.io', password('me', 'pw'))
  const file = scratch.at('.docker/config.json')
  t.is(statSync(scratch.at('.docker')).mode & 0o777, 0o700)
  t.true(Object.hasOwn(JSON.parse(readFileSync(file, 'utf8')).auths, 'https://index.docker.io/v1/'))
  mkdirSync(scratch.at('linked'))
  symlinkSync(file, scratch.at('linked/config.json'))
  await keepCredentials(
    place(scratch, { DOCKER_CONFIG: scratch.at('linked') }),
    'a.org',
    password('a', 'b'),
  )
  t.true(statSync(scratch.at('linked/config.json')).isFile())
  t.deepEqual(await find(place(scratch), 'a.org/x'), password('a', 'b'))
})

test('a login with a helper leaves no password in the file', async t => {
  using scratch = makeScratch()
  giveHelper(scratch, 'ring', 'exit 0')
  const file = write(scratch, '.docker/config.json', { credsStore: 'ring' })
  t.deepEqual(await keepCredentials(place(scratch), 'a.org', password('me', 'pw')), {
    kind: 'helper',
    helper: 'ring',
  })
  t.deepEqual(JSON.parse(readFileSync(file, 'utf8')).auths, { 'a.org': {} })
  t.is(
    readFileSync(scratch.at('ring.log'), 'utf8'),
    'store {"ServerURL":"a.org","Username":"me","Secret":"pw"}\n',
  )
  t.true((await forgetCredentials(place(scratch), 'a.org')).wasKept)
  t.regex(readFileSync(scratch.at('ring.log'), 'utf8'), /erase a\.org/)
})

test('a logout forgets every spelling, and says where else credentials are', async t => {
  using scratch = makeScratch()
  const file = write(scratch, '.docker/config.json', {
    auths: { 'https://a.org/v1/': auth('x:y'), 'a.org': auth('x:y'), 'a.org/team': auth('t:t') },
  })
  const other = write(scratch, '.config/containers/auth.json', { auths: { 'a.org': auth('p:q') } })
  t.deepEqual(await forgetCredentials(place(scratch), 'a.org'), { wasKept: true, stillIn: [other] })
  t.deepEqual(Object.keys(JSON.parse(readFileSync(file, 'utf8')).auths), ['a.org/team'])
  t.false((await forgetCredentials(place(scratch), 'a.org')).wasKept)
})
