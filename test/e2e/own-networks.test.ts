// Networks of one's own: names, borders, places that come and go, and that nothing of them stays.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import process from 'node:process'
import ava, { type ExecutionContext } from 'ava'
import { eventually } from '../helpers/eventually.ts'
import type { ProgramResult } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { useNetwork } from '../helpers/network-containers.ts'

const test = testWith({ root: true, programs: ['ip', 'nsenter'] })
const net = useNetwork()

function kauri(...words: readonly string[]): Promise<ProgramResult> {
  return net.kauri.run(words, { through: net.host.through })
}

/** What a command prints; it must end well. */
async function done(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await kauri(...words)
  if (code !== 0) throw new Error(`${words.join(' ')}: ${stderr}`)
  return stdout.trimEnd()
}

/** One that says "hello" on port 7000, and does so already. */
async function server(name: string, ...options: readonly string[]): Promise<void> {
  await detached(name, 'talk listen 7000 600', ...options)
  const words = ['exec', name, 'talk', 'connect', '127.0.0.1', '7000']
  const answers = async (): Promise<boolean> => (await kauri(...words)).stdout.startsWith('hello')
  if (!(await eventually(answers))) throw new Error(`${name} does not listen`)
}

/** A machine of the world that answers no questions, and says so at once. */
const noServer = ['--dns', '192.0.2.1'] as const

/** A container that stays until it is removed. */
async function detached(
  name: string,
  script: string,
  ...options: readonly string[]
): Promise<void> {
  await done('run', '-d', '--name', name, ...options, 'talker', 'sh', '-c', script)
}

// A test that fails leaves containers that run.
ava.afterEach.always(async () => {
  if (process.getuid?.() !== 0) return
  const ids = (await kauri('ps', '-aq')).stdout.split('\n').filter(Boolean)
  if (ids.length > 0) await kauri('rm', '-f', ...ids)
  await kauri('network', 'prune', '-f')
})

/** Nothing but the host's own is left: interfaces, tables, processes, run-time files. */
async function nothingIsLeft(t: ExecutionContext): Promise<void> {
  const own = ['lo', 'way-out', 'kauri0']
  const others = (): string[] => net.host.interfaces().filter(name => !own.includes(name))
  t.true(await eventually(() => others().length === 0), others().join(' '))
  t.true(await eventually(() => processes().length === 0), processes().join('\n'))
}

