import test from 'ava'
import { blockFor, portName } from '../../src/network/bridge-ports.ts'
import { chooseSubnet } from '../../src/network/bridge-subnet.ts'
import { blockOf, formatBlock, type Ipv4Block, parseIpv4 } from '../../src/network/ipv4.ts'

function block(text: string): Ipv4Block {
  const [address = '', length] = text.split('/')
  return blockOf(parseIpv4(address) ?? 0, Number(length))
}

for (const { used, want } of [
  { used: [], want: '10.77.0.0/20' },
  { used: ['0.0.0.0/0', '192.0.2.0/24'], want: '10.77.0.0/20' },
  { used: ['10.77.0.0/24'], want: '10.77.16.0/20' },
  { used: ['10.77.15.255/32', '10.77.24.0/24'], want: '10.77.32.0/20' },
  { used: ['10.0.0.0/8'], want: '172.31.128.0/20' },
  { used: ['10.0.0.0/8', '172.16.0.0/12'], want: '192.168.128.0/20' },
  { used: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'], want: undefined },
])
  test(`beside ${used.join(' ') || 'nothing'} the bridge gets ${want}`, t => {
    const chosen = chooseSubnet(used.map(text => block(text)))
    t.is(chosen && formatBlock(chosen), want)
  })

test('containers and builds have a half each', t => {
  t.is(formatBlock(blockFor(block('10.77.16.0/20'), 'container')), '10.77.16.0/21')
  t.is(formatBlock(blockFor(block('10.77.16.0/20'), 'build')), '10.77.24.0/21')
})

test('ports are named by their address, in what an interface name holds', t => {
  const of = (address: string, within: string): string =>
    portName('kauri0', { address: parseIpv4(address) ?? 0, block: block(within), use: 'build' })
  t.is(of('10.77.24.10', '10.77.16.0/20'), 'kauri0b080a')
  t.is(of('10.255.255.254', '10.0.0.0/8').length, 13)
})
