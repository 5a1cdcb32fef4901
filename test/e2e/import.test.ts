// `kauri import` as a person types it: files, pipes and addresses, docker's words, and what goes wrong on the way.

import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { digestOf } from '../../src/oci/digest.ts'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { makeSmallRoot, tarOfRoot } from '../helpers/small-root.ts'
import { tarOf } from '../helpers/tar.ts'

const tar = tarOf(
  { name: './', type: '5' },
  { name: './etc/', type: '5' },
  { name: './etc/hello', body: 'hello' },
)

async function imported(
  t: ExecutionContext,
  kauri: KauriProgram,
  ...args: readonly string[]
): Promise<string> {
  const { code, stdout, stderr } = await kauri.run(['import', ...args], { input: tar })
  t.is(code, 0, stderr)
  t.regex(stdout, /^sha256:[0-9a-f]{64}\n$/)
  return stdout.trim()
}

async function inspect(kauri: KauriProgram, name: string): Promise<Record<string, unknown>> {
  const [image] = JSON.parse((await kauri.run(['inspect', name])).stdout)
  return image
}

/** A web server on the loopback interface. */
async function serve(t: ExecutionContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return `http://127.0.0.1:${address.port}`
}

test('standard input, a name, and docker’s defaults', async t => {
  using kauri = kauriProgram()
  const digest = await imported(t, kauri, '-', 'mine:1')
  const image = await inspect(kauri, 'mine:1')
  t.is(image['Id'], digest)
  t.is(image['Comment'], 'Imported from -')
  t.deepEqual(image['Config'], {})
  t.deepEqual(image['RepoTags'], ['mine:1'])
  t.deepEqual(image['RootFS'], { Type: 'layers', Layers: [digestOf(tar)] })
})

test('changes, a message and a platform', async t => {
  using kauri = kauriProgram()
  const changes = ['-c', 'CMD ["/bin/sh"]', '--change', 'ENV A=1 B=$A', '-c', 'ENV C=${A}2']
  await imported(t, kauri, ...changes, '-m', 'why', '--platform', 'linux/arm64', '-', 'mine')
  const image = await inspect(kauri, 'mine')
  t.deepEqual(image['Config'], { Cmd: ['/bin/sh'], Env: ['A=1', 'B=', 'C=12'] })
  t.is(image['Comment'], 'why')
  t.is(image['Architecture'], 'arm64')
})

test('a name and a tag as two words', async t => {
  using kauri = kauriProgram()
  await imported(t, kauri, '-', 'mine', 'latest')
  t.regex((await kauri.run(['images'])).stdout, /^mine +latest /m)
})

test('no name at all: the image goes by its digest', async t => {
  using kauri = kauriProgram()
  const digest = await imported(t, kauri, '-')
  t.regex((await kauri.run(['images'])).stdout, /^<none> +<none> /m)
  t.is((await inspect(kauri, digest.slice(7, 19)))['Id'], digest)
})

test('a gzip file keeps its digest, --json tells it', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  const packed = gzipSync(tar)
  writeFileSync(scratch.at('root.tar.gz'), packed)
  const args = ['import', '--json', '--checksum', digestOf(packed), scratch.at('root.tar.gz'), 'x']
  const { stdout, stderr } = await kauri.run(args)
  const result = JSON.parse(stdout)
  t.is(result.layer.digest, digestOf(packed), stderr)
  t.is(result.diffId, digestOf(tar))
  t.is(result.reference, 'docker.io/library/x:latest')
})

test('SOURCE_DATE_EPOCH makes the same image twice', async t => {
  using one = kauriProgram()
  using two = kauriProgram()
  const input = { input: tar, env: { SOURCE_DATE_EPOCH: '1700000000' } }
  const first = await one.run(['import', '-', 'x'], input)
  t.is(first.stdout, (await two.run(['import', '-', 'y'], input)).stdout)
  t.is((await inspect(one, 'x'))['Created'], '2023-11-14T22:13:20.000Z')
})

