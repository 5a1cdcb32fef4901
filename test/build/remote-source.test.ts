// Sources over HTTP against servers on loopback: what is asked, and what the key takes.

import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import test from 'ava'
import { collectSources } from '../../src/build/collect-sources.ts'
import { fileNameOf } from '../../src/build/http-source.ts'
import {
  openRemoteSources,
  type RemoteParts,
  type RemoteSource,
} from '../../src/build/remote-source.ts'
import { KauriError } from '../../src/core/errors.ts'
import { ignoreEvents } from '../../src/core/events.ts'
import { digestOf, parseDigest } from '../../src/oci/digest.ts'
import { serveFiles } from '../helpers/file-server.ts'
import { makeScratch } from '../helpers/scratch.ts'

const options = { emit: ignoreEvents }

function partsIn(dataRoot: string, more: Partial<RemoteParts> = {}): RemoteParts {
  return { dataRoot, environment: { PATH: process.env['PATH'] ?? '' }, ...more }
}

function httpSource(url: string, checksum?: string): RemoteSource {
  return {
    kind: 'http',
    url,
    ...(checksum === undefined ? {} : { checksum: parseDigest(checksum) }),
  }
}

async function fileOf(
  source: RemoteSource,
  parts: RemoteParts,
): Promise<{ readonly digest: string; readonly text: string; readonly mtimeSeconds: number }> {
  await using sources = openRemoteSources(parts)
  const resolved = await sources.resolve(source, options)
  const opened = await resolved.open()
  if (opened.kind !== 'file') throw new Error('no file')
  const { mtimeSeconds } = opened
  return { digest: resolved.digest, text: readFileSync(opened.path, 'utf8'), mtimeSeconds }
}

test('names of files come from the path of their address', t => {
  const cases: readonly (readonly [string, string])[] = [
    ['https://example.org/a/file.txt', 'file.txt'],
    ['https://example.org/a/file.txt?x=/y#z', 'file.txt'],
    ['https://example.org/a/dir/', 'dir'],
    ['https://example.org/a%20b.txt', 'a b.txt'],
    ['https://example.org/a%2Fb', 'b'],
    ['https://example.org/%2e%2e', '__unnamed__'],
    ['https://example.org/x%00y', '__unnamed__'],
    ['https://example.org', '__unnamed__'],
    ['https://example.org/', '__unnamed__'],
  ]
  for (const [url, name] of cases) t.is(fileNameOf(url), name, url)
})

test('a file over HTTP is named by its bytes, keeps the time of the server, and is asked for anew only when it changed', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('www'))
  const file = scratch.at('www/file')
  writeFileSync(file, 'one')
  utimesSync(file, 1_500_000_000, 1_500_000_000)
  await using server = await serveFiles(scratch.at('www'))
  const parts = partsIn(scratch.at('data'))
  const source = httpSource(`${server.url}/file`)
  const first = await fileOf(source, parts)
  t.deepEqual(first, { digest: digestOf('one'), text: 'one', mtimeSeconds: 1_500_000_000 })
  t.deepEqual(await fileOf(source, parts), first)
  t.deepEqual(server.requests, ['200 /file', '304 /file'])
  writeFileSync(file, 'two')
  utimesSync(file, 1_600_000_000, 1_600_000_000)
  t.is((await fileOf(source, parts)).text, 'two')
})

test('a file that changes in the second in which it was sent is not taken for the old one', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('www'))
  const file = scratch.at('www/file')
  const nowSeconds = Math.floor(Date.now() / 1000)
  await using server = await serveFiles(scratch.at('www'))
  const parts = partsIn(scratch.at('data'))
  for (const text of ['one', 'two']) {
    writeFileSync(file, text)
    utimesSync(file, nowSeconds, nowSeconds)
    t.is((await fileOf(httpSource(`${server.url}/file`), parts)).text, text)
  }
})

test('a source is asked for once in a build', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('www'))
  writeFileSync(scratch.at('www/file'), 'one')
  await using server = await serveFiles(scratch.at('www'))
  await using sources = openRemoteSources(partsIn(scratch.at('data')))
  const source = httpSource(`${server.url}/file`)
  await Promise.all([sources.resolve(source, options), sources.resolve(source, options)])
  t.is(server.requests.length, 1)
})

