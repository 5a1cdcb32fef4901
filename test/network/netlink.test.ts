import test from 'ava'
import {
  bringUp,
  findRoute,
  getLink,
  listAddresses,
  listLinks,
  listRoutes,
  makeVethPair,
  parseAddress,
  parseLink,
  parseRoute,
} from '../../src/network/link-messages.ts'
import {
  encodeMessages,
  listAttributes,
  nameBytes,
  netlinkProtocol,
  netlinkRequest,
  parseAttributes,
  textOf,
  u32,
} from '../../src/network/netlink.ts'
import { testWith } from '../helpers/needs.ts'

const rootTest = testWith({ root: true })

test('a message is a header, a family header and padded attributes', t => {
  const bytes = encodeMessages([
    {
      type: 0x12,
      flags: 5,
      header: Uint8Array.of(1, 2, 3),
      attributes: [
        [3, nameBytes('ab')],
        [4, [[1, u32(-1)]]],
      ],
      purpose: '',
    },
    { type: 7, flags: 0, header: new Uint8Array(), attributes: [], purpose: '' },
  ])
  t.is(
    bytes.toString('hex'),
    [
      '28000000 1200 0500 01000000 00000000',
      '01020300',
      '0700 0300 61620000',
      '0c00 0480 0800 0100 ffffffff',
      '10000000 0700 0000 02000000 00000000',
    ]
      .join('')
      .replaceAll(' ', ''),
  )
})

test('attributes are read back, nested bits left out', t => {
  const bytes = Buffer.from('07000300616200000c0004800800010001000000', 'hex')
  const attributes = parseAttributes(bytes)
  t.is(textOf(attributes.get(3)), 'ab')
  t.is(
    parseAttributes(attributes.get(4) ?? Buffer.alloc(0))
      .get(1)
      ?.readUInt32LE(0),
    1,
  )
})

for (const hex of ['', '00', '0300', '03000300', 'ffff0300', '00000000', '0800030061'])
  test(`malformed attributes end the list: ${hex || 'nothing'}`, t => {
    t.deepEqual(listAttributes(Buffer.from(hex, 'hex')), [])
  })

test('no random bytes make the readers stumble', t => {
  let seed = 42
  const next = (): number => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 16
  for (let round = 0; round < 2000; round++) {
    const body = Buffer.from(Array.from({ length: next() % 64 }, () => next() & 0xff))
    t.notThrows(() => {
      for (const type of [16, 20, 24]) {
        parseLink({ type, body })
        parseAddress({ type, body })
        parseRoute({ type, body })
      }
    })
  }
})

test('the kernel tells of the loopback interface, its address and its route', t => {
  const [loopback] = netlinkRequest(netlinkProtocol.route, [getLink('lo')]).flatMap(
    reply => parseLink(reply) ?? [],
  )
  t.like(loopback, { index: 1, name: 'lo', isUp: true, kind: '' })
  const names = netlinkRequest(netlinkProtocol.route, [listLinks()]).map(
    reply => parseLink(reply)?.name,
  )
  t.true(names.includes('lo'))
  const addresses = netlinkRequest(netlinkProtocol.route, [listAddresses()]).map(parseAddress)
  t.true(addresses.some(own => own?.index === 1 && own.address === 0x7f000001))
  const routes = netlinkRequest(netlinkProtocol.route, [listRoutes()]).map(parseRoute)
  t.true(routes.some(route => route?.destination.address === 0x7f000000))
  const [way] = netlinkRequest(netlinkProtocol.route, [findRoute(0x7f000001)]).map(parseRoute)
  t.is(way?.outInterface, 1)
})

test('what the kernel refuses is an error with its code, and says what it was for', t => {
  t.throws(() => netlinkRequest(netlinkProtocol.route, [getLink('no-such-thing')]), {
    code: 'ENODEV',
    message: /^looking for the interface no-such-thing: ENODEV/,
  })
})

rootTest('the first refused message of several is named', t => {
  const pair = makeVethPair({
    inner: { name: 'a-name-that-is-too-long', index: 100, hardwareAddress: new Uint8Array(6) },
    port: { name: 'kauri-test', index: 0x4b00_0001 },
    bridge: 0,
    mtu: 1500,
    isolated: true,
  })
  t.throws(() => netlinkRequest(netlinkProtocol.route, [bringUp(1), ...pair]), {
    message: /^making the interfaces a-name-that-is-too-long and kauri-test: /,
  })
})