test('an address is followed to another one, and the message names it without secrets', async t => {
  const url = await serve(t, (request, response) => {
    if (request.url === '/root.tar?token=secret')
      response.writeHead(302, { location: '/real.tar' }).end()
    else response.writeHead(200, { 'content-length': tar.length }).end(tar)
  })
  using kauri = kauriProgram()
  const address = url.replace('//', '//name:password@')
  const { code, stderr } = await kauri.run(['import', `${address}/root.tar?token=secret`, 'web:1'])
  t.is(code, 0, stderr)
  t.notRegex(stderr, /password|secret/)
  t.is(
    (await inspect(kauri, 'web:1'))['Comment'],
    `Imported from ${url.replace('//', '//name:***@')}/root.tar`,
  )
})

test('a broken connection is resumed', async t => {
  let asked = 0
  const url = await serve(t, (request, response) => {
    asked++
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    response.writeHead(from === 0 ? 200 : 206, {
      'content-length': tar.length - from,
      'content-range': `bytes ${from}-${tar.length - 1}/${tar.length}`,
      etag: '"one"',
    })
    if (asked > 2) response.end(tar.subarray(from))
    else
      response.write(tar.subarray(from, from + 1000), () =>
        setTimeout(() => response.destroy(), 20),
      )
  })
  using kauri = kauriProgram()
  const { code, stderr } = await kauri.run(['import', `${url}/root.tar`, 'web:1'])
  t.is(code, 0, stderr)
  t.is(asked, 3)
  t.deepEqual((await inspect(kauri, 'web:1'))['RootFS'], {
    Type: 'layers',
    Layers: [digestOf(tar)],
  })
})

test('a connection that cannot be resumed fails with what was received', async t => {
  const url = await serve(t, (_, response) => {
    response.writeHead(200, { 'content-length': tar.length })
    response.write(tar.subarray(0, 1000), () => setTimeout(() => response.destroy(), 20))
  })
  using kauri = kauriProgram()
  const { code, stderr } = await kauri.run(['import', `${url}/root.tar`, 'web:1'])
  t.is(code, 1)
  t.regex(stderr, /broke after 1000 bytes/)
  t.deepEqual(JSON.parse((await kauri.run(['images', '--json'])).stdout), [])
})

const failures: readonly [string, readonly string[], number, RegExp][] = [
  [
    'an instruction that is no change',
    ['-c', 'RUN true', '-', 'x'],
    2,
    /RUN is not a valid change command/,
  ],
  ['an upper-case name', ['-', 'Mine'], 2, /lower case: write mine/],
  ['a tag given twice', ['-', 'mine:1', 'latest'], 2, /has a tag already/],
  ['a digest as the name', ['-', `mine@${digestOf('x')}`], 2, /only now made/],
  ['a file that is not there', ['/nonexistent.tar'], 2, /there is no file/],
  ['a directory', ['/tmp'], 2, /is a directory/],
  ['another kind of address', ['ftp://example.org/x.tar'], 1, /cannot download/],
  [
    'a checksum that does not fit',
    ['--checksum', digestOf('x'), '-', 'x'],
    1,
    /expected the digest/,
  ],
  ['a checksum that is none', ['--checksum', 'md5:1', '-', 'x'], 2, /not a sha256 digest/],
  ['a platform that is none', ['--platform', 'a/b/c/d', '-'], 2, /not a platform/],
  ['nobody listening', ['http://127.0.0.1:9/x.tar'], 1, /cannot reach http:\/\/127\.0\.0\.1:9/],
]
for (const [name, args, wanted, message] of failures)
  test(`import fails with ${name}, and says so`, async t => {
    using kauri = kauriProgram()
    const { code, stdout, stderr } = await kauri.run(['import', ...args], { input: tar })
    t.is(code, wanted, stderr)
    t.regex(stderr, message)
    t.is(stdout, '')
  })

test('a web page is no archive, whatever its status; an archive that is called a page is one', async t => {
  const url = await serve(t, (request, response) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    response.end(request.url === '/root.tar' ? tar : '<!DOCTYPE html><title>Log in</title>')
  })
  using kauri = kauriProgram()
  const { code, stderr } = await kauri.run(['import', `${url}/login`, 'web:1'])
  t.is(code, 1)
  t.regex(stderr, /\/login is a web page and no archive[^]*login first/)
  t.deepEqual(JSON.parse((await kauri.run(['images', '--json'])).stdout), [])
  t.is((await kauri.run(['import', `${url}/root.tar`, 'web:1'])).code, 0)
})

