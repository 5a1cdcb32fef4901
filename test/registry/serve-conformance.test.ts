// The distribution specification v1.1 by its sections, as the conformance suite asks: pull, push, content discovery, content
// management. What is refused on the way is in serve-registry.test.ts.

import { request as ask } from 'node:http'
import test, { type ExecutionContext } from 'ava'
import { type Answer, digestOf, indexType, manifestType, type Serving, serve } from './serving.ts'

type Body = (t: ExecutionContext, registry: Serving) => Promise<void>

function conforming(title: string, body: Body): void {
  test(title, async t => {
    await using registry = await serve()
    await body(t, registry)
  })
}

const name = '/v2/team/app'
const uploads = `${name}/blobs/uploads/`

function errorCode({ text }: Answer): string {
  const { errors } = JSON.parse(text) as { errors: { code: string; message: string }[] }
  return errors[0]?.code ?? ''
}

conforming('pull: what is not there is 404, with its code', async (t, registry) => {
  const cases: readonly [string, string][] = [
    [`${name}/blobs/${digestOf('none')}`, 'BLOB_UNKNOWN'],
    [`${name}/manifests/none`, 'MANIFEST_UNKNOWN'],
    [`${name}/manifests/${digestOf('none')}`, 'MANIFEST_UNKNOWN'],
    [`${name}/tags/list`, 'NAME_UNKNOWN'],
    [`${uploads}00000000-0000-0000-0000-000000000000`, 'BLOB_UPLOAD_UNKNOWN'],
  ]
  for (const [path, code] of cases) {
    const got = await registry.ask('GET', path)
    t.deepEqual([got.status, errorCode(got)], [404, code], path)
    const head = await registry.ask('HEAD', path)
    t.deepEqual([head.status, head.text], [404, ''], path)
  }
})

conforming('pull: HEAD says what GET says, without the body', async (t, registry) => {
  const digest = await registry.blob('0123456789')
  const { digest: manifest } = await registry.manifest('1')
  for (const path of [
    `${name}/blobs/${digest}`,
    `${name}/manifests/1`,
    `${name}/manifests/${manifest}`,
    `${name}/manifests/${manifest.replace(':', '%3A')}`,
  ]) {
    const [get, head] = [await registry.ask('GET', path), await registry.ask('HEAD', path)]
    t.deepEqual([get.status, head.status, head.text], [200, 200, ''], path)
    for (const header of ['content-length', 'content-type', 'docker-content-digest', 'etag'])
      t.is(head.header(header), get.header(header), `${path} ${header}`)
    t.is(digestOf(get.text), get.header('docker-content-digest') ?? '')
  }
})

conforming('push: chunks of unknown length, without Content-Range', async (t, registry) => {
  const place = (await registry.ask('POST', uploads)).header('location') ?? ''
  const authorization = `Basic ${Buffer.from('ann:secret').toString('base64')}`
  const range = await new Promise<unknown>((resolve, reject) => {
    const headers = { authorization, 'transfer-encoding': 'chunked' }
    const request = ask(
      { port: registry.port, path: place, method: 'PATCH', headers },
      response => {
        response.resume()
        resolve([response.statusCode, response.headers.range])
      },
    )
    request.once('error', reject)
    request.write('abc')
    request.end('def')
  })
  t.deepEqual(range, [202, '0-5'])
  t.is((await registry.ask('PUT', `${place}?digest=${digestOf('abcdef')}`)).status, 201)
})

conforming('push: the last chunk comes with the end', async (t, registry) => {
  const place = (await registry.ask('POST', uploads)).header('location') ?? ''
  const first = { body: 'abc', headers: { 'content-range': '0-2' } }
  t.is((await registry.ask('PATCH', place, first)).status, 202)
  const last = { body: 'de', headers: { 'content-range': '3-4' } }
  const end = await registry.ask('PUT', `${place}?digest=${digestOf('abcde')}`, last)
  t.is(end.status, 201)
  t.is(end.header('location'), `${name}/blobs/${digestOf('abcde')}`)
  t.is((await registry.ask('GET', `${name}/blobs/${digestOf('abcde')}`)).text, 'abcde')
})

