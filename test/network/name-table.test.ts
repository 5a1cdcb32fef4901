import test from 'ava'
import { addressBytes } from '../../src/network/ip-address.ts'
import {
  answerCode,
  encodeAnswer,
  encodeName,
  parseQuery,
  recordType,
} from '../../src/network/name-message.ts'
import { answerOwn, findAsker } from '../../src/network/name-table.ts'
import type { PlacedContainer } from '../../src/network/placed-containers.ts'

function place(network: string, address: string, aliases: readonly string[] = []) {
  return {
    network,
    networkId: network === 'bridge' ? '' : `id of ${network}`,
    interface: 'eth0',
    address,
    prefixLength: 24,
    hardwareAddress: '02:00:00:00:00:01',
    aliases,
    port: `port of ${address}`,
  }
}

function container(name: string, ...endpoints: PlacedContainer['endpoints']): PlacedContainer {
  return { id: name.padEnd(64, '0'), name, endpoints, servers: [] }
}

const web = container('Web', place('front', '10.0.0.2', ['www']))
const database = container('db', place('back', '10.0.1.2', ['store']))
const both = container('app', place('front', '10.0.0.3'), place('back', '10.0.1.3', ['store']))
const old = container('old', place('bridge', '10.77.0.2'))
const all = [web, database, both, old]

function found(asker: PlacedContainer, name: string, type: number = recordType.a): string {
  const answer = answerOwn({ name, type, bytes: Buffer.alloc(0) }, asker, all)
  if (answer === undefined) return 'ask others'
  return answer.answers.map(({ data }) => [...data].join('.')).join(' ')
}

for (const [asker, name, want] of [
  [web, 'web', '10.0.0.2'],
  [web, 'www', '10.0.0.2'],
  [web, 'www.front', '10.0.0.2'],
  [web, 'app', '10.0.0.3'],
  [web, 'db', 'ask others'],
  [web, 'store', 'ask others'],
  [web, 'app.back', 'ask others'],
  [both, 'db', '10.0.1.2'],
  [both, 'store', '10.0.1.2 10.0.1.3'],
  [both, 'web', '10.0.0.2'],
  [web, 'web00000000', 'ask others'],
  [database, 'app', '10.0.1.3'],
  [old, 'web', 'ask others'],
  [web, 'example.org', 'ask others'],
] as const)
  test(`${asker.name} asks for ${name}: ${want}`, t => {
    t.is(found(asker, name), want)
  })

test('a container is known by the beginning of its id, and has no other kind of address', t => {
  t.is(found(both, web.id.slice(0, 12).toLowerCase()), '10.0.0.2')
  t.is(found(web, 'app', recordType.aaaa), '')
})

test('an address leads back to the name, on one’s own networks only', t => {
  const answer = (asker: PlacedContainer, name: string): Buffer | undefined => {
    const own = answerOwn({ name, type: recordType.ptr, bytes: Buffer.alloc(0) }, asker, all)
    return own && Buffer.from(own.answers[0]?.data ?? [])
  }
  t.deepEqual(answer(web, '3.0.0.10.in-addr.arpa'), encodeName('app.front'))
  t.is(answer(web, '2.1.0.10.in-addr.arpa'), undefined)
})

test('who asks is told by the address on that very network', t => {
  t.is(findAsker(all, 'id of front', '10.0.0.3'), both)
  t.is(findAsker(all, 'id of front', '10.0.1.3'), undefined)
})

function query(name: string, type: number, flags = 0x0100): Buffer {
  const header = Buffer.from([0x12, 0x34, flags >> 8, flags & 255, 0, 1, 0, 0, 0, 0, 0, 0])
  return Buffer.concat([header, encodeName(name), Buffer.from([0, type, 0, 1])])
}

test('a question is read, and its answer has its number and its words', t => {
  const read = parseQuery(query('Web.Example', recordType.a))
  t.like(read, { id: 0x1234, recursionDesired: true, question: { name: 'web.example', type: 1 } })
  if (read === undefined) return
  const data = Uint8Array.of(10, 0, 0, 2)
  const answer = encodeAnswer(read, { code: answerCode.none, answers: [{ type: 1, data }] })
  t.is(answer.readUInt16BE(0), 0x1234)
  t.is(answer.readUInt16BE(2), 0x8580)
  t.is(answer.readUInt16BE(6), 1)
  t.true(answer.includes(encodeName('Web.Example')))
  t.deepEqual([...answer.subarray(-4)], [10, 0, 0, 2])
})

test('what is no single question is none, whatever its bytes', t => {
  const whole = query('web', 1)
  for (let length = 0; length < whole.length; length++)
    t.is(parseQuery(whole.subarray(0, length)), undefined, `${length} bytes`)
  t.is(parseQuery(query('web', 1, 0x8000)), undefined, 'an answer')
  t.is(parseQuery(query('web', 1, 0x2800)), undefined, 'an update')
  const two = Buffer.from(whole)
  two[5] = 2
  t.is(parseQuery(two), undefined, 'two questions')
  const loop = Buffer.concat([whole.subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])])
  t.is(parseQuery(loop), undefined, 'a compressed name')
  const label = Buffer.concat([Buffer.of(63), Buffer.alloc(63, 97)])
  const long = Buffer.concat([whole.subarray(0, 12), label, label, label, label, label])
  t.is(parseQuery(Buffer.concat([long, Buffer.from([0, 0, 1, 0, 1])])), undefined, 'too long')
  for (let seed = 1; seed < 2000; seed++) {
    const bytes = Buffer.from(whole)
    bytes[(seed * 7) % bytes.length] = (seed * 31) % 256
    t.notThrows(() => parseQuery(bytes))
  }
})

for (const [text, want] of [
  ['192.0.2.1', 'c0000201'],
  ['::', '0'.repeat(32)],
  ['::1', '1'.padStart(32, '0')],
  ['2001:db8::1', '20010db8000000000000000000000001'],
  ['fe80::1%eth0', 'fe800000000000000000000000000001'],
  ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
  ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
] as const)
  test(`the address ${text} in bytes`, t => {
    t.is(Buffer.from(addressBytes(text)).toString('hex'), want)
  })
