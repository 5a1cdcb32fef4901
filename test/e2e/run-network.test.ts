// Containers on the bridge: the way out and what must stay closed, on a host of the tests' own with a world behind it.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import anyTest from 'ava'
import type { ProgramResult } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { type PrivateHost, startPrivateHost } from '../helpers/private-host.ts'
import { useContainers } from '../helpers/run-containers.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true, programs: ['ip', 'nsenter', 'iptables-legacy'] })
const { kauri, importRoot } = useContainers()

const talkSource = path.join(import.meta.dirname, 'programs/network-talk.c')

let host: PrivateHost

anyTest.before(async () => {
  if (process.getuid?.() !== 0) return
  host = await startPrivateHost({ mtu: 1400 })
  await importRoot('talker', root => {
    execFileSync('cc', ['-O1', '-static', '-o', path.join(root, 'bin/talk'), talkSource])
  })
})

anyTest.after.always(() => host?.[Symbol.dispose]())

/** `kauri run --rm OPTIONS talker sh -c SCRIPT` on the private host. */
function run(script: string, ...options: readonly string[]): Promise<ProgramResult> {
  const words = ['run', '--rm', ...options, 'talker', 'sh', '-c', script]
  return kauri.run(words, { through: host.through })
}

/** What a script prints, whatever its exit code. */
async function printed(script: string, ...options: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run(script, ...options)
  return stdout.trimEnd() + stderr
}

/** A container that runs until it is disposed of, and its address. */
async function startContainer(
  script: string,
  ...options: readonly string[]
): Promise<Disposable & { readonly address: string }> {
  const words = ['run', '--rm', ...options, 'talker', 'sh', '-c', `hostname -i; echo; ${script}`]
  const child = kauri.start(words, { through: host.through })
  const ended = new Promise(resolve => child.once('close', resolve))
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  for (let waited = 0; !/^10\.[^]*\n[^]*\n/.test(text); waited++) {
    if (waited > 500 || child.exitCode !== null) throw new Error(text)
    await sleep(10)
  }
  return {
    address: /^(10\.\S+)/.exec(text)?.[1] ?? '',
    [Symbol.dispose]() {
      child.kill('SIGKILL')
      void ended
    },
  }
}

/** Waits until the host has no interface but its own and the bridge: the kernel takes namespaces down in its own time. */
async function onlyBridgeIsLeft(): Promise<string[]> {
  for (let waited = 0; ; waited++) {
    const others = host.interfaces().filter(name => !['lo', 'way-out', 'kauri0'].includes(name))
    if (others.length === 0 || waited > 500) return others
    await sleep(10)
  }
}

test('a container reaches the world under the address of the host', async t => {
  t.is(await printed(`talk connect ${host.world} 80`), `from ${host.address}`)
  t.deepEqual(await onlyBridgeIsLeft(), [])
})

test('it has one interface beside the loopback, with an address, a route and the MTU of the host’s way out', async t => {
  const text = await printed('ip -o -4 addr show dev eth0; ip route; ip -o link; cat /etc/hosts')
  const [, address = ''] = /inet (10\.77\.\d+\.\d+)\/20 brd 10\.77\.15\.255/.exec(text) ?? []
  t.not(address, '', text)
  t.regex(text, /^default via 10\.77\.0\.1 dev eth0/m)
  t.regex(text, /eth0@.* mtu 1400 /)
  t.is(text.match(/^\d+: /gm)?.length, 3, text)
  t.regex(text, new RegExp(`^${address}\\t[0-9a-f]{12}$`, 'm'))
})

test('there is no IPv6 address but the loopback’s', async t => {
  t.regex(await printed('cat /proc/net/if_inet6'), /^0{31}1 01 80 10 80 +lo$/)
})

