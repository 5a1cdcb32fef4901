// What keeps the server and its store whole: restarts and crashes in the middle of uploads, several servers, garbage
// collection, guessers, and who wastes connections.

import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { request as ask } from 'node:http'
import { connect, type Socket } from 'node:net'
import test from 'ava'
import { diskStore } from '../../src/store/disk-store.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { type Answer, digestOf, type Serving, serve } from './serving.ts'

const uploads = '/v2/team/app/blobs/uploads/'

async function begin(registry: Serving): Promise<string> {
  return (await registry.ask('POST', uploads)).header('location') ?? ''
}

const rawHead = `HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic ${Buffer.from('ann:secret').toString('base64')}\r\n`

/** What is told of an upload when no request uses it any more. */
async function untilFree(registry: Serving, place: string): Promise<Answer> {
  const until = Date.now() + 30_000
  for (;;) {
    const state = await registry.ask('GET', place)
    if (state.status !== 409 || Date.now() > until) return state
  }
}

test('an upload goes on after the server was started anew', async t => {
  using scratch = makeScratch()
  let place = ''
  {
    await using first = await serve('rw', false, { scratch })
    place = await begin(first)
    await first.ask('PATCH', place, { body: 'one ' })
  }
  await using second = await serve('rw', false, { scratch })
  const state = await second.ask('GET', place)
  t.deepEqual([state.status, state.header('range')], [204, '0-3'])
  await second.ask('PATCH', place, { body: 'two ', headers: { 'content-range': '4-7' } })
  const digest = digestOf('one two three')
  t.is((await second.ask('PUT', `${place}?digest=${digest}`, { body: 'three' })).status, 201)
  t.is((await second.ask('GET', `/v2/team/app/blobs/${digest}`)).text, 'one two three')
})

test('two servers of one store take turns at one upload', async t => {
  using scratch = makeScratch()
  await using one = await serve('rw', false, { scratch })
  await using two = await serve('rw', false, { scratch })
  const place = await begin(one)
  for (const [index, server] of [one, two, two, one].entries())
    t.is((await server.ask('PATCH', place, { body: String(index) })).status, 202)
  t.is((await two.ask('PUT', `${place}?digest=${digestOf('0123')}`)).status, 201)
  t.is((await one.ask('GET', `/v2/x/blobs/${digestOf('0123')}`)).text, '0123')
  const { digest } = await one.manifest('x')
  t.is((await two.ask('HEAD', '/v2/team/app/manifests/x')).header('docker-content-digest'), digest)
})

test('an upload is used by one request at a time', async t => {
  await using registry = await serve()
  const place = await begin(registry)
  const authorization = `Basic ${Buffer.from('ann:secret').toString('base64')}`
  const request = ask({
    port: registry.port,
    path: place,
    method: 'PATCH',
    headers: { authorization },
  })
  request.on('error', () => {})
  request.write('x'.repeat(100))
  let status = 204
  for (const until = Date.now() + 30_000; status === 204 && Date.now() < until; )
    ({ status } = await registry.ask('GET', place))
  t.is(status, 409)
  request.destroy()
  t.is((await untilFree(registry, place)).status, 204)
})

test('an upload that breaks off keeps what came, and can be continued', async t => {
  await using registry = await serve()
  const place = await begin(registry)
  const socket = connect(registry.port, '127.0.0.1')
  const isClosed = new Promise(resolve => socket.once('close', resolve))
  socket.on('error', () => {})
  socket.resume()
  socket.end(`PATCH ${place} ${rawHead}Content-Length: 1000\r\n\r\nabc`)
  await isClosed
  const state = await untilFree(registry, place)
  t.is(state.header('range'), '0-2')
  const end = await registry.ask('PUT', `${place}?digest=${digestOf('abcdef')}`, { body: 'def' })
  t.is(end.status, 201)
})

test('an upload that nobody continues goes with the next command', async t => {
  await using registry = await serve()
  const place = await begin(registry)
  const ingest = registry.scratch.at('store/ingest')
  const file = readdirSync(ingest).find(name => name.startsWith('upload-')) ?? ''
  utimesSync(`${ingest}/${file}`, 1, 1)
  diskStore(registry.scratch.at('store')).openBatch()[Symbol.dispose]()
  t.throws(() => statSync(`${ingest}/${file}`), { code: 'ENOENT' })
  t.is((await registry.ask('GET', place)).status, 404)
})

for (const id of ['..', '..%2f..%2findex.json', 'x', '00000000-0000-0000-0000-000000000000'])
  test(`an upload ${id} that nobody began is unknown, whatever its name`, async t => {
    await using registry = await serve()
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const { status } = await registry.ask(method, `${uploads}${id}`)
      t.true(status === 404 || status === 405, `${method} ${status}`)
    }
    t.false(existsSync(registry.scratch.at('store/ingest')))
  })

test('garbage collection leaves the blobs of a push that is under way', async t => {
  await using registry = await serve()
  const digest = await registry.blob('waits for its manifest')
  const store = diskStore(registry.scratch.at('store'))
  await store.collectGarbage({ graceMs: 0 })
  t.is((await registry.ask('HEAD', `/v2/team/app/blobs/${digest}`)).status, 200)
})

test('who comes under a foreign name is refused, as pages in browsers do (DNS rebinding)', async t => {
  await using registry = await serve('ro', true, { names: ['registry.example.org'] })
  const statusFor = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const request = ask({ port: registry.port, path: '/v2/', headers: { host } }, response => {
        response.resume()
        resolve(response.statusCode)
      })
      request.once('error', reject)
      request.end()
    })
  t.is(await statusFor('attacker.example.org'), 421)
  t.is(await statusFor('attacker.example.org:5000'), 421)
  t.is(await statusFor('localhost:1234'), 200)
  t.is(await statusFor('[::1]:5000'), 200)
  t.is(await statusFor('registry.example.org'), 200)
})

test('who guesses passwords has to wait; who has logged in before does not', async t => {
  await using registry = await serve()
  t.is((await registry.ask('GET', '/v2/')).status, 200)
  const statuses = []
  for (let guess = 0; guess < 12; guess++)
    statuses.push((await registry.ask('GET', '/v2/', { user: `ann:${guess}` })).status)
  t.deepEqual(
    statuses.slice(0, 10),
    Array.from({ length: 10 }, () => 401),
  )
  const refused = await registry.ask('GET', '/v2/', { user: 'ann:again' })
  t.is(refused.status, 429)
  t.true(Number(refused.header('retry-after')) > 0)
  t.is((await registry.ask('GET', '/v2/')).status, 200)
})

test('a request that trickles is let go, though something moves all the time', async t => {
  using scratch = makeScratch()
  await using patient = await serve('rw', false, { scratch })
  await using registry = await serve('rw', false, { scratch, idleMs: 1000 })
  const place = await begin(patient)
  const socket: Socket = connect(registry.port, '127.0.0.1')
  const isClosed = new Promise(resolve => socket.once('close', resolve))
  socket.on('error', () => {})
  socket.resume()
  socket.write(`PATCH ${place} ${rawHead}Content-Length: 100000\r\n\r\n`)
  const timer = setInterval(() => socket.write('x'), 100)
  await isClosed
  clearInterval(timer)
  t.true(socket.bytesWritten < 100_000)
})

test('the users’ file is read again when it changes', async t => {
  await using registry = await serve()
  t.is((await registry.ask('GET', '/v2/')).status, 200)
  writeFileSync(registry.scratch.at('htpasswd'), '')
  utimesSync(registry.scratch.at('htpasswd'), 1, 1)
  t.is((await registry.ask('GET', '/v2/')).status, 401)
})