test('an answer that is no file is an error with its status', async t => {
  const url = await serve(t, (_, response) => response.writeHead(404).end('no'))
  using kauri = kauriProgram()
  const { code, stderr } = await kauri.run(['import', `${url}/root.tar`])
  t.is(code, 1)
  t.regex(stderr, /answered 404 Not Found/)
})

/** Trees, finished or begun, that a state directory holds. */
function treesOf(dataRoot: string): string[] {
  const drivers = path.join(dataRoot, 'snapshots')
  if (!existsSync(drivers)) return []
  return ['overlay', 'copy', 'overlay/.active', 'copy/.active']
    .map(name => path.join(drivers, name))
    .filter(existsSync)
    .flatMap(directory => readdirSync(directory))
    .filter(name => !name.startsWith('.'))
}

testWith({ root: true })('a hostile archive leaves no image and no tree', async t => {
  using kauri = kauriProgram()
  const hostile = tarOf(
    { name: 'link', type: '2', link: '/' },
    { name: 'link/../../../tmp/kauri-was-here', body: 'evil' },
  )
  const { code, stderr } = await kauri.run(['import', '-', 'x'], { input: hostile })
  t.is(code, 2, stderr)
  t.false(existsSync('/tmp/kauri-was-here'))
  t.deepEqual(treesOf(kauri.dataRoot), [])
  t.deepEqual(JSON.parse((await kauri.run(['images', '--json'])).stdout), [])
})

for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const)
  testWith({ root: true })(
    `${signal} in the middle leaves nothing, and the next command works`,
    async t => {
      using kauri = kauriProgram()
      const child = kauri.start(['import', '-', 'x'])
      child.stdin?.write(tar.subarray(0, 2048))
      while (
        !existsSync(path.join(kauri.dataRoot, 'snapshots')) ||
        treesOf(kauri.dataRoot).length === 0
      )
        await new Promise(resolve => setTimeout(resolve, 10))
      child.kill(signal)
      const [code] = await once(child, 'close')
      if (signal !== 'SIGKILL') t.is(code, signal === 'SIGTERM' ? 143 : 130)
      await imported(t, kauri, '-', 'next')
      t.is(JSON.parse((await kauri.run(['images', '--json'])).stdout).length, 1)
      t.deepEqual(treesOf(kauri.dataRoot), [digestOf(tar).slice('sha256:'.length)])
      t.deepEqual(readdirSync(path.join(kauri.dataRoot, 'oci', 'ingest')), [])
      t.deepEqual(kauri.traces(), [])
    },
  )

testWith({ root: true })('what was imported runs at once, without unpacking', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  makeSmallRoot(scratch.at('root'))
  const input = tarOfRoot(scratch.at('root'))
  await kauri.run(['import', '-', 'small', '-c', 'CMD ["cat", "/etc/group"]'], { input })
  const { code, stdout, stderr } = await kauri.run(['run', '--rm', 'small'])
  t.is(code, 0, stderr)
  t.is(stdout, readFileSync(scratch.at('root', 'etc/group'), 'utf8'))
  t.notRegex(stderr, /unpack/)
})

testWith({ root: true })('memory does not grow with the archive', async t => {
  using kauri = kauriProgram()
  const body = Buffer.alloc(1 << 20, 'x')
  const child = kauri.start(['import', '-', 'large'])
  const headers = tarOf({ name: 'x', body })
  const entry = headers.subarray(0, headers.length - 1024)
  let peakKb = 0
  for (let count = 0; count < 400; count++) {
    if (!child.stdin?.write(entry)) await once(child.stdin ?? child, 'drain')
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
    peakKb = Math.max(peakKb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0))
  }
  child.stdin?.end(Buffer.alloc(1024))
  const [code] = await once(child, 'close')
  t.is(code, 0)
  t.true(peakKb > 0 && peakKb < 150_000, `${peakKb} kB`)
})