test('CVE-2020-15257: the host’s abstract sockets and loopback are out of reach, what listens on all addresses is not', async t => {
  using scratch = makeScratch()
  const script = `const net = require('node:net'); const say = socket => socket.end('host')
    net.createServer(say).listen(81, '127.0.0.1'); net.createServer(say).listen(82, '0.0.0.0')
    net.createServer(say).listen('\\0kauri-test-abstract')
    setTimeout(() => require('node:fs').writeFileSync('${scratch.at('ready')}', ''), 100)
    setTimeout(() => {}, 20000)`
  const child = host.spawnOnHost(process.execPath, '-e', script)
  try {
    while (!existsSync(scratch.at('ready'))) await sleep(10)
    t.regex(await printed('talk connect 127.0.0.1 81'), /refused/)
    t.regex(await printed('talk connect 10.77.0.1 81'), /refused/)
    t.is(await printed('talk connect 10.77.0.1 82'), 'host')
    t.regex(await printed('talk abstract kauri-test-abstract'), /refused/)
    t.is(await printed('talk abstract kauri-test-abstract', '--network', 'host'), 'host')
  } finally {
    child.kill('SIGKILL')
  }
})

test('containers reach each other, the world does not reach them', async t => {
  using server = await startContainer('talk listen 7000 30')
  t.is(await printed(`talk connect ${server.address} 7000`), 'hello')
  host.inWorld('ip', 'route', 'replace', '10.77.0.0/20', 'via', host.address)
  using scratch = makeScratch()
  const probe = scratch.at('talk')
  execFileSync('cc', ['-O1', '-static', '-o', probe, talkSource])
  t.throws(() => host.inWorld(probe, 'connect', server.address, '7000'))
  t.is(host.onHost(probe, 'connect', server.address, '7000'), 'hello\n')
  host.inWorld('ip', 'route', 'del', '10.77.0.0/20')
})

test('a packet with a source address of somebody else goes nowhere', async t => {
  using heard = listenInWorld()
  for (const source of ['192.0.2.99', '127.0.0.1', '10.77.0.1', '10.77.9.9'])
    t.is(await printed(`talk send-as ${source} ${host.world}`), 'sent')
  // One with the own address comes through, so the ear is open.
  t.is(await printed(`talk send-as $(hostname -i) ${host.world}`), 'sent')
  for (let waited = 0; heard.sources().length === 0 && waited < 300; waited++) await sleep(10)
  t.deepEqual(heard.sources(), [host.address])
})

function listenInWorld(): Disposable & { readonly sources: () => string[] } {
  const scratch = makeScratch()
  const file = scratch.at('heard')
  writeFileSync(file, '')
  const script = `const socket = require('node:dgram').createSocket('udp4')
    socket.on('message', (_, from) => require('node:fs').appendFileSync('${file}', from.address + '\\n'))
    socket.bind(9, () => require('node:fs').writeFileSync('${scratch.at('ready')}', ''))`
  const child = host.spawnInWorld(process.execPath, '-e', script)
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
    using server = await startContainer('talk listen 7000 60')
    const claimed = pick(server.address)
    // A third one asks before and after the claim, and tells what it remembers of its neighbours.
    const ask = `talk connect ${claimed} 7000`
    const asking = printed(`${ask}; sleep 1.5; ${ask}; cat /proc/net/arp`)
    await sleep(700)
    t.is(await printed(`talk claim ${claimed}; talk claim ${claimed}`), 'sent\nsent')
    const [before, after, ...rest] = (await asking).split('\n')
    t.is(after, before)
    const hardware = whom === 'the gateway' ? '02:6b:00:00:00:00' : hardwareOf(claimed)
    t.regex(rest.join('\n'), new RegExp(`^${claimed} .* ${hardware} `, 'm'))
    const known = host.onHost('ip', 'neighbour', 'show', 'dev', 'kauri0', 'to', server.address)
    if (known !== '') t.regex(known, new RegExp(hardwareOf(server.address)))
  })

function hardwareOf(address: string): string {
  const bytes = address.split('.').map(byte => Number(byte).toString(16).padStart(2, '0'))
  return ['02', '6b', ...bytes].join(':')
}

