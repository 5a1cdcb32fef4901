// The store as a registry: the cases of the distribution specification's conformance suite, restated, and what strangers try.

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { openAccess } from '../../src/registry/serve-access.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { digestOf, indexType, manifestType, serve } from './serving.ts'

test('the version is told to everybody who may read', async t => {
  await using registry = await serve('ro', true)
  const answer = await registry.ask('GET', '/v2/', { user: '' })
  t.deepEqual([answer.status, answer.text], [200, '{}'])
  t.is(answer.header('docker-distribution-api-version'), 'registry/2.0')
})

test('a blob goes up in one request, in two, and in chunks', async t => {
  await using registry = await serve()
  const path = '/v2/team/app/blobs/uploads/'
  const one = await registry.ask('POST', `${path}?digest=${digestOf('one')}`, { body: 'one' })
  t.is(one.status, 201)
  t.is(one.header('location'), `/v2/team/app/blobs/${digestOf('one')}`)
  const two = (await registry.ask('POST', path)).header('location') ?? ''
  const put = await registry.ask('PUT', `${two}?digest=${digestOf('two')}`, { body: 'two' })
  t.is(put.status, 201)
  const three = (await registry.ask('POST', path)).header('location') ?? ''
  const first = await registry.ask('PATCH', three, {
    body: 'thr',
    headers: { 'content-range': '0-2' },
  })
  t.deepEqual([first.status, first.header('range')], [202, '0-2'])
  const asked = await registry.ask('GET', three)
  t.deepEqual([asked.status, asked.header('range')], [204, '0-2'])
  await registry.ask('PATCH', three, { body: 'e', headers: { 'content-range': '3-3' } })
  const end = await registry.ask('PUT', `${three}?digest=${digestOf('three')}`, { body: 'e' })
  t.is(end.status, 201)
  for (const text of ['one', 'two', 'three']) {
    const got = await registry.ask('GET', `/v2/team/app/blobs/${digestOf(text)}`)
    t.deepEqual([got.status, got.text], [200, text])
  }
  t.is((await registry.ask('GET', three)).status, 404)
})

test('a chunk that does not fit to what is there is refused, and the upload goes on', async t => {
  await using registry = await serve()
  const place = (await registry.ask('POST', '/v2/a/blobs/uploads/')).header('location') ?? ''
  await registry.ask('PATCH', place, { body: 'abc', headers: { 'content-range': '0-2' } })
  const wrong = await registry.ask('PATCH', place, {
    body: 'xy',
    headers: { 'content-range': '7-8' },
  })
  t.deepEqual([wrong.status, wrong.header('range')], [416, '0-2'])
  const end = await registry.ask('PUT', `${place}?digest=${digestOf('abc')}`)
  t.is(end.status, 201)
})

test('a blob with another digest is not stored, and its upload is over', async t => {
  await using registry = await serve()
  const place = (await registry.ask('POST', '/v2/a/blobs/uploads/')).header('location') ?? ''
  const wrong = await registry.ask('PUT', `${place}?digest=${digestOf('other')}`, { body: 'text' })
  t.deepEqual([wrong.status, JSON.parse(wrong.text).errors[0].code], [400, 'DIGEST_INVALID'])
  t.is((await registry.ask('HEAD', `/v2/a/blobs/${digestOf('text')}`)).status, 404)
  t.is((await registry.ask('GET', place)).status, 404)
})

test('an upload is cancelled, and a blob that is here is mounted', async t => {
  await using registry = await serve()
  const place = (await registry.ask('POST', '/v2/a/blobs/uploads/')).header('location') ?? ''
  t.is((await registry.ask('DELETE', place)).status, 204)
  t.is((await registry.ask('PATCH', place, { body: 'x' })).status, 404)
  const digest = await registry.blob('there')
  const mounted = await registry.ask('POST', `/v2/b/blobs/uploads/?mount=${digest}&from=team/app`)
  t.deepEqual([mounted.status, mounted.header('location')], [201, `/v2/b/blobs/${digest}`])
  const missing = digestOf('nowhere')
  const begun = await registry.ask('POST', `/v2/b/blobs/uploads/?mount=${missing}&from=team/app`)
  t.is(begun.status, 202)
})

const ranges: readonly [string, number, string | undefined][] = [
  ['bytes=0-3', 206, '0123'],
  ['bytes=4-', 206, '456789'],
  ['bytes=-2', 206, '89'],
  ['bytes=8-100', 206, '89'],
  ['bytes=10-', 416, undefined],
  ['bytes=0-1,4-5', 200, '0123456789'],
  ['lines=1-2', 200, '0123456789'],
]