/** Processes of the host's that serve networks. */
function processes(): string[] {
  const [, target = ''] = /--target=(\d+)/.exec(net.host.through.join(' ')) ?? []
  const namespace = namespaceOf(target)
  return readdirSync('/proc').filter(pid => {
    if (!/^\d+$/.test(pid) || namespaceOf(pid) !== namespace) return false
    const words = execFileSync('sh', ['-c', `tr '\\0' ' ' < /proc/${pid}/cmdline || true`], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
    return /network-names|launcher\S* ports/.test(words)
  })
}

function namespaceOf(pid: string): string {
  try {
    return execFileSync('readlink', [`/proc/${pid}/ns/net`], { encoding: 'utf8', stdio: 'pipe' })
  } catch {
    return ''
  }
}

test('containers on a network find each other by name, alias and id, and the world as before', async t => {
  await done('network', 'create', 'front')
  await server('web', '--network', 'front', '--network-alias', 'www')
  const id = (await done('ps', '-q')).slice(0, 12)
  const script = `s=$(grep nameserver /etc/resolv.conf); s=\${s#nameserver }
    for n in web WWW web.front ${id} nobody; do talk resolve $s $n; done; talk connect $(talk resolve $s web) 7000
    talk connect ${net.host.world} 80`
  const text = await net.printed(script, '--network', 'front', ...noServer)
  const [first = ''] = text.split('\n')
  t.regex(first, /^10\.78\.0\.\d+$/)
  t.deepEqual(text.split('\n'), [
    first,
    first,
    first,
    first,
    'code 2',
    'hello',
    `from ${net.host.address}`,
  ])
  const inspected = JSON.parse(await done('network', 'inspect', 'front'))
  t.like(inspected[0], { Name: 'front', Driver: 'bridge', Internal: false })
  const [container] = Object.values<{ Name: string; IPv4Address: string }>(inspected[0].Containers)
  t.like(container, { Name: 'web', IPv4Address: `${first}/24` })
  const refused = await kauri('network', 'rm', 'front')
  t.is(refused.code, 1)
  t.regex(refused.stderr, /active endpoints/)
  await done('rm', '-f', 'web')
  await done('network', 'rm', 'front')
  await nothingIsLeft(t)
})

test('networks are closed to each other and to the default bridge; published ports lead in', async t => {
  await done('network', 'create', 'one')
  await done('network', 'create', 'two')
  await server('server', '--network', 'one', '-p', '8088:7000')
  const state = JSON.parse(await done('network', 'inspect', 'one'))
  const [{ IPv4Address: text }] = Object.values<{ IPv4Address: string }>(state[0].Containers) as [
    { IPv4Address: string },
  ]
  const [address = ''] = text.split('/')
  t.is(await net.printed(`talk connect ${address} 7000`, '--network', 'one'), 'hello')
  for (const network of ['two', 'bridge']) {
    t.not(await net.printed(`talk connect ${address} 7000`, '--network', network), 'hello')
    const host = `$(ip route | grep default | grep -o '[0-9.]*[0-9] dev' | grep -o '[0-9.]*[0-9]')`
    t.is(await net.printed(`talk connect ${host} 8088`, '--network', network), 'hello')
  }
  t.is(
    await net.printed(
      'talk resolve $(grep -o "[0-9.]*$" /etc/resolv.conf | head -1) server',
      '--network',
      'two',
      ...noServer,
    ),
    'code 2',
  )
  await done('rm', '-f', 'server')
  await done('network', 'prune', '-f')
  await nothingIsLeft(t)
})

test('a resolver serves its network alone, not the neighbours of the host', async t => {
  await done('network', 'create', 'served')
  await server('member', '--network', 'served', ...noServer)
  const [{ IPAM }] = JSON.parse(await done('network', 'inspect', 'served')) as [
    { IPAM: { Config: [{ Gateway: string }] } },
  ]
  const gateway = IPAM.Config[0].Gateway
  // A question over TCP, to which there is an answer, or the end of the connection.
  const script = `const socket = require('node:net').connect(53, '${gateway}', () => console.log('connected'))
    socket.on('data', () => console.log('answered')).on('close', () => console.log('closed')).on('error', () => {})
    socket.write(Buffer.from('0018' + '123401000001000000000000' + '066e6f626f647900' + '00010001', 'hex'))`
  net.host.inWorld('ip', 'route', 'add', gateway, 'via', net.host.address)
  t.is(net.host.inWorld(process.execPath, '-e', script), 'connected\nclosed\n')
  await done('rm', '-f', 'member')
  await done('network', 'rm', 'served')
  await nothingIsLeft(t)
})

test('an internal network leads nowhere, not even by names', async t => {
  await done('network', 'create', '--internal', 'inner')
  await server('server', '--network', 'inner')
  const script = `s=$(grep nameserver /etc/resolv.conf); s=\${s#nameserver }
    talk connect $(talk resolve $s server) 7000; talk resolve $s example.org; talk connect ${net.host.world} 80; ip route`
  const lines = (await net.printed(script, '--network', 'inner')).split('\n')
  t.is(lines[0], 'hello')
  t.is(lines[1], 'code 2')
  t.not(lines[2], `from ${net.host.address}`)
  t.false(lines.slice(3).join().includes('default'))
  const published = await net.run('true', '--network', 'inner', '-p', '80')
  t.is(published.code, 125)
  await done('rm', '-f', 'server')
  await done('network', 'rm', 'inner')
  await nothingIsLeft(t)
})

test('addresses are chosen, asked for, and not given twice', async t => {
  await done(
    'network',
    'create',
    '--subnet',
    '172.28.0.0/16',
    '--ip-range',
    '172.28.5.0/24',
    'wide',
  )
  const show = 'ip -o -4 addr show dev eth0; cat /sys/class/net/eth0/address'
  t.regex(await net.printed(show, '--network', 'wide'), /172\.28\.5\.\d+\/16/)
  const asked = ['--network', 'wide', '--ip', '172.28.200.7', '--mac-address', '02:42:ac:1c:c8:07']
  const text = await net.printed(`${show}; talk connect ${net.host.world} 80`, ...asked)
  t.regex(text, /172\.28\.200\.7\/16[^]*02:42:ac:1c:c8:07\nfrom 192\.0\.2\.10$/)
  await detached('holder', 'sleep 600', '--network', 'wide', '--ip', '172.28.9.9')
  const second = await net.run('true', '--network', 'wide', '--ip', '172.28.9.9')
  t.is(second.code, 125)
  t.regex(second.stderr, /172\.28\.9\.9 is in use/)
  for (const address of ['172.28.0.0', '172.28.0.1', '172.28.255.255', '10.1.1.1'])
    t.is((await net.run('true', '--network', 'wide', '--ip', address)).code, 125, address)
  t.is((await kauri('network', 'create', '--subnet', '172.28.4.0/24', 'within')).code, 1)
  await done('rm', '-f', 'holder')
  await done('network', 'rm', 'wide')
  await nothingIsLeft(t)
})

test('a running container is put on networks and taken off them', async t => {
  await done('network', 'create', 'late')
  await detached('guest', 'sleep 600')
  await done('network', 'connect', '--alias', 'visitor', 'late', 'guest')
  const script = 's=$(grep -o "[0-9.]*$" /etc/resolv.conf | head -1); talk resolve $s visitor'
  const address = await net.printed(script, '--network', 'late')
  t.true((await done('exec', 'guest', 'ip', '-o', '-4', 'addr')).includes(`${address}/24`))
  t.regex(await done('exec', 'guest', 'cat', '/etc/resolv.conf'), /nameserver 10\.78\.0\.1/)
  t.is((await kauri('network', 'connect', 'late', 'guest')).code, 2)
  await done('network', 'disconnect', 'bridge', 'guest')
  t.false((await done('exec', 'guest', 'ip', '-o', 'link')).includes('eth0'))
  await done('restart', '-t', '0', 'guest')
  t.regex(await done('exec', 'guest', 'ip', '-o', '-4', 'addr'), /10\.78\.0\.\d+\/24/)
  await done('network', 'disconnect', 'late', 'guest')
  t.false((await done('exec', 'guest', 'ip', '-o', 'link')).includes('eth'))
  await done('rm', '-f', 'guest')
  await done('network', 'rm', 'late')
  await nothingIsLeft(t)
})

test('a container shares the network of another one', async t => {
  await server('owner')
  const text = await net.printed(
    'talk connect 127.0.0.1 7000; ip -o -4 addr',
    '--network',
    'container:owner',
  )
  t.regex(text, /^hello\n[^]*10\.77\./)
  await done('rm', '-f', 'owner')
  t.is((await net.run('true', '--network', 'container:owner')).code, 125)
})

test('networks that are there for good are listed, and stay', async t => {
  const names = (await done('network', 'ls', '--format', '{{.Name}} {{.Driver}}')).split('\n')
  t.deepEqual(names, ['bridge bridge', 'host host', 'none null'])
  for (const name of ['bridge', 'host', 'none']) {
    t.not((await kauri('network', 'rm', name)).code, 0)
    t.not((await kauri('network', 'create', name)).code, 0)
  }
  t.is((await net.run('true', '--network', 'nowhere')).code, 125)
})

test('a container whose monitor is killed gives up its ports, its addresses and its names', async t => {
  await done('network', 'create', 'lost')
  await detached('held', 'sleep 600', '--network', 'lost', '-p', '8077:80')
  const [{ State }] = JSON.parse(await done('inspect', 'held'))
  const [, parent = ''] =
    /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${State.Pid}/status`, 'utf8')) ?? []
  const [, monitor = ''] =
    /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${parent}/status`, 'utf8')) ?? []
  t.regex(readFileSync(`/proc/${monitor}/cmdline`, 'latin1'), /monitor/)
  process.kill(Number(monitor), 'SIGKILL')
  const takes = async (): Promise<boolean> =>
    (await net.run('true', '--network', 'lost', '-p', '8077:80')).code === 0
  t.true(await eventually(takes))
  t.regex(await done('ps', '-a', '--filter', 'name=held', '--format', '{{.Status}}'), /^Exited/)
  await done('rm', 'held')
  await done('network', 'rm', 'lost')
  await nothingIsLeft(t)
})

const kills = Number(process.env['KAURI_KILLS'] ?? '20')

test(`${kills} commands killed at any moment leave nothing that the next one does not remove`, async t => {
  const words = [
    ['network', 'create', 'killed'],
    ['run', '--rm', '--network', 'killed', '-p', '8099:80', 'talker', 'true'],
    ['network', 'rm', 'killed'],
  ]
  await kauri('network', 'create', 'killed')
  for (let turn = 0; turn < kills; turn++) {
    const child = net.kauri.start(words[turn % 3] ?? [], { through: net.host.through })
    const ended = new Promise(resolve => child.once('close', resolve))
    child.stdout?.resume()
    child.stderr?.resume()
    // Anywhere in a life of some 300 milliseconds.
    const timer = setTimeout(() => child.kill('SIGKILL'), Math.random() * 300)
    await ended
    clearTimeout(timer)
  }
  await kauri('network', 'create', 'killed')
  t.is(await net.printed('echo fine', '--network', 'killed', '-p', '8099:80'), 'fine')
  t.true(await eventually(async () => (await kauri('network', 'rm', 'killed')).code === 0))
  await nothingIsLeft(t)
})