test('twenty containers at once have twenty addresses, and leave nothing', async t => {
  using scratch = makeScratch()
  // Nobody goes before all are there.
  const script = 'touch /all/$HOSTNAME; while [ $(ls /all | wc -l) -lt 20 ]; do sleep 0.1; done'
  const results = await Promise.all(
    Array.from({ length: 20 }, () => run(`${script}; hostname -i`, '-v', `${scratch.path}:/all`)),
  )
  for (const { code, stderr } of results) t.is(code, 0, stderr)
  t.is(new Set(results.map(({ stdout }) => stdout)).size, 20)
  t.deepEqual(await onlyBridgeIsLeft(), [])
})

for (const afterMs of [60, 75, 90, 120, 200])
  test(`kauri killed after ${afterMs} ms leaves no interface`, async t => {
    const words = ['run', '--rm', 'talker', 'sleep', '30']
    const child = kauri.start(words, { through: host.through })
    const ended = new Promise(resolve => child.once('close', resolve))
    await sleep(afterMs)
    child.kill('SIGKILL')
    child.stdout?.resume()
    child.stderr?.resume()
    await ended
    t.deepEqual(await onlyBridgeIsLeft(), [])
    t.is(await printed(`talk connect ${host.world} 80`), `from ${host.address}`)
  })

for (const { what, harm } of [
  { what: 'the bridge removed', harm: () => host.onHost('ip', 'link', 'del', 'kauri0') },
  { what: 'the bridge down', harm: () => host.onHost('ip', 'link', 'set', 'kauri0', 'down') },
  { what: 'its address taken', harm: () => host.onHost('ip', 'addr', 'flush', 'dev', 'kauri0') },
  {
    what: 'forwarding switched off',
    harm: () => host.onHost('sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward'),
  },
  { what: 'the rules flushed', harm: () => flushRules() },
  {
    what: 'a filter that drops what it does not know',
    harm: () => host.onHost('iptables-nft', '-P', 'FORWARD', 'DROP'),
  },
])
  test(`${what}: the next container has a way out again`, async t => {
    t.is(await printed('true'), '')
    harm()
    const { stdout, stderr } = await run(`talk connect ${host.world} 80`)
    t.is(stdout, `from ${host.address}\n`, stderr)
  })

test('the old kind of such a filter: the next container has a way out again', async t => {
  try {
    host.onHost('iptables-legacy', '-P', 'FORWARD', 'DROP')
  } catch (error) {
    t.log(`this kernel has none of it: ${String(error)}`)
    t.pass()
    return
  }
  t.is(await printed(`talk connect ${host.world} 80`), `from ${host.address}`)
  const rules = host.onHost('iptables-legacy', '-S', 'FORWARD')
  t.is(rules.match(/kauri0/g)?.length, 2, rules)
})

/** What `nft flush ruleset` does to kauri's table of that family. */
function flushRules(): void {
  const netlink = path.join(import.meta.dirname, '../../src/runtime/netlink.ts')
  const script = `const { netlinkRequest, nameBytes } = await import('${netlink}')
    const header = Uint8Array.of(0, 0, 0, 10), own = Uint8Array.of(2, 0, 0, 0)
    const edge = { flags: 1, header, attributes: [], purpose: 'flushing' }
    netlinkRequest(12, [{ ...edge, type: 0x10 },
      { type: 0xa02, flags: 5, header: own, attributes: [[1, nameBytes('kauri')]], purpose: 'flushing' },
      { ...edge, type: 0x11 }])`
  host.onHost(process.execPath, '--input-type=module', '-e', script)
}

test('the bridge keeps away from addresses that the host has a route for', async t => {
  using other = await startPrivateHost()
  other.onHost('ip', 'route', 'add', '10.77.0.0/17', 'via', '192.0.2.1')
  const words = ['run', '--rm', 'talker', 'sh', '-c', `hostname -i; talk connect ${other.world} 80`]
  const { stdout, stderr } = await kauri.run(words, { through: other.through })
  t.regex(stdout, /^10\.77\.1(2[89]|[3-9]\d)\.\d+\nfrom 192\.0\.2\.10\n$/, stderr)
})