for (const [range, status, text] of ranges)
  test(`a blob's ${range} is answered with ${status}`, async t => {
    await using registry = await serve()
    const digest = await registry.blob('0123456789')
    const got = await registry.ask('GET', `/v2/team/app/blobs/${digest}`, { headers: { range } })
    t.is(got.status, status)
    if (text !== undefined) t.is(got.text, text)
  })

test('manifests are kept by tag and digest, and listed page by page', async t => {
  await using registry = await serve()
  for (const tag of ['c', 'a', 'b']) {
    const { digest, answer } = await registry.manifest(tag, { annotations: { tag } })
    t.is(answer.status, 201)
    t.is(answer.header('docker-content-digest'), digest)
    const got = await registry.ask('GET', `/v2/team/app/manifests/${tag}`)
    t.is(digestOf(got.text), digest)
    t.is(got.header('content-type'), manifestType)
    t.is((await registry.ask('HEAD', `/v2/team/app/manifests/${digest}`)).status, 200)
  }
  const all = await registry.ask('GET', '/v2/team/app/tags/list')
  t.deepEqual(JSON.parse(all.text), { name: 'team/app', tags: ['a', 'b', 'c'] })
  const page = await registry.ask('GET', '/v2/team/app/tags/list?n=2')
  t.deepEqual(JSON.parse(page.text).tags, ['a', 'b'])
  t.is(page.header('link'), '</v2/team/app/tags/list?n=2&last=b>; rel="next"')
  t.deepEqual(JSON.parse((await registry.ask('GET', '/v2/team/app/tags/list?n=0')).text).tags, [])
  t.deepEqual(JSON.parse((await registry.ask('GET', '/v2/_catalog')).text).repositories, [
    'team/app',
  ])
})

test('a tag is taken away, then the manifest', async t => {
  await using registry = await serve()
  const { digest } = await registry.manifest('x')
  await registry.manifest('y')
  t.is((await registry.ask('DELETE', '/v2/team/app/manifests/x')).status, 202)
  t.is((await registry.ask('GET', '/v2/team/app/manifests/x')).status, 404)
  t.is((await registry.ask('GET', `/v2/team/app/manifests/${digest}`)).status, 200)
  t.is((await registry.ask('DELETE', `/v2/team/app/manifests/${digest}`)).status, 202)
  t.is((await registry.ask('GET', '/v2/team/app/manifests/y')).status, 404)
  t.is((await registry.ask('DELETE', `/v2/team/app/manifests/${digest}`)).status, 404)
  t.is((await registry.ask('GET', '/v2/team/app/tags/list')).status, 404)
})

async function refused(
  t: ExecutionContext,
  body: string,
  [target, type, status]: readonly [string, string, number],
): Promise<void> {
  await using registry = await serve()
  await registry.blob('{}')
  const headers = { 'content-type': type }
  const answer = await registry.ask('PUT', `/v2/a/manifests/${target}`, { body, headers })
  t.is(answer.status, status, answer.text)
  t.is((await registry.ask('GET', `/v2/a/manifests/${target}`)).status, 404)
}

const empty = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 }
const plain = { schemaVersion: 2, mediaType: manifestType, config: empty, layers: [] }
const hostile: readonly [string, string, readonly [string, string, number]][] = [
  ['no JSON', 'text', ['x', manifestType, 400]],
  ['schema version 1', '{"schemaVersion":1}', ['x', manifestType, 400]],
  ['a type that is none', '{}', ['x', 'text/plain', 400]],
  [
    'another type inside than outside (CVE-2021-41190)',
    JSON.stringify(plain),
    ['x', indexType, 400],
  ],
  [
    'layers and manifests at once (CVE-2021-41190)',
    JSON.stringify({ ...plain, manifests: [] }),
    ['x', manifestType, 400],
  ],
  [
    'a blob that is missing',
    JSON.stringify({ ...plain, layers: [{ ...empty, digest: digestOf('missing') }] }),
    ['x', manifestType, 404],
  ],
  ['another digest than its own', JSON.stringify(plain), [digestOf('x'), manifestType, 400]],
  ['a tag outside the grammar', JSON.stringify(plain), ['-x', manifestType, 400]],
  ['5 MB', JSON.stringify({ ...plain, a: 'x'.repeat(5_000_000) }), ['x', manifestType, 413]],
]

for (const [what, body, rest] of hostile)
  test(`a manifest with ${what} is refused`, t => refused(t, body, rest))

const paths: readonly [string, string, number][] = [
  ['GET', '/', 404],
  ['GET', '/v2/../../etc/passwd', 404],
  ['GET', '/v2/%2e%2e/%2e%2e/manifests/x', 404],
  ['GET', '/v2/UPPER/manifests/x', 400],
  ['GET', '/v2/a/manifests/%E0%A4%A', 400],
  ['GET', '/v2/a/blobs/sha256:..%2F..%2Findex.json', 404],
  ['GET', '/v2/a/blobs/sha512:00', 400],
  ['GET', '/v2/a/tags/list', 404],
  ['PUT', '/v2/', 405],
  ['POST', `/v2/a/blobs/${digestOf('x')}`, 405],
  ['DELETE', '/v2/a/manifests/none', 404],
]

