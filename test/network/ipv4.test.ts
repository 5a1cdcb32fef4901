import test from 'ava'
import {
  blockOf,
  formatBlock,
  formatIpv4,
  fromBytes,
  maskOf,
  overlap,
  parseIpv4,
  toBytes,
} from '../../src/network/ipv4.ts'

for (const [text, address] of [
  ['0.0.0.0', 0],
  ['127.0.0.1', 0x7f000001],
  ['192.0.2.255', 0xc00002ff],
  ['255.255.255.255', 0xffffffff],
] as const)
  test(`${text} is a number and back`, t => {
    t.is(parseIpv4(text), address)
    t.is(formatIpv4(address), text)
    t.is(fromBytes(toBytes(address)), address)
  })

for (const text of [
  '',
  '1.2.3',
  '1.2.3.4.5',
  '256.0.0.1',
  '01.2.3.4',
  ' 1.2.3.4',
  '1.2.3.-4',
  '::1',
  '1.2.3.4 ',
])
  test(`${JSON.stringify(text)} is no address`, t => t.is(parseIpv4(text), undefined))

test('masks have their ones first', t => {
  t.deepEqual(
    [0, 1, 20, 31, 32].map(length => formatIpv4(maskOf(length))),
    ['0.0.0.0', '128.0.0.0', '255.255.240.0', '255.255.255.254', '255.255.255.255'],
  )
})

test('the block of an address has zeros behind its prefix', t => {
  t.is(formatBlock(blockOf(parseIpv4('10.77.31.255') ?? 0, 20)), '10.77.16.0/20')
  t.is(formatBlock(blockOf(parseIpv4('240.1.2.3') ?? 0, 4)), '240.0.0.0/4')
})

for (const { a, b, want } of [
  { a: '10.0.0.0/8', b: '10.77.0.0/20', want: true },
  { a: '10.77.0.0/20', b: '10.77.16.0/20', want: false },
  { a: '10.77.15.255/32', b: '10.77.0.0/20', want: true },
  { a: '0.0.0.0/0', b: '192.0.2.0/24', want: true },
  { a: '128.0.0.0/1', b: '127.255.255.255/32', want: false },
])
  test(`${a} and ${b} ${want ? 'overlap' : 'have nothing in common'}`, t => {
    const [first, second] = [a, b].map(text => {
      const [address = '', length] = text.split('/')
      return blockOf(parseIpv4(address) ?? 0, Number(length))
    })
    t.is(first && second && overlap(first, second), want)
    t.is(first && second && overlap(second, first), want)
  })