for (const forwardedBefore of [false, true])
  test(`a host that ${forwardedBefore ? 'was' : 'was not'} a router for others ${forwardedBefore ? 'stays' : 'becomes'} ${forwardedBefore ? 'one' : 'none'}`, async t => {
    using other = await startPrivateHost()
    const setting = '/proc/sys/net/ipv4/ip_forward'
    other.onHost('sh', '-c', `echo ${forwardedBefore ? 1 : 0} > ${setting}`)
    other.onHost('ip', 'link', 'add', 'lan', 'type', 'veth', 'peer', 'name', 'far')
    other.onHost('ip', 'address', 'add', '203.0.113.1/24', 'dev', 'lan')
    for (const name of ['lan', 'far']) other.onHost('ip', 'link', 'set', name, 'up')
    const words = ['run', '--rm', 'talker', 'talk', 'connect', other.world, '80']
    const { stdout, stderr } = await kauri.run(words, { through: other.through })
    t.is(stdout, 'from 192.0.2.10\n', stderr)
    t.is(/forwards IPv4 packets from now on/.test(stderr), !forwardedBefore)
    other.inWorld('ip', 'route', 'add', '203.0.113.0/24', 'via', other.address)
    other.inWorld('bash', '-c', 'echo x > /dev/udp/203.0.113.9/9')
    // The host looks for the receiver of what it forwards.
    const sought = (): string => other.onHost('ip', 'neighbour', 'show', 'dev', 'lan')
    for (let waited = 0; waited < 30 && sought() === ''; waited++) await sleep(10)
    t.is(sought().includes('203.0.113.9'), forwardedBefore)
  })

test('the first ten containers of a host make one bridge', async t => {
  using other = await startPrivateHost()
  const words = ['run', '--rm', 'talker', 'sh', '-c', `talk connect ${other.world} 80; ip route`]
  const { through } = other
  const runs = await Promise.all(Array.from({ length: 10 }, () => kauri.run(words, { through })))
  for (const { stdout, stderr } of runs)
    t.regex(stdout, /^from 192\.0\.2\.10\ndefault via 10\.77\.0\.1 /, stderr)
  t.is(other.onHost('ip', '-o', '-4', 'addr', 'show', 'dev', 'kauri0').match(/inet /g)?.length, 1)
})

test('an interface of that name that is no bridge is left alone', async t => {
  using other = await startPrivateHost()
  other.onHost('ip', 'link', 'add', 'kauri0', 'type', 'veth', 'peer', 'name', 'other')
  const words = ['run', '--rm', 'talker', 'true']
  const { code, stderr } = await kauri.run(words, { through: other.through })
  t.is(code, 125)
  t.regex(stderr, /kauri0 is no bridge but veth[^]*--network none/)
})

test('without the right to change networks the error names the networks that need none', async t => {
  const through = [...host.through, 'setpriv', '--bounding-set', '-net_admin']
  const { code, stderr } = await kauri.run(['run', '--rm', 'talker', 'true'], { through })
  t.is(code, 125)
  t.regex(stderr, /no bridge network: .*EPERM[^]*CAP_NET_ADMIN.*--network none and --network host/)
  const none = ['run', '--rm', '--network', 'none', 'talker', 'sh', '-c', 'echo works']
  t.is((await kauri.run(none, { through })).stdout, 'works\n')
})

test('the caller names resolvers, domains, options and hosts', async t => {
  const options = ['--dns', '192.0.2.53', '--dns', '2001:db8::53', '--dns-search', 'example.org']
  const more = ['--dns-option', 'ndots:2', '--add-host', 'h:host-gateway', '--hostname', 'a.b.c']
  const text = await printed('cat /etc/resolv.conf /etc/hosts', ...options, ...more)
  const resolver =
    'nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.org\noptions ndots:2\n'
  t.true(text.startsWith(resolver), text)
  t.regex(text, /\n10\.77\.0\.1\th\n10\.77\.\d+\.\d+\ta\.b\.c a$/)
})