for (const [method, path, status] of paths)
  test(`${method} ${path} is answered with ${status}`, async t => {
    await using registry = await serve()
    t.is((await registry.ask(method, path)).status, status)
  })

test('referrers are listed, by type where it is asked for', async t => {
  await using registry = await serve()
  const { digest: subject } = await registry.manifest('x')
  const about = { mediaType: manifestType, digest: subject, size: 1 }
  const { digest, answer } = await registry.manifest('digest', {
    subject: about,
    artifactType: 'text/sbom',
    annotations: { by: 'test' },
  })
  t.is(answer.header('oci-subject'), subject)
  await registry.manifest('digest', { subject: about, artifactType: 'text/other' })
  const path = `/v2/team/app/referrers/${subject}`
  const all = await registry.ask('GET', path)
  t.is(all.header('content-type'), indexType)
  t.is(JSON.parse(all.text).manifests.length, 2)
  const some = await registry.ask('GET', `${path}?artifactType=text/sbom`)
  t.is(some.header('oci-filters-applied'), 'artifactType')
  t.like(JSON.parse(some.text).manifests, [
    { digest, artifactType: 'text/sbom', annotations: { by: 'test' } },
  ])
  const none = await registry.ask('GET', `/v2/team/app/referrers/${digestOf('nothing')}`)
  t.deepEqual([none.status, JSON.parse(none.text).manifests], [200, []])
})

/** Sends text as it is; resolves with what came when the connection ends. */
async function talk(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(text)
  const chunks: Buffer[] = []
  socket.on('data', chunk => chunks.push(Buffer.from(chunk)))
  await once(socket, 'close')
  return Buffer.concat(chunks).toString('latin1')
}

test('who sends or takes nothing is let go (slowloris, slow read)', async t => {
  using scratch = makeScratch()
  await using patient = await serve('rw', false, { scratch })
  await using registry = await serve('rw', false, { scratch, idleMs: 1000 })
  const authorization = `Authorization: Basic ${Buffer.from('ann:secret').toString('base64')}`
  const large = 'x'.repeat(32 * 1024 * 1024)
  const digest = await patient.blob(large)
  const head = `HTTP/1.1\r\nHost: localhost\r\n${authorization}\r\n`
  const upload = `POST /v2/a/blobs/uploads/?digest=${digest} ${head}Content-Length: 100\r\n\r\nx`
  const accepted = once(registry.server, 'connection')
  const reader = connect(registry.port, '127.0.0.1')
  reader.on('error', () => {})
  const [served] = await accepted
  const isLetGo = once(served, 'close')
  reader.write(`GET /v2/a/blobs/${digest} ${head}\r\n`)
  // A socket without a listener takes what its buffers hold, and no more.
  await isLetGo
  t.true(served.bytesWritten < large.length, String(served.bytesWritten))
  reader.destroy()
  t.is(await talk(registry.port, upload), '')
})

test('an address that is none is the client’s mistake', async t => {
  await using registry = await serve()
  const answer = await talk(
    registry.port,
    'GET // HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  )
  t.regex(answer, /^HTTP\/1.1 400 /)
})

test('read-only, nothing can be changed', async t => {
  await using registry = await serve('ro')
  for (const [method, path] of [
    ['POST', '/v2/a/blobs/uploads/'],
    ['PUT', '/v2/a/manifests/x'],
    ['DELETE', '/v2/a/manifests/x'],
  ] as const)
    t.is((await registry.ask(method, path)).status, 405)
})

test('with a password file everything needs a password, also the first question', async t => {
  await using registry = await serve()
  for (const user of ['', 'ann:wrong', 'bob:secret', 'ann:']) {
    const answer = await registry.ask('GET', '/v2/', { user })
    t.is(answer.status, 401)
    t.regex(answer.header('www-authenticate') ?? '', /^Basic realm=/)
    t.is((await registry.ask('POST', '/v2/a/blobs/uploads/', { user })).status, 401)
  }
  t.is((await registry.ask('GET', '/v2/')).status, 200)
  t.is((await registry.ask('POST', '/v2/a/blobs/uploads/')).status, 202)
})

test('without one nobody writes', async t => {
  await using registry = await serve('rw', true)
  t.is((await registry.ask('POST', '/v2/a/blobs/uploads/')).status, 403)
})

test('a password file with other lines is refused with its place', t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('htpasswd'), 'ann:plain\n')
  const error = t.throws(() => openAccess({ mode: 'rw', passwordFile: scratch.at('htpasswd') }))
  t.like(error, { code: 'USAGE', where: { line: 1 } })
})