test('a checksum names the content without a question, and refuses other bytes', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('www'))
  writeFileSync(scratch.at('www/file'), 'one')
  await using server = await serveFiles(scratch.at('www'))
  const parts = partsIn(scratch.at('data'))
  {
    await using sources = openRemoteSources(parts)
    const right = await sources.resolve(httpSource(`${server.url}/file`, digestOf('one')), options)
    t.is(right.digest, digestOf('one'))
    t.is(server.requests.length, 0)
    await right.open()
    t.is(server.requests.length, 1)
  }
  const wrong = httpSource(`${server.url}/file`, digestOf('two'))
  const error = await t.throwsAsync(fileOf(wrong, parts), { instanceOf: KauriError })
  t.is(error?.code, 'CHECKSUM_MISMATCH')
  t.regex(error?.message ?? '', /digest mismatch for http.*: sha256:7692.* \(expected: sha256:3fc4/)
})

test('what is missing on the server is an error with the address, never an empty file', async t => {
  using scratch = makeScratch()
  await using server = await serveFiles(scratch.path)
  const url = `${server.url.replace('//', '//user:secret@')}/none`
  const error = await t.throwsAsync(fileOf(httpSource(url), partsIn(scratch.at('data'))))
  t.regex(error?.message ?? '', /\/none answered 404/)
  t.false(error?.message.includes('secret'))
})

test('a download that breaks off leaves nothing behind', async t => {
  using scratch = makeScratch()
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('half')
    setTimeout(() => response.destroy(), 20)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  try {
    const source = httpSource(`http://127.0.0.1:${port}/file`)
    await t.throwsAsync(fileOf(source, partsIn(scratch.at('data'))), { code: 'DOWNLOAD_FAILED' })
    t.deepEqual(readdirSync(scratch.at('data/cache/http/files')), [])
  } finally {
    server.close()
  }
})

test('a token of the caller goes to its host, and a redirect does not carry it on', async t => {
  using scratch = makeScratch()
  const seen: (string | undefined)[] = []
  const other = createServer((request, response) => {
    seen.push(request.headers.authorization)
    response.end('moved')
  })
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  const otherPort = (other.address() as AddressInfo).port
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(302, { location: `http://localhost:${otherPort}/x` }).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  try {
    writeFileSync(scratch.at('token'), 'abc\n')
    const secrets = new Map([
      ['HTTP_AUTH_TOKEN_127.0.0.1', { kind: 'file', path: scratch.at('token') } as const],
    ])
    const parts = partsIn(scratch.at('data'), { secrets })
    t.is((await fileOf(httpSource(`http://127.0.0.1:${port}/file`), parts)).text, 'moved')
    t.deepEqual(seen, ['Bearer abc', undefined])
  } finally {
    server.close()
    other.close()
  }
})

test('offline, only what was downloaded before is there', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('www'))
  writeFileSync(scratch.at('www/file'), 'one')
  await using server = await serveFiles(scratch.at('www'))
  const offline = partsIn(scratch.at('data'), { offline: true })
  const source = httpSource(`${server.url}/file`)
  await t.throwsAsync(fileOf(source, offline), { code: 'OFFLINE' })
  await fileOf(source, partsIn(scratch.at('data')))
  t.is((await fileOf(source, offline)).text, 'one')
  t.is(server.requests.length, 1)
})

test('a server tells when a file was made; where it does not, nobody knows', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('www'))
  writeFileSync(scratch.at('www/file'), 'x')
  utimesSync(scratch.at('www/file'), 1_300_000_000, 1_300_000_000)
  await using server = await serveFiles(scratch.at('www'))
  await using sources = openRemoteSources(partsIn(scratch.at('data')))
  const madeSeconds = async (source: RemoteSource): Promise<number | undefined> =>
    await (await sources.resolve(source, options)).madeSeconds()
  t.is(await madeSeconds(httpSource(`${server.url}/file`, digestOf('x'))), 1_300_000_000)
  t.is(await madeSeconds(httpSource(`${server.url}/file`)), 1_300_000_000)
})

test('files that nobody used for long are collected', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('www'))
  writeFileSync(scratch.at('www/file'), 'twelve bytes')
  await using server = await serveFiles(scratch.at('www'))
  const parts = partsIn(scratch.at('data'))
  await fileOf(httpSource(`${server.url}/file`), parts)
  const now = Date.now()
  t.is(collectSources(scratch.at('data'), { usedBeforeMs: now - 60_000 }).sources, 0)
  t.deepEqual(collectSources(scratch.at('data'), { usedBeforeMs: now + 1000 }), {
    sources: 1,
    bytes: 12,
  })
  t.deepEqual(readdirSync(scratch.at('data/cache/http/files')), [])
  t.is((await fileOf(httpSource(`${server.url}/file`), parts)).text, 'twelve bytes')
})