test('words that are no resolver are refused', async t => {
  for (const words of [
    ['--dns', 'name'],
    ['--dns-search', 'a b'],
    ['--dns-option', ''],
    ['--network', 'container:x'],
  ])
    t.is((await run('true', ...words)).code, 125, words.join(' '))
})

test('a published port leads to the container, from the world and from the host', async t => {
  using _ = await startContainer(
    'talk listen 7000 60',
    '-p',
    '8080:7000',
    '-p',
    '127.0.0.1:8081:7000',
  )
  using scratch = makeScratch()
  const probe = scratch.at('talk')
  execFileSync('cc', ['-O1', '-static', '-o', probe, talkSource])
  t.is(host.inWorld(probe, 'connect', host.address, '8080'), 'hello\n')
  for (const port of ['8080', '8081'])
    t.is(host.onHost(probe, 'connect', '127.0.0.1', port), 'hello\n')
  t.throws(() => host.inWorld(probe, 'connect', host.address, '8081'))
  t.is(await printed('talk connect 10.77.0.1 8080'), 'hello')
  const listed = await kauri.run(['ps'], { through: host.through })
  t.regex(listed.stdout, /0\.0\.0\.0:8080->7000\/tcp, 127\.0\.0\.1:8081->7000\/tcp/)
  const second = await run('true', '-p', '8080:80')
  t.is(second.code, 125)
  t.regex(second.stderr, /port 8080\/tcp of the host is in use/)
})

test('what comes to a published port from another machine has that machine’s address', async t => {
  using _ = await startContainer('talk listen 7000 60', '-p', '8080:7000')
  using scratch = makeScratch()
  const probe = scratch.at('talk')
  execFileSync('cc', ['-O1', '-static', '-o', probe, talkSource])
  t.is(host.inWorld(probe, 'connect', host.address, '8080'), 'hello\n')
  t.is(host.inWorld(probe, 'peer', host.address, '8080'), '192.0.2.1\n')
  t.regex(host.onHost(probe, 'peer', '127.0.0.1', '8080'), /^10\.77\.0\.1\n$/)
})

test('elements for published ports are renewed, also where somebody took the table, and go with their holder', async t => {
  t.is(await printed('true'), '')
  const runtime = path.join(import.meta.dirname, '../../src/runtime')
  const script = `const { translatePorts } = await import('${runtime}/port-translation.ts')
    const { netlinkRequest, nameBytes } = await import('${runtime}/netlink.ts')
    const count = () => {
      const attributes = [[1, nameBytes('kauri')], [2, nameBytes('published')]]
      const get = { type: 0xa0d, flags: 0x301, header: Uint8Array.of(2, 0, 0, 0), attributes, purpose: 'counting' }
      return String(Buffer.concat(netlinkRequest(12, [get]).map(({ body }) => body)).toString('hex').split('0a4d0909').length - 1)
    }
    const port = { protocol: 'tcp', hostAddress: '', hostPort: 80, containerPort: 81 }
    const told = [count()]
    {
      using first = translatePorts([port, { ...port, hostPort: 82 }], '10.77.9.9')
      told.push(count())
      using again = translatePorts([port, { ...port, hostPort: 82 }], '10.77.9.9')
      told.push(count())
    }
    told.push(count())
    console.log(told.join(' '))`
  t.is(host.onHost(process.execPath, '--input-type=module', '-e', script), '0 2 2 0\n')
  flushRules()
  const alone = `const { translatePorts } = await import('${runtime}/port-translation.ts')
    using _ = translatePorts([{ protocol: 'udp', hostAddress: '', hostPort: 1, containerPort: 1 }], '10.77.9.9')
    console.log('fine')`
  t.is(host.onHost(process.execPath, '--input-type=module', '-e', alone), 'fine\n')
})