conforming(
  'push: chunks out of order are 416, and nothing of them is kept',
  async (t, registry) => {
    const place = (await registry.ask('POST', uploads)).header('location') ?? ''
    const chunk = (body: string, range: string): Promise<Answer> =>
      registry.ask('PATCH', place, { body, headers: { 'content-range': range } })
    t.is((await chunk('def', '3-5')).status, 416)
    t.is((await chunk('abc', '0-2')).status, 202)
    // The same once more, a gap, an overlap, a lie about the length, and no range at all.
    for (const [body, range] of [
      ['abc', '0-2'],
      ['ghi', '6-8'],
      ['cde', '2-4'],
      ['def', '3-9'],
      ['def', 'three to five'],
    ] as const)
      t.is((await chunk(body, range)).status, 416, range)
    t.is((await registry.ask('GET', place)).header('range'), '0-2')
    t.is((await chunk('def', '3-5')).status, 202)
    t.is((await registry.ask('PUT', `${place}?digest=${digestOf('abcdef')}`)).status, 201)
  },
)

conforming('push: a digest that is missing, none, or of no known kind', async (t, registry) => {
  for (const query of ['', '?digest=', '?digest=sha256:x', `?digest=sha512:${'0'.repeat(128)}`]) {
    const place = (await registry.ask('POST', uploads)).header('location') ?? ''
    const end = await registry.ask('PUT', `${place}${query}`, { body: 'x' })
    t.deepEqual([end.status, errorCode(end)], [400, 'DIGEST_INVALID'], query)
    const mount = await registry.ask('POST', `${uploads}?from=a&mount=${query.slice(8)}`)
    t.is(mount.status, query === '' || query === '?digest=' ? 400 : 400, query)
  }
})

conforming('push: an empty blob', async (t, registry) => {
  const place = (await registry.ask('POST', uploads)).header('location') ?? ''
  t.is((await registry.ask('PUT', `${place}?digest=${digestOf('')}`)).status, 201)
  const got = await registry.ask('GET', `${name}/blobs/${digestOf('')}`)
  t.deepEqual([got.status, got.text, got.header('content-length')], [200, '', '0'])
})

conforming('push: a blob is mounted without naming where from', async (t, registry) => {
  const digest = await registry.blob('there')
  const mounted = await registry.ask('POST', `/v2/other/blobs/uploads/?mount=${digest}`)
  t.is(mounted.status, 201)
  t.is((await registry.ask('GET', `/v2/other/blobs/${digest}`)).text, 'there')
})

conforming('push: the address of uploads may go without its slash', async (t, registry) => {
  t.is((await registry.ask('POST', `${name}/blobs/uploads`)).status, 202)
})

conforming('push: a manifest again is no change, under its own address', async (t, registry) => {
  const first = await registry.manifest('1')
  const again = await registry.manifest('1')
  t.deepEqual([again.answer.status, again.digest], [201, first.digest])
  t.is(again.answer.header('location'), `${name}/manifests/${first.digest}`)
  t.is(again.answer.header('docker-content-digest'), first.digest)
  const { digest } = await registry.manifest('1', { annotations: { a: 'b' } })
  t.is((await registry.ask('HEAD', `${name}/manifests/1`)).header('docker-content-digest'), digest)
  // What had the tag before is still known by its digest.
  t.is((await registry.ask('HEAD', `${name}/manifests/${first.digest}`)).status, 200)
  t.deepEqual(JSON.parse((await registry.ask('GET', `${name}/tags/list`)).text).tags, ['1'])
})

const empty = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 }
const kinds: readonly [string, string, object][] = [
  ['without layers', manifestType, { config: empty, layers: [] }],
  ['of an artifact', manifestType, { artifactType: 'text/x', config: empty, layers: [empty] }],
  [
    'of docker',
    'application/vnd.docker.distribution.manifest.v2+json',
    {
      config: { ...empty, mediaType: 'application/vnd.docker.container.image.v1+json' },
      layers: [],
    },
  ],
  ['that lists nothing', indexType, { manifests: [] }],
  [
    'of docker that lists nothing',
    'application/vnd.docker.distribution.manifest.list.v2+json',
    { manifests: [] },
  ],
]

for (const [what, mediaType, members] of kinds)
  conforming(`push: a document ${what}`, async (t, registry) => {
    await registry.blob('{}')
    const body = JSON.stringify({ schemaVersion: 2, mediaType, ...members })
    const headers = { 'content-type': mediaType }
    const put = await registry.ask('PUT', `${name}/manifests/x`, { body, headers })
    t.is(put.status, 201, put.text)
    const got = await registry.ask('GET', `${name}/manifests/x`)
    t.deepEqual([got.text, got.header('content-type')], [body, mediaType])
  })

