import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import test from 'ava'
import { openPortRelay, type PublishedPort } from '../../src/network/port-relay.ts'

const here = '127.0.0.1'
const nothing = new Uint8Array(0)
const noEntries = { renew: nothing, make: nothing, remove: nothing }

interface Listener extends AsyncDisposable {
  readonly port: number
}

async function listen(onClient: (client: Socket) => void): Promise<Listener> {
  const clients = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, client => {
    clients.add(client)
    client.on('error', () => {})
    onClient(client)
  })
  server.listen(0, here)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function port(containerPort: number, more: Partial<PublishedPort> = {}): PublishedPort {
  return { protocol: 'tcp', hostAddress: here, hostPort: 0, containerPort, ...more }
}

test('what comes in goes on, both ways, and each end of a stream is passed on', async t => {
  const big = 'x'.repeat(1_000_000)
  await using server = await listen(client => {
    let heard = 0
    client.on('data', chunk => (heard += chunk.length))
    client.on('end', () => client.end(`${heard} ${big}`))
  })
  await using relays = await openPortRelay([port(server.port)])
  await relays.leadTo(here, noEntries)
  const client = connect(relays.ports[0]?.hostPort ?? 0, here)
  client.end(big)
  const answer = await text(client)
  t.is(answer.length, `${big.length} ${big}`.length)
  t.true(answer.startsWith(`${big.length} x`))
})

test('a port is taken at once, and who comes early waits until it leads somewhere', async t => {
  await using server = await listen(client => client.end('late'))
  await using relays = await openPortRelay([port(server.port)])
  const client = connect(relays.ports[0]?.hostPort ?? 0, here)
  await once(client, 'connect')
  await relays.leadTo(here, noEntries)
  t.is(await text(client), 'late')
})

test('a container that does not listen breaks the connection off', async t => {
  await using relays = await openPortRelay([port(1)])
  await relays.leadTo(here, noEntries)
  const client = connect(relays.ports[0]?.hostPort ?? 0, here)
  const [error] = await once(client, 'error')
  t.is(error.code, 'ECONNRESET')
})

test('a port of somebody else is named, and those taken before it are free again', async t => {
  await using server = await listen(client => client.end())
  const first = await freePort()
  await t.throwsAsync(
    openPortRelay([port(80, { hostPort: first }), port(80, { hostPort: server.port })]),
    {
      code: 'NETWORK_UNAVAILABLE',
      message: new RegExp(`port 127.0.0.1:${server.port}/tcp of the host is in use`),
    },
  )
  await using again = await openPortRelay([port(80, { hostPort: first })])
  t.is(again.ports[0]?.hostPort, first)
})

async function freePort(): Promise<number> {
  await using relays = await openPortRelay([port(80)])
  return relays.ports[0]?.hostPort ?? 0
}

test('an address that is not of this host is refused', async t => {
  await t.throwsAsync(openPortRelay([port(80, { hostAddress: '192.0.2.77' })]), {
    code: 'NETWORK_UNAVAILABLE',
    message: /192\.0\.2\.77:0\/tcp of the host cannot be taken/,
  })
})

test('datagrams find their way there and back, each sender its own', async t => {
  const echo = createSocket('udp4')
  echo.on('message', (bytes, from) => echo.send(`${String(bytes)} back`, from.port, from.address))
  echo.bind(0, here)
  await once(echo, 'listening')
  await using relays = await openPortRelay([port(echo.address().port, { protocol: 'udp' })])
  await relays.leadTo(here, noEntries)
  const answers = await Promise.all(
    ['one', 'two'].map(async word => {
      const client = createSocket('udp4')
      client.send(word, relays.ports[0]?.hostPort ?? 0, here)
      const [bytes] = await once(client, 'message')
      client.close()
      return String(bytes)
    }),
  )
  t.deepEqual(answers, ['one back', 'two back'])
  echo.close()
})

test('closing breaks off what is open', async t => {
  await using server = await listen(() => {})
  const relays = await openPortRelay([port(server.port)])
  await relays.leadTo(here, noEntries)
  const client = connect(relays.ports[0]?.hostPort ?? 0, here)
  client.on('error', () => {})
  await once(client, 'connect')
  const closed = new Promise(resolve => client.once('close', resolve))
  await relays[Symbol.asyncDispose]()
  await closed
  t.pass()
})
