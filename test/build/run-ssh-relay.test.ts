import { existsSync, mkdirSync, statSync, symlinkSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { messageReader, openSshRelay } from '../../src/build/ssh-relay.ts'
import { eventually } from '../helpers/eventually.ts'
import { makeScratch } from '../helpers/scratch.ts'

function message(type: number, body = Buffer.alloc(0)): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length + 1)
  return Buffer.concat([length, Buffer.of(type), body])
}

interface Read {
  readonly types: number[]
  readonly bytes: Buffer[]
  nonsense: boolean
}

function read(chunks: readonly Buffer[]): Read {
  const seen: Read = { types: [], bytes: [], nonsense: false }
  const take = messageReader({
    onMessage(type, bytes) {
      seen.types.push(type)
      seen.bytes.push(Buffer.from(bytes))
    },
    onNonsense() {
      seen.nonsense = true
    },
  })
  for (const chunk of chunks) take(chunk)
  return seen
}

test('messages are told apart however the stream is cut', t => {
  const all = Buffer.concat([message(11), message(13, Buffer.alloc(300, 1)), message(17)])
  for (const size of [1, 2, 3, 5, 7, 100, all.length]) {
    const chunks = []
    for (let at = 0; at < all.length; at += size) chunks.push(all.subarray(at, at + size))
    const { types, bytes, nonsense } = read(chunks)
    t.deepEqual(types, [11, 13, 17])
    t.deepEqual(Buffer.concat(bytes), all)
    t.false(nonsense)
  }
})

for (const length of [0, 256 * 1024 + 1, 0xffff_ffff])
  test(`a message of ${length} bytes is nonsense, and nothing of it is kept`, t => {
    const header = Buffer.alloc(8)
    header.writeUInt32BE(length)
    t.true(read([header]).nonsense)
  })

async function listening(server: Server, socket: string): Promise<void> {
  await new Promise<void>(resolve => server.listen(socket, resolve))
}

/** An agent that answers every message with its type, and remembers what came. */
async function openFakeAgent(socket: string): Promise<{ types: number[]; close(): void }> {
  const types: number[] = []
  const clients = new Set<Socket>()
  const server = createServer(client => {
    clients.add(client)
    client.on('error', () => {})
    const take = messageReader({
      onMessage(type) {
        types.push(type)
        client.write(message(100 + type))
      },
      onNonsense: () => {},
    })
    client.on('data', take)
  })
  await listening(server, socket)
  return {
    types,
    close() {
      for (const client of clients) client.destroy()
      server.close()
    },
  }
}

async function answersTo(socket: string, bytes: Buffer, count: number): Promise<number[]> {
  const client = createConnection(socket)
  const types: number[] = []
  const take = messageReader({ onMessage: type => types.push(type), onNonsense: () => {} })
  client.on('data', take)
  client.on('error', () => {})
  client.write(bytes)
  await eventually(() => types.length >= count)
  client.destroy()
  return types
}

const looks = { mode: 0o640, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }

test('questions and signatures pass; keys cannot be added, removed or locked', async t => {
  using scratch = makeScratch()
  const agent = await openFakeAgent(scratch.at('agent'))
  const relay = await openSshRelay({
    agent: scratch.at('agent'),
    socket: scratch.at('relay'),
    ...looks,
  })
  t.is(statSync(scratch.at('relay')).mode & 0o777, 0o640)
  const refused = [17, 18, 19, 20, 21, 22, 23, 25, 26, 27, 0, 255]
  const asked = Buffer.concat([...refused.map(type => message(type)), message(11), message(13)])
  const answers = await answersTo(scratch.at('relay'), asked, refused.length + 2)
  t.deepEqual(
    answers.toSorted((a, b) => a - b),
    [...refused.map(() => 5), 111, 113],
  )
  t.deepEqual(agent.types, [11, 13])
  await relay[Symbol.asyncDispose]()
  agent.close()
})