conforming('push: a manifest about one that is not there yet', async (t, registry) => {
  const subject = { mediaType: manifestType, digest: digestOf('later'), size: 5 }
  const { digest, answer } = await registry.manifest('digest', { subject })
  t.deepEqual([answer.status, answer.header('oci-subject')], [201, subject.digest])
  const listed = await registry.ask('GET', `${name}/referrers/${subject.digest}`)
  t.like(JSON.parse(listed.text), {
    schemaVersion: 2,
    mediaType: indexType,
    manifests: [{ digest }],
  })
})

conforming('push: an index about a manifest is a referrer, too', async (t, registry) => {
  const { digest: subject } = await registry.manifest('x')
  const body = JSON.stringify({
    schemaVersion: 2,
    mediaType: indexType,
    artifactType: 'text/list',
    manifests: [],
    subject: { mediaType: manifestType, digest: subject, size: 1 },
    annotations: { a: 'b' },
  })
  const path = `${name}/manifests/${digestOf(body)}`
  const put = await registry.ask('PUT', path, { body, headers: { 'content-type': indexType } })
  t.deepEqual([put.status, put.header('oci-subject')], [201, subject])
  const { manifests } = JSON.parse((await registry.ask('GET', `${name}/referrers/${subject}`)).text)
  t.like(manifests, [
    { digest: digestOf(body), artifactType: 'text/list', annotations: { a: 'b' } },
  ])
})

conforming('discovery: tags by n and last, in the order of their bytes', async (t, registry) => {
  for (const tag of ['b', 'a', 'B', '10', '2', '_']) await registry.manifest(tag)
  const list = async (query: string): Promise<string[]> =>
    JSON.parse((await registry.ask('GET', `${name}/tags/list${query}`)).text).tags
  t.deepEqual(await list(''), ['10', '2', 'B', '_', 'a', 'b'])
  t.deepEqual(await list('?n=2'), ['10', '2'])
  t.deepEqual(await list('?n=2&last=2'), ['B', '_'])
  t.deepEqual(await list('?last=C'), ['_', 'a', 'b'])
  t.deepEqual(await list('?last=zzz'), [])
  t.deepEqual(await list('?n=100'), ['10', '2', 'B', '_', 'a', 'b'])
  // Page by page by its own links, each tag once.
  const seen: string[] = []
  let next = `${name}/tags/list?n=4`
  while (next !== '') {
    const page = await registry.ask('GET', next)
    seen.push(...JSON.parse(page.text).tags)
    next = /^<([^>]+)>; rel="next"$/.exec(page.header('link') ?? '')?.[1] ?? ''
  }
  t.deepEqual(seen, await list(''))
  t.is((await registry.ask('GET', `${name}/tags/list?n=x`)).status, 400)
})

conforming('discovery: repositories, page by page', async (t, registry) => {
  for (const repository of ['c', 'a/b', 'b']) {
    const path = `/v2/${repository}`
    await registry.ask('POST', `${path}/blobs/uploads/?digest=${digestOf('{}')}`, { body: '{}' })
    const body = JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: empty,
      layers: [],
    })
    await registry.ask('PUT', `${path}/manifests/1`, {
      body,
      headers: { 'content-type': manifestType },
    })
  }
  const page = await registry.ask('GET', '/v2/_catalog?n=2')
  t.deepEqual(JSON.parse(page.text), { repositories: ['a/b', 'b'] })
  t.is(page.header('link'), '</v2/_catalog?n=2&last=b>; rel="next"')
  const rest = await registry.ask('GET', '/v2/_catalog?n=2&last=b')
  t.deepEqual(JSON.parse(rest.text), { repositories: ['c'] })
})

conforming('management: a referrer that is deleted is listed no more', async (t, registry) => {
  const { digest: subject } = await registry.manifest('x')
  const about = { mediaType: manifestType, digest: subject, size: 1 }
  const { digest } = await registry.manifest('digest', { subject: about })
  const listed = async (): Promise<number> =>
    JSON.parse((await registry.ask('GET', `${name}/referrers/${subject}`)).text).manifests.length
  t.is(await listed(), 1)
  t.is((await registry.ask('DELETE', `${name}/manifests/${digest}`)).status, 202)
  t.is(await listed(), 0)
  t.is((await registry.ask('GET', `${name}/manifests/${digest}`)).status, 404)
  t.is((await registry.ask('GET', `${name}/manifests/x`)).status, 200)
})

conforming('management: blobs belong to the store and are not deleted', async (t, registry) => {
  const digest = await registry.blob('kept')
  const answer = await registry.ask('DELETE', `${name}/blobs/${digest}`)
  t.deepEqual([answer.status, errorCode(answer)], [405, 'UNSUPPORTED'])
  t.is(answer.header('allow'), 'GET')
})
