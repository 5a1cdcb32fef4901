// The bridge on hosts of all kinds: made, mended, kept apart from what is there, and left alone where it must be.

import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { flushRules, useNetwork } from '../helpers/network-containers.ts'
import { startPrivateHost } from '../helpers/private-host.ts'

const test = testWith({ root: true, programs: ['ip', 'nsenter', 'iptables-legacy'] })
const net = useNetwork()

for (const { what, harm } of [
  { what: 'the bridge removed', harm: () => net.host.onHost('ip', 'link', 'del', 'kauri0') },
  { what: 'the bridge down', harm: () => net.host.onHost('ip', 'link', 'set', 'kauri0', 'down') },
  {
    what: 'its address taken',
    harm: () => net.host.onHost('ip', 'addr', 'flush', 'dev', 'kauri0'),
  },
  {
    what: 'forwarding switched off',
    harm: () => net.host.onHost('sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward'),
  },
  { what: 'the rules flushed', harm: () => flushRules(net.host) },
  {
    what: 'a filter that drops what it does not know',
    harm: () => net.host.onHost('iptables-nft', '-P', 'FORWARD', 'DROP'),
  },
])
  test(`${what}: the next container has a way out again`, async t => {
    t.is(await net.printed('true'), '')
    harm()
    const { stdout, stderr } = await net.run(`talk connect ${net.host.world} 80`)
    t.is(stdout, `from ${net.host.address}\n`, stderr)
  })

test('the old kind of such a filter: the next container has a way out again', async t => {
  try {
    net.host.onHost('iptables-legacy', '-P', 'FORWARD', 'DROP')
  } catch (error) {
    t.log(`this kernel has none of it: ${String(error)}`)
    t.pass()
    return
  }
  t.is(await net.printed(`talk connect ${net.host.world} 80`), `from ${net.host.address}`)
  const rules = net.host.onHost('iptables-legacy', '-S', 'FORWARD')
  t.is(rules.match(/kauri0/g)?.length, 2, rules)
})

test('the bridge keeps away from addresses that the host has a route for', async t => {
  using other = await startPrivateHost()
  other.onHost('ip', 'route', 'add', '10.77.0.0/17', 'via', '192.0.2.1')
  const words = ['run', '--rm', 'talker', 'sh', '-c', `hostname -i; talk connect ${other.world} 80`]
  const { stdout, stderr } = await net.kauri.run(words, { through: other.through })
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
    const { stdout, stderr } = await net.kauri.run(words, { through: other.through })
    t.is(stdout, 'from 192.0.2.10\n', stderr)
    t.is(/forwards IPv4 packets from now on/.test(stderr), !forwardedBefore)
    other.inWorld('ip', 'route', 'add', '203.0.113.0/24', 'via', other.address)
    other.inWorld('bash', '-c', 'echo x > /dev/udp/203.0.113.9/9')
    // The host looks for the receiver of what it forwards.
    const sought = (): string => other.onHost('ip', 'neighbour', 'show', 'dev', 'lan')
    if (forwardedBefore) await eventually(() => sought() !== '')
    else await sleep(500)
    t.is(sought().includes('203.0.113.9'), forwardedBefore)
  })

test('the first ten containers of a host make one bridge', async t => {
  using other = await startPrivateHost()
  const words = ['run', '--rm', 'talker', 'sh', '-c', `talk connect ${other.world} 80; ip route`]
  const { through } = other
  const runs = await Promise.all(
    Array.from({ length: 10 }, () => net.kauri.run(words, { through })),
  )
  for (const { stdout, stderr } of runs)
    t.regex(stdout, /^from 192\.0\.2\.10\ndefault via 10\.77\.0\.1 /, stderr)
  t.is(other.onHost('ip', '-o', '-4', 'addr', 'show', 'dev', 'kauri0').match(/inet /g)?.length, 1)
})

test('an interface of that name that is no bridge is left alone', async t => {
  using other = await startPrivateHost()
  other.onHost('ip', 'link', 'add', 'kauri0', 'type', 'veth', 'peer', 'name', 'other')
  const words = ['run', '--rm', 'talker', 'true']
  const { code, stderr } = await net.kauri.run(words, { through: other.through })
  t.is(code, 125)
  t.regex(stderr, /kauri0 is no bridge but veth[^]*--network none/)
})

test('without the right to change networks the error names the networks that need none', async t => {
  const through = [...net.host.through, 'setpriv', '--bounding-set', '-net_admin']
  const { code, stderr } = await net.kauri.run(['run', '--rm', 'talker', 'true'], { through })
  t.is(code, 125)
  t.regex(stderr, /no bridge network: .*EPERM[^]*CAP_NET_ADMIN.*--network none and --network host/)
  const none = ['run', '--rm', '--network', 'none', 'talker', 'sh', '-c', 'echo works']
  t.is((await net.kauri.run(none, { through })).stdout, 'works\n')
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
  const { stdout, stderr } = await net.kauri.run(words, { through: other.through })
  t.regex(stdout, /^10\.50\.[0-7]\.\d+\nfrom 192\.0\.2\.10\ndefault via 10\.50\.3\.1 /, stderr)
})