/** An agent with long answers that, as a good server does, asks for nothing more until they are taken. */
async function openPatientAgent(socket: string): Promise<{ asked: number; close(): void }> {
  const agent = { asked: 0, close: () => server.close() }
  const server = createServer(client => {
    client.on('error', () => {})
    client.on('data', chunk => {
      agent.asked += chunk.length / message(11).length
      if (client.write(Buffer.alloc(chunk.length * 100))) return
      client.pause()
      client.once('drain', () => client.resume())
    })
  })
  await listening(server, socket)
  return agent
}

test('who asks on without reading the answers fills no memory, and many connections none either', async t => {
  using scratch = makeScratch()
  const agent = await openPatientAgent(scratch.at('agent'))
  const relay = await openSshRelay({
    agent: scratch.at('agent'),
    socket: scratch.at('relay'),
    ...looks,
  })
  const client = createConnection(scratch.at('relay'))
  client.on('error', () => {})
  const asked = 400_000
  client.write(Buffer.concat(Array.from({ length: asked }, () => message(11))))
  t.true(await eventually(() => agent.asked > 0))
  let before = -1
  while (before !== agent.asked) {
    before = agent.asked
    await sleep(200)
  }
  t.true(agent.asked < asked / 2, String(agent.asked))
  let closed = 0
  for (let i = 0; i < 100; i++) {
    const more = createConnection(scratch.at('relay'))
    more.on('error', () => {})
    more.once('close', () => closed++)
  }
  await eventually(() => closed >= 100 - 63)
  await sleep(200)
  t.is(closed, 100 - 63)
  await relay[Symbol.asyncDispose]()
  client.destroy()
  agent.close()
})

test('after the step nobody is connected, and nobody can connect', async t => {
  using scratch = makeScratch()
  const agent = await openFakeAgent(scratch.at('agent'))
  const relay = await openSshRelay({
    agent: scratch.at('agent'),
    socket: scratch.at('relay'),
    ...looks,
  })
  const client = createConnection(scratch.at('relay'))
  client.on('error', () => {})
  await new Promise(resolve => client.once('connect', resolve))
  const closed = new Promise(resolve => client.once('close', resolve))
  await relay[Symbol.asyncDispose]()
  await closed
  await t.throwsAsync(
    new Promise((_, reject) => createConnection(scratch.at('relay')).once('error', reject)),
    { code: 'ENOENT' },
  )
  agent.close()
})

test('names of sockets may be longer than the kernel takes', async t => {
  using scratch = makeScratch()
  const long = scratch.at('x'.repeat(120))
  mkdirSync(long)
  symlinkSync(long, scratch.at('short'))
  const agent = await openFakeAgent(scratch.at('short/agent'))
  const relay = await openSshRelay({ agent: `${long}/agent`, socket: `${long}/relay`, ...looks })
  t.deepEqual(await answersTo(scratch.at('short/relay'), message(11), 1), [111])
  await relay[Symbol.asyncDispose]()
  t.false(existsSync(`${long}/relay`))
  agent.close()
})

test('the end of one relay leaves the sockets of others alone', async t => {
  using scratch = makeScratch()
  const sockets = Array.from({ length: 8 }, (_, index) => {
    mkdirSync(scratch.at(String(index)))
    return scratch.at(String(index), 'relay')
  })
  const open = (socket: string): Promise<AsyncDisposable> =>
    openSshRelay({ agent: scratch.at('agent'), socket, ...looks })
  const relays = await Promise.all(sockets.slice(0, 4).map(open))
  await relays[1]?.[Symbol.asyncDispose]()
  const more = await Promise.all(sockets.slice(4).map(open))
  await relays[0]?.[Symbol.asyncDispose]()
  t.deepEqual(sockets.map(existsSync), [false, false, ...Array(6).fill(true)])
  for (const relay of [...relays, ...more]) await relay[Symbol.asyncDispose]()
})

test('an agent whose directory is not there is told', async t => {
  using scratch = makeScratch()
  const agent = scratch.at('gone/agent')
  const socket = scratch.at('relay')
  await t.throwsAsync(() => openSshRelay({ agent, socket, ...looks }), {
    message: `there is no socket ${agent} of an ssh agent`,
  })
  t.false(existsSync(socket))
})
