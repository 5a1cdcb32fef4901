// Downloads from servers that break off, lie, hang and lead astray.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'ava'
import { type DownloadOptions, openDownload } from '../../src/core/download.ts'

const body = Buffer.alloc(300_000, 'kauri ')

interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly requests: IncomingMessage[]
}

type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void

async function serve(answer: Answer): Promise<TestServer> {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    answer(request, response, requests.length)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

async function download(address: string, options: DownloadOptions = {}): Promise<Buffer> {
  const { bytes } = await openDownload(address, { silenceMs: 20_000, ...options })
  return Buffer.concat(await Array.fromAsync(bytes))
}

const fromOf = ({ headers }: IncomingMessage): number =>
  Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0)

/** Sends the headers and the first bytes, then drops the connection. */
function breakOff(response: ServerResponse, from: number, headers: object): void {
  response.writeHead(from === 0 ? 200 : 206, {
    'content-length': body.length - from,
    ...(from === 0 ? {} : { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` }),
    ...headers,
  })
  response.write(body.subarray(from, from + 100_000), () => response.destroy())
}

function sendRest(response: ServerResponse, from: number, headers: object = {}): void {
  response.writeHead(206, {
    'content-range': `bytes ${from}-${body.length - 1}/${body.length}`,
    ...headers,
  })
  response.end(body.subarray(from))
}

test('a download goes on where it broke off, if the file has a tag that says it is the same', async t => {
  const etag = '"one"'
  await using server = await serve((request, response, count) => {
    if (count < 3) breakOff(response, fromOf(request), { etag })
    else sendRest(response, fromOf(request), { etag })
  })
  t.deepEqual(await download(server.url), body)
  t.true(server.requests.length >= 3)
  for (const { headers } of server.requests.slice(1)) {
    t.is(headers['if-range'], etag)
    t.regex(headers.range ?? '', /^bytes=[1-9]\d*-$/)
  }
})

test('a date does where there is no tag', async t => {
  const date = { 'last-modified': 'Sun, 09 Sep 2001 01:46:40 GMT' }
  await using server = await serve((request, response, count) => {
    if (count === 1) breakOff(response, 0, date)
    else sendRest(response, fromOf(request))
  })
  t.deepEqual(await download(server.url), body)
  t.is(server.requests[1]?.headers['if-range'], date['last-modified'])
})

test('a server that knows no ranges sends the whole again, and what is there is passed over', async t => {
  const headers = { etag: '"one"', 'content-length': body.length }
  await using server = await serve((_, response, count) => {
    if (count === 1) breakOff(response, 0, headers)
    else response.writeHead(200, headers).end(body)
  })
  t.deepEqual(await download(server.url), body)
})

test('without a tag or a date only who has a checksum gets a download put together', async t => {
  const answer: Answer = (request, response, count) => {
    if (count % 2 === 1) breakOff(response, 0, {})
    else sendRest(response, fromOf(request))
  }
  await using server = await serve(answer)
  await t.throwsAsync(download(server.url), { message: /broke after \d+ bytes/ })
  server.requests.length = 0
  t.deepEqual(await download(server.url, { isVerified: true }), body)
})

test('breaks between pieces that bring something do not add up', async t => {
  const large = Buffer.alloc(9 * 1024 * 1024, 'x')
  await using server = await serve((request, response) => {
    const from = fromOf(request)
    const headers = { etag: '"one"', 'content-length': large.length - from }
    response.writeHead(from === 0 ? 200 : 206, {
      ...headers,
      'content-range': `bytes ${from}-${large.length - 1}/${large.length}`,
    })
    const to = from + 1_200_000
    response.write(large.subarray(from, to), () => {
      if (to >= large.length) response.end()
      else response.destroy()
    })
  })
  t.is((await download(server.url)).length, large.length)
})

const lies: readonly [string, Answer, RegExp][] = [
  [
    'a Content-Range that begins elsewhere',
    (_, response) => {
      response.writeHead(206, { 'content-range': `bytes 5-${body.length - 1}/${body.length}` })
      response.end(body.subarray(5))
    },
    /was asked for the bytes from \d+ on and answered with "bytes 5-/,
  ],
  [
    'a Content-Range of another length',
    (request, response) => {
      const from = fromOf(request)
      response.writeHead(206, { 'content-range': `bytes ${from}-${from + 9}/${from + 10}` })
      response.end(Buffer.alloc(10))
    },
    /was asked for the bytes from/,
  ],
  ['no Content-Range', (_, response) => response.writeHead(206).end(body), /answered with ""/],
  [
    'more than there is',
    (request, response) => {
      const from = fromOf(request)
      response.writeHead(206, {
        'content-range': `bytes ${from}-${body.length - 1}/${body.length}`,
      })
      response.end(Buffer.concat([body.subarray(from), Buffer.alloc(10_000)]))
    },
    /sends more than the 300000 bytes/,
  ],
  [
    'a rest with another tag',
    (request, response) => sendRest(response, fromOf(request), { etag: '"two"' }),
    /changed while it was downloaded/,
  ],
  [
    'another file',
    (_, response) => response.writeHead(200, { etag: '"two"' }).end(body),
    /changed while it was downloaded/,
  ],
  [
    'a file of the same tag and another length',
    (_, response) => response.writeHead(200, { etag: '"one"', 'content-length': 3 }).end('abc'),
    /changed while it was downloaded/,
  ],
  ['that it is gone', (_, response) => response.writeHead(404).end(), /broke after \d+ bytes/],
]
for (const [name, answer, message] of lies)
  test(`a server that answers a resumed download with ${name} is not believed`, async t => {
    await using server = await serve((request, response, count) => {
      if (count === 1) breakOff(response, 0, { etag: '"one"' })
      else answer(request, response, count)
    })
    await t.throwsAsync(download(server.url), { code: 'DOWNLOAD_FAILED', message })
  })

test('a server that is not there for a moment is asked again', async t => {
  const etag = '"one"'
  await using server = await serve((request, response, count) => {
    if (count === 1) breakOff(response, 0, { etag })
    else if (count === 2) response.writeHead(503).end()
    else if (count === 3) response.destroy()
    else sendRest(response, fromOf(request), { etag })
  })
  t.deepEqual(await download(server.url), body)
})

test('a server that never answers is left, and one that stops in the middle', async t => {
  await using silent = await serve(() => {})
  await t.throwsAsync(download(silent.url, { silenceMs: 100 }), { message: /is silent for 1 s/ })
  await using half = await serve((_, response) => {
    response.writeHead(200, { 'content-length': body.length })
    response.write(body.subarray(0, 1000))
  })
  await t.throwsAsync(download(half.url, { silenceMs: 200 }), {
    message: /broke after 1000 bytes|is silent/,
  })
})

test('a reader that takes its time is no silence of the server', async t => {
  await using server = await serve((_, response) => response.end(body))
  const { bytes } = await openDownload(server.url, { silenceMs: 4000 })
  let received = 0
  for await (const chunk of bytes) {
    if (received === 0) await new Promise(resolve => setTimeout(resolve, 5000))
    received += chunk.byteLength
  }
  t.is(received, body.length)
})

const astray: readonly [string, string, RegExp][] = [
  ['a file of this machine', 'file:///etc/passwd', /redirects to file:\/\/\/etc\/passwd/],
  ['another protocol', 'ftp://example.org/x', /redirects to ftp:/],
  ['no address', 'http://[', /redirects to http:\/\/\[/],
]
for (const [name, location, message] of astray)
  test(`a redirect to ${name} is refused`, async t => {
    await using server = await serve((_, response) => response.writeHead(302, { location }).end())
    await t.throwsAsync(download(server.url), { code: 'DOWNLOAD_FAILED', message })
  })

test('a redirect in a circle ends', async t => {
  await using server = await serve((_, response) =>
    response.writeHead(301, { location: '/' }).end(),
  )
  await t.throwsAsync(download(server.url), { message: /redirects 11 times/ })
})

test('credentials follow a redirect on the same host, and to no other one', async t => {
  await using other = await serve((_, response) => response.end(body))
  await using server = await serve((request, response) => {
    if (request.url === '/same') response.writeHead(307, { location: '/second' }).end()
    else if (request.url === '/second')
      response.writeHead(302, { location: other.url.replace('//', '//evil:secret@') }).end()
  })
  const address = `${server.url.replace('//', '//name:password@')}/same`
  t.deepEqual(await download(address), body)
  const basic = `Basic ${Buffer.from('name:password').toString('base64')}`
  t.deepEqual(
    server.requests.map(({ headers }) => headers.authorization),
    [basic, basic],
  )
  t.is(other.requests[0]?.headers.authorization, undefined)
})

test('messages hold neither passwords nor what follows the path', async t => {
  await using server = await serve((_, response) => response.writeHead(404).end())
  const address = `${server.url.replace('//', '//name:password@')}/x?token=secret`
  const error = await t.throwsAsync(download(address), { message: /answered 404/ })
  t.notRegex(error?.message ?? '', /password|secret/)
})

test('who cancels gets no error of the network', async t => {
  await using server = await serve((_, response) => {
    response.writeHead(200, { 'content-length': body.length })
    response.write(body.subarray(0, 1000))
  })
  const controller = new AbortController()
  const { bytes } = await openDownload(server.url, { signal: controller.signal })
  const reading = (async () => {
    for await (const _ of bytes) controller.abort()
  })()
  await t.throwsAsync(reading, { code: 'CANCELLED' })
})
