import { mkdirSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { ignoreEvents } from '../../src/core/events.ts'
import { pushImage } from '../../src/registry/push-image.ts'
import type { Credentials, Registries, RegistryOptions } from '../../src/registry/registry.ts'
import { locationTarget } from '../../src/registry/session.ts'
import { memoryStore } from '../../src/store/memory-store.ts'
import { testWith } from '../helpers/needs.ts'
import { type Logins, type RegistryServer, serveRegistry } from '../helpers/registry-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { makeAuthority } from '../helpers/test-authority.ts'
import { putImage } from '../store/small-image.ts'
import { giveImage, named, quickRegistries } from './small-registry.ts'

const password: Credentials = { kind: 'password', username: 'ann', password: 'pass:word' }
const bearer: Logins = {
  kind: 'bearer',
  username: 'ann',
  password: 'pass:word',
  refreshToken: 'refresh-me',
}

const fetchOne = async (
  registries: Registries,
  server: RegistryServer,
): Promise<string | undefined> =>
  (await registries.repository(named(server, 'app')).findManifest('latest'))?.descriptor.digest

for (const kind of ['basic', 'bearer'] as const)
  test(`a registry with ${kind} logins lets in who has the password`, async t => {
    await using server = await serveRegistry({ logins: { ...bearer, kind } })
    const { digest } = giveImage(server, 'app')
    await using registries = await quickRegistries({ credentials: password })
    t.is(await fetchOne(registries, server), digest)
    await using nobody = await quickRegistries()
    const refused = await t.throwsAsync(fetchOne(nobody, server), { code: 'REGISTRY_DENIED' })
    await using wrong = await quickRegistries({
      credentials: { ...password, password: 'secret-but-wrong' } as Credentials,
    })
    const denied = await t.throwsAsync(fetchOne(wrong, server), { code: 'REGISTRY_DENIED' })
    t.notRegex(`${refused.message}${denied.message}${String(denied.cause)}`, /pass:word|secret-but/)
  })

test('an identity token is exchanged by POST', async t => {
  await using server = await serveRegistry({ logins: bearer })
  const { digest } = giveImage(server, 'app')
  await using registries = await quickRegistries({
    credentials: { kind: 'identity-token', token: 'refresh-me' },
  })
  t.is(await fetchOne(registries, server), digest)
  t.true(server.log.includes('POST /token 200'))
  t.false(server.log.some(line => line.includes('refresh-me')))
})

test('one token serves every request of its scope, also those at the same time', async t => {
  await using server = await serveRegistry({ logins: bearer })
  giveImage(server, 'app')
  await using registries = await quickRegistries({ credentials: password })
  await fetchOne(registries, server)
  await Promise.all(Array.from({ length: 8 }, () => fetchOne(registries, server)))
  t.is(server.log.filter(line => line.startsWith('GET /token')).length, 1)
  t.is(server.log.filter(line => line.endsWith('401')).length, 1)
})

test('a push asks for one token, with the rights that it needs', async t => {
  await using server = await serveRegistry({ logins: bearer })
  await using registries = await quickRegistries({ credentials: password })
  const store = memoryStore()
  const descriptor = await putImage(store, 'content')
  await pushImage(store, descriptor, named(server, 'team/app:1'), {
    registries,
    emit: ignoreEvents,
  })
  const tokens = server.log.filter(line => line.startsWith('GET /token'))
  t.is(tokens.length, 1)
  t.true(tokens.some(line => line.includes('repository%3Ateam%2Fapp%3Apull%2Cpush')))
})

test('a token that the registry takes no longer is fetched again', async t => {
  await using server = await serveRegistry({ logins: bearer })
  const { digest } = giveImage(server, 'app')
  await using registries = await quickRegistries({ credentials: password })
  await fetchOne(registries, server)
  let refused = 0
  server.intercept = ({ response, path }) => {
    if (!path.includes('manifests') || refused > 0) return false
    refused++
    response.writeHead(401, {
      'www-authenticate': `Bearer realm="${server.origin}/token",service="x",scope="repository:app:pull",error="invalid_token"`,
    })
    response.end()
    return true
  }
  t.is(await fetchOne(registries, server), digest)
  t.is(server.log.filter(line => line.startsWith('GET /token')).length, 2)
})

test('a registry that refuses every token is asked no further', async t => {
  await using server = await serveRegistry({ logins: bearer })
  server.intercept = ({ response, path }) => {
    if (!path.includes('manifests')) return false
    response.writeHead(401, { 'www-authenticate': `Bearer realm="${server.origin}/token"` }).end()
    return true
  }
  await using registries = await quickRegistries({ credentials: password })
  await t.throwsAsync(fetchOne(registries, server), { code: 'REGISTRY_DENIED' })
  t.true(server.log.length < 10)
})

const tokenAnswers = [
  { title: 'no JSON', body: '<html>hidden', message: /is no JSON/ },
  { title: 'no token', body: '{"expires_in":5}', message: /has no token/ },
  {
    title: 'a token with a line break',
    body: '{"token":"a\\r\\nhidden: 1"}',
    message: /strange characters/,
  },
  {
    title: 'two megabytes',
    body: `{"token":"${'x'.repeat(2_000_000)}"}`,
    message: /more than 1048576 bytes/,
  },
]

for (const { title, body, message } of tokenAnswers)
  test(`a token server that answers with ${title} is an error without its words`, async t => {
    await using server = await serveRegistry({ logins: bearer })
    server.intercept = ({ response, path }) => {
      if (path !== '/token') return false
      response.writeHead(200).end(body)
      return true
    }
    await using registries = await quickRegistries({ credentials: password })
    const error = await t.throwsAsync(fetchOne(registries, server), {
      code: 'REGISTRY_FAILED',
      message,
    })
    t.notRegex(error?.message ?? '', /hidden/)
  })

for (const realm of ['file:///etc/passwd', 'javascript:alert(1)', '', 'gopher://x'])
  test(`a password is not sent to the realm "${realm}"`, async t => {
    await using server = await serveRegistry({ logins: bearer })
    server.intercept = ({ response }) => {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="x"` }).end()
      return true
    }
    await using registries = await quickRegistries({ credentials: password })
    await t.throwsAsync(fetchOne(registries, server), {
      code: 'REGISTRY_FAILED',
    })
    t.deepEqual(
      server.authorizations.filter(header => header !== undefined),
      [],
    )
  })

test('a redirect to another host goes without authorization, and its challenges stay unanswered (CVE-2020-15157)', async t => {
  await using server = await serveRegistry({ logins: { ...bearer, kind: 'basic' } })
  await using elsewhere = await serveRegistry()
  const { layer, layerDigest } = giveImage(server, 'app')
  giveImage(elsewhere, 'app')
  server.habits = { redirectBlobs: elsewhere.origin }
  await using registries = await quickRegistries({ credentials: password })
  const repository = registries.repository(named(server, 'app'))
  const descriptor = { mediaType: 'x/y', digest: layerDigest as never, size: layer.length }
  const opened = await repository.openBlob(descriptor)
  t.is(
    (await opened.toArray()).reduce((sum: number, chunk: Buffer) => sum + chunk.length, 0),
    layer.length,
  )
  t.deepEqual(elsewhere.authorizations, [undefined])
  elsewhere.intercept = ({ response }) => {
    response.writeHead(401, { 'www-authenticate': `Basic realm="give it to me"` }).end()
    return true
  }
  await t.throwsAsync(repository.openBlob(descriptor), { code: 'REGISTRY_DENIED' })
  t.true(elsewhere.authorizations.every(header => header === undefined))
})

const locations = [
  { from: 'https://a.org/v2/', to: '/x?y=1', want: 'https://a.org/x?y=1' },
  { from: 'https://a.org/v2/b/', to: 'c', want: 'https://a.org/v2/b/c' },
  { from: 'https://a.org/v2/', to: 'https://b.org/x', want: 'https://b.org/x' },
  { from: 'http://a.org/v2/', to: 'http://b.org/x', want: 'http://b.org/x' },
  // What a registry behind a proxy that ends TLS says of itself.
  { from: 'https://a.org/v2/', to: 'http://a.org/x?y', want: 'https://a.org/x?y' },
  { from: 'https://a.org/v2/', to: 'http://b.org/x', want: undefined },
  { from: 'https://a.org/v2/', to: 'http://a.org:8080/x', want: undefined },
  { from: 'https://a.org/v2/', to: 'file:///etc/passwd', want: undefined },
  { from: 'http://a.org/v2/', to: 'file:///etc/passwd', want: undefined },
  { from: 'https://a.org/v2/', to: 'data:text/plain,x', want: undefined },
  { from: 'https://a.org/v2/', to: '', want: undefined },
]

for (const { from, to, want } of locations)
  test(`from ${from} "${to}" leads to ${want ?? 'nowhere'}`, t => {
    if (want === undefined)
      t.throws(() => locationTarget(new URL(from), to), { code: 'REGISTRY_FAILED' })
    else t.is(locationTarget(new URL(from), to).href, want)
  })

test('a circle of redirects ends', async t => {
  await using server = await serveRegistry()
  server.intercept = ({ response, path }) => {
    response.writeHead(307, { location: `${path}x` }).end()
    return true
  }
  await using registries = await quickRegistries()
  await t.throwsAsync(fetchOne(registries, server), { message: /redirects over and over/ })
  t.true(server.log.length < 10)
})

test('a mirror that fails is left out with a warning, and none gets the credentials of the registry', async t => {
  await using server = await serveRegistry({ logins: { ...bearer, kind: 'basic' } })
  await using mirror = await serveRegistry()
  await using broken = await serveRegistry()
  using scratch = makeScratch()
  const { digest } = giveImage(server, 'app')
  broken.intercept = ({ response }) => {
    response.writeHead(400).end()
    return true
  }
  mkdirSync(scratch.at('.docker'))
  const auth = Buffer.from('ann:pass:word').toString('base64')
  writeFileSync(
    scratch.at('.docker/config.json'),
    JSON.stringify({ auths: { [server.host]: { auth } } }),
  )
  writeFileSync(
    scratch.at('registries.conf'),
    `[[registry]]\nlocation = "${server.host}"\n` +
      [broken, mirror].map(({ host }) => `[[registry.mirror]]\nlocation = "${host}"\n`).join(''),
  )
  const warnings: string[] = []
  const environment = {
    HOME: scratch.path,
    CONTAINERS_REGISTRIES_CONF: scratch.at('registries.conf'),
  }
  const options: Partial<RegistryOptions> = {
    environment,
    emit: event => {
      if (event.kind === 'warning') warnings.push(event.message)
    },
  }
  await using registries = await quickRegistries(options)
  t.is(await fetchOne(registries, server), digest)
  t.regex(warnings.join(), /the mirror .* is left out/)
  t.deepEqual(
    [...mirror.authorizations, ...broken.authorizations].filter(header => header !== undefined),
    [],
  )
  giveImage(mirror, 'app')
  const before = server.log.length
  t.truthy(await fetchOne(registries, server))
  t.is(server.log.length, before)
})

testWith({ programs: ['openssl'] })(
  'TLS: an unknown authority is refused with what to do, a known one is not',
  async t => {
    using scratch = makeScratch()
    const authority = makeAuthority(scratch)
    await using server = await serveRegistry({ authority, logins: bearer })
    const { digest } = giveImage(server, 'app')
    await using strict = await quickRegistries({ credentials: password })
    const error = await t.throwsAsync(fetchOne(strict, server), { code: 'REGISTRY_FAILED' })
    t.regex(String((error as { hint?: string }).hint), /certs\.d/)
    t.deepEqual(server.authorizations, [])
    await using loose = await quickRegistries({ credentials: password, tlsVerify: false })
    t.is(await fetchOne(loose, server), digest)
    const certificates = scratch.at('home/.config/containers/certs.d', server.host)
    mkdirSync(certificates, { recursive: true })
    writeFileSync(`${certificates}/ca.crt`, authority.authority)
    await using known = await quickRegistries({
      credentials: password,
      environment: { HOME: scratch.at('home') },
    })
    t.is(await fetchOne(known, server), digest)
    writeFileSync(scratch.at('bundle.pem'), authority.authority)
    await using bundled = await quickRegistries({
      credentials: password,
      environment: { SSL_CERT_FILE: scratch.at('bundle.pem') },
    })
    t.is(await fetchOne(bundled, server), digest)
  },
)
