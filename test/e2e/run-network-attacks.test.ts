// What containers and builds on the bridge try in vain: the host’s own sockets, forged packets, each other.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { useNetwork } from '../helpers/network-containers.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true, programs: ['ip', 'nsenter'] })
const net = useNetwork()

test('CVE-2020-15257: the host’s abstract sockets and loopback are out of reach, what listens on all addresses is not', async t => {
  using scratch = makeScratch()
  const script = `const net = require('node:net'); const say = socket => socket.end('host')
    net.createServer(say).listen(81, '127.0.0.1'); net.createServer(say).listen(82, '0.0.0.0')
    net.createServer(say).listen('\\0kauri-test-abstract')
    setTimeout(() => require('node:fs').writeFileSync('${scratch.at('ready')}', ''), 100)
    setTimeout(() => {}, 20000)`
  const child = net.host.spawnOnHost(process.execPath, '-e', script)
  try {
    while (!existsSync(scratch.at('ready'))) await sleep(10)
    t.regex(await net.printed('talk connect 127.0.0.1 81'), /refused/)
    t.regex(await net.printed('talk connect 10.77.0.1 81'), /refused/)
    t.is(await net.printed('talk connect 10.77.0.1 82'), 'host')
    t.regex(await net.printed('talk abstract kauri-test-abstract'), /refused/)
    t.is(await net.printed('talk abstract kauri-test-abstract', '--network', 'host'), 'host')
  } finally {
    child.kill('SIGKILL')
  }
})

test('a packet with a source address of somebody else goes nowhere', async t => {
  using heard = listenInWorld()
  for (const source of ['192.0.2.99', '127.0.0.1', '10.77.0.1', '10.77.9.9'])
    t.is(await net.printed(`talk send-as ${source} ${net.host.world}`), 'sent')
  // One with the own address comes through, so the ear is open.
  t.is(await net.printed(`talk send-as $(hostname -i) ${net.host.world}`), 'sent')
  await eventually(() => heard.sources().length > 0)
  t.deepEqual(heard.sources(), [net.host.address])
})

function listenInWorld(): Disposable & { readonly sources: () => string[] } {
  const scratch = makeScratch()
  const file = scratch.at('heard')
  writeFileSync(file, '')
  const script = `const socket = require('node:dgram').createSocket('udp4')
    socket.on('message', (_, from) => require('node:fs').appendFileSync('${file}', from.address + '\\n'))
    socket.bind(9, () => require('node:fs').writeFileSync('${scratch.at('ready')}', ''))`
  const child = net.host.spawnInWorld(process.execPath, '-e', script)
  while (!existsSync(scratch.at('ready'))) execFileSync('sleep', ['0.02'])
  return {
    sources: () => readFileSync(file, 'utf8').split('\n').filter(Boolean),
    [Symbol.dispose]() {
      child.kill('SIGKILL')
      scratch[Symbol.dispose]()
    },
  }
}

for (const { whom, pick } of [
  { whom: 'the gateway', pick: () => '10.77.0.1' },
  { whom: 'another container', pick: (neighbour: string) => neighbour },
])
  test(`nobody answers for ${whom}`, async t => {
    using server = await net.startContainer('talk listen 7000 60')
    const claimed = pick(server.address)
    // A third one asks before and after the claim, and tells what it remembers of its neighbours.
    const ask = `talk connect ${claimed} 7000`
    const asking = net.printed(`${ask}; sleep 1.5; ${ask}; cat /proc/net/arp`)
    await sleep(700)
    t.is(await net.printed(`talk claim ${claimed}; talk claim ${claimed}`), 'sent\nsent')
    const [before, after, ...rest] = (await asking).split('\n')
    t.is(after, before)
    const hardware = whom === 'the gateway' ? '02:6b:00:00:00:00' : hardwareOf(claimed)
    t.regex(rest.join('\n'), new RegExp(`^${claimed} .* ${hardware} `, 'm'))
    const known = net.host.onHost('ip', 'neighbour', 'show', 'dev', 'kauri0', 'to', server.address)
    if (known !== '') t.regex(known, new RegExp(hardwareOf(server.address)))
  })

function hardwareOf(address: string): string {
  const bytes = address.split('.').map(byte => Number(byte).toString(16).padStart(2, '0'))
  return ['02', '6b', ...bytes].join(':')
}

test('what a build runs reaches the world and the host, and no container', async t => {
  using server = await net.startContainer('talk listen 7000 60')
  using scratch = makeScratch()
  const lines = [
    'FROM talker',
    `RUN talk connect ${net.host.world} 80 > /world`,
    `RUN talk connect ${server.address} 7000 > /neighbour; true`,
    'RUN talk connect 10.77.0.1 99 > /host; hostname -i > /address; true',
    'CMD ["cat", "/world", "/neighbour", "/host", "/address"]',
  ]
  writeFileSync(scratch.at('Dockerfile'), lines.join('\n'))
  const { through } = net.host
  const built = await net.kauri.run(['build', '--no-cache', '-t', 'built', scratch.path], {
    through,
  })
  t.is(built.code, 0, built.stderr)
  const { stdout } = await net.kauri.run(['run', '--rm', '--network', 'none', 'built'], { through })
  t.regex(
    stdout,
    /^from 192\.0\.2\.10\n(?:Operation now in progress|No route to net.host)\nConnection refused\n/,
  )
})

/** Whose datagram a container hears first: one that `send` sends to its address, or one of a container that comes after. */
async function firstHeard(send: (address: string) => Promise<unknown>): Promise<string> {
  const words = ['run', '--rm', 'talker', 'sh', '-c', 'hostname -i; talk hear 9 60']
  const child = net.kauri.start(words, { through: net.host.through })
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  const ended = new Promise(resolve => child.once('close', resolve))
  while (!text.includes('hearing') && child.exitCode === null) await sleep(10)
  const address = text.split('\n')[0] ?? ''
  await send(address)
  // Containers may go around by the host: so the way is there.
  const marker = await net.printed(`hostname -i; talk around $(hostname -i) ${address}`)
  await ended
  const heard = text.trim().split('\n').at(-1)
  return heard === marker.split('\n')[0] ? 'the container that came after' : (heard ?? '')
}

for (const source of ['$(hostname -i)', '10.77.1.1', '192.0.2.1'])
  test(`what a build runs does not reach a container by way of the host, as ${source}`, async t => {
    const heard = await firstHeard(async address => {
      using scratch = makeScratch()
      const attack = `RUN talk around ${source} ${address} && talk around ${source} ${address}`
      writeFileSync(scratch.at('Dockerfile'), `FROM talker\n${attack}\n`)
      const { through } = net.host
      const built = await net.kauri.run(['build', '--no-cache', scratch.path], { through })
      t.is(built.code, 0, built.stderr)
    })
    t.is(heard, 'the container that came after')
  })
