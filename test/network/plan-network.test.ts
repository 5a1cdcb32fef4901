import test from 'ava'
import { chooseNetworkSubnet } from '../../src/network/bridge-subnet.ts'
import { formatBlock, formatIpv4, parseBlock } from '../../src/network/ipv4.ts'
import { bridgeSpecOf, type Network } from '../../src/network/networks.ts'
import { type NetworkWish, planNetwork } from '../../src/network/plan-network.ts'

const wish: NetworkWish = { name: 'own', internal: false, labels: {}, options: {} }

/** Of a block that this machine has no interface in. */
function plan(more: Partial<NetworkWish>, others: readonly Network[] = []): string {
  const { block, gateway, range } = planNetwork({ ...wish, ...more }, others)
  return `${formatBlock(block)} ${formatIpv4(gateway)} ${formatBlock(range)}`
}

for (const [more, want] of [
  [{ subnet: '198.18.0.0/24' }, '198.18.0.0/24 198.18.0.1 198.18.0.0/24'],
  [{ subnet: '198.18.7.9/16' }, '198.18.0.0/16 198.18.0.1 198.18.0.0/20'],
  [
    { subnet: '198.18.0.0/16', gateway: '198.18.9.9', range: '198.18.5.0/24' },
    '198.18.0.0/16 198.18.9.9 198.18.5.0/24',
  ],
  [{ subnet: '198.18.0.0/16', range: '198.18.0.0/18' }, '198.18.0.0/16 198.18.0.1 198.18.0.0/20'],
] as const)
  test(`${JSON.stringify(more)} has the addresses ${want}`, t => {
    t.is(plan(more), want)
  })

for (const more of [
  { name: 'bridge' },
  { name: 'host' },
  { name: 'none' },
  { name: '' },
  { name: '-x' },
  { name: 'a/b' },
  { name: 'x'.repeat(129) },
  { subnet: '198.18.0.0' },
  { subnet: '198.18.0.0/30' },
  { subnet: '0.0.0.0/0' },
  { subnet: '2001:db8::/64' },
  { subnet: '127.0.0.0/8' },
  { gateway: '198.18.0.1' },
  { range: '198.18.0.0/24' },
  { subnet: '198.18.0.0/24', gateway: '198.18.1.1' },
  { subnet: '198.18.0.0/24', gateway: '198.18.0.0' },
  { subnet: '198.18.0.0/24', gateway: '198.18.0.255' },
  { subnet: '198.18.0.0/24', range: '198.18.1.0/24' },
  { subnet: '198.18.0.0/24', range: '198.18.0.0/16' },
  { options: { 'com.docker.network.bridge.name': 'a name' } },
  { options: { 'com.docker.network.bridge.name': 'sixteen-letters-' } },
  { options: { 'com.docker.network.bridge.enable_icc': 'maybe' } },
  { options: { 'com.docker.network.driver.mtu': '12' } },
  { options: { parent: 'eth0' } },
])
  test(`${JSON.stringify(more).slice(0, 80)} is refused`, t => {
    t.throws(() => plan(more), { name: 'KauriError' })
  })

const taken: Network = {
  ...planNetwork({ ...wish, subnet: '198.18.0.0/24' }, []),
  id: '3fa9c2d1'.repeat(8),
  createdMs: 0,
}

test('no network takes addresses of another one', t => {
  t.throws(() => plan({ subnet: '198.18.0.0/16' }, [taken]), { code: 'NETWORK_UNAVAILABLE' })
  t.throws(() => plan({ subnet: '198.18.0.128/25' }, [taken]), { message: /the network own/ })
  t.is(plan({ subnet: '198.18.1.0/24' }, [taken]).split(' ')[0], '198.18.1.0/24')
})

test('a block is chosen that nobody has, until there is none', t => {
  const block = (text: string): NonNullable<ReturnType<typeof parseBlock>> =>
    parseBlock(text) ?? { address: 0, prefixLength: 0 }
  const first = chooseNetworkSubnet([])
  t.is(first && formatBlock(first), '10.78.0.0/24')
  const second = chooseNetworkSubnet([block('10.78.0.0/24'), block('0.0.0.0/0')])
  t.is(second && formatBlock(second), '10.78.1.0/24')
  const beyond = chooseNetworkSubnet([block('10.0.0.0/8')])
  t.is(beyond && formatBlock(beyond), '172.31.0.0/24')
  t.is(chooseNetworkSubnet(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'].map(block)), undefined)
})

test('a network’s bridge, ports and tables are named by its id, within 15 bytes', t => {
  const spec = bridgeSpecOf(taken)
  t.like(spec, { name: 'kauri-3fa9c2d1', ports: 'k3fa9c2', table: 'kauri-3fa9c2d1' })
  t.true(`${spec.ports}rffffff`.length <= 15)
  t.true(spec.firstIndex >= 0x1000_0000 && spec.firstIndex + 0xffff < 0x4b00_0000)
  const named = { ...taken, options: { 'com.docker.network.bridge.name': 'br-own' } }
  t.is(bridgeSpecOf(named).name, 'br-own')
  t.false(bridgeSpecOf({ ...taken, internal: true }).masquerades)
})