test('a killed kauri frees its ports', async t => {
  {
    using _ = await startContainer('sleep 60', '-p', '8080:7000')
  }
  for (let tries = 0; tries < 100; tries++) {
    if ((await run('true', '-p', '8080:80')).code === 0) break
    await sleep(20)
  }
  t.is((await run('true', '-p', '8080:80')).code, 0)
})

test('ports without the bridge, and what is no port, are refused', async t => {
  for (const words of [
    ['-p', '80:80', '--network', 'none'],
    ['-p', '80:80', '--network', 'host'],
    ['-p', '0:80'],
    ['-p', 'x'],
    ['-p', '1-2:3'],
  ])
    t.is((await run('true', ...words)).code, 125, words.join(' '))
})

test('what a build runs reaches the world and the host, and no container', async t => {
  using server = await startContainer('talk listen 7000 60')
  using scratch = makeScratch()
  const lines = [
    'FROM talker',
    `RUN talk connect ${host.world} 80 > /world`,
    `RUN talk connect ${server.address} 7000 > /neighbour; true`,
    'RUN talk connect 10.77.0.1 99 > /host; hostname -i > /address; true',
    'CMD ["cat", "/world", "/neighbour", "/host", "/address"]',
  ]
  writeFileSync(scratch.at('Dockerfile'), lines.join('\n'))
  const { through } = host
  const built = await kauri.run(['build', '--no-cache', '-t', 'built', scratch.path], { through })
  t.is(built.code, 0, built.stderr)
  const { stdout } = await kauri.run(['run', '--rm', '--network', 'none', 'built'], { through })
  t.regex(
    stdout,
    /^from 192\.0\.2\.10\n(?:Operation now in progress|No route to host)\nConnection refused\n/,
  )
})

/** What a container hears of a datagram that `send` sends to its address. */
async function heardOf(send: (address: string) => Promise<unknown>): Promise<string> {
  const words = ['run', '--rm', 'talker', 'sh', '-c', 'hostname -i; talk hear 9 6']
  const child = kauri.start(words, { through: host.through })
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  const ended = new Promise(resolve => child.once('close', resolve))
  while (!text.includes('hearing') && child.exitCode === null) await sleep(10)
  await send(text.split('\n')[0] ?? '')
  await ended
  return text.trim().split('\n').at(-1) ?? ''
}

test('nor does it reach one by way of the host, under no address', async t => {
  // A container may: so the way is there.
  const own = await heardOf(address => printed(`talk around $(hostname -i) ${address}`))
  t.regex(own, /^10\.77\.[0-7]\.\d+$/)
  for (const source of ['$(hostname -i)', '10.77.1.1', '192.0.2.1']) {
    const heard = await heardOf(async address => {
      using scratch = makeScratch()
      const attack = `RUN talk around ${source} ${address} && talk around ${source} ${address}`
      writeFileSync(scratch.at('Dockerfile'), `FROM talker\n${attack}\n`)
      const { through } = host
      const built = await kauri.run(['build', '--no-cache', scratch.path], { through })
      t.is(built.code, 0, built.stderr)
    })
    t.is(heard, 'nothing', source)
  }
})

test('a bridge of that name that somebody made is used as it is', async t => {
  using other = await startPrivateHost()
  other.onHost('ip', 'link', 'add', 'kauri0', 'type', 'bridge')
  other.onHost('ip', 'address', 'add', '10.50.3.1/16', 'dev', 'kauri0')
  const words = [
    'run',
    '--rm',
    'talker',
    'sh',
    '-c',
    `hostname -i; talk connect ${other.world} 80; ip route`,
  ]
  const { stdout, stderr } = await kauri.run(words, { through: other.through })
  t.regex(stdout, /^10\.50\.[0-7]\.\d+\nfrom 192\.0\.2\.10\ndefault via 10\.50\.3\.1 /, stderr)
})
