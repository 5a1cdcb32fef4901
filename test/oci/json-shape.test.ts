import test from 'ava'
import {
  definedMembers,
  documentPlace,
  listOf,
  mapOf,
  objectReader,
  parseJsonText,
  type ReadJson,
  readSize,
  readText,
} from '../../src/oci/json-shape.ts'

const place = documentPlace('document', 'ARCHIVE_INVALID')
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test('a document of the limit is read, one byte more is refused', t => {
  const limits = { maxBytes: 4, maxDepth: 3 }
  t.is(parseJsonText(bytes('1234'), place, limits), 1234)
  t.throws(() => parseJsonText(bytes('12345'), place, limits), {
    message: 'document has 5 bytes; at most 4 are read',
  })
})

test('depth is counted before anything recursive sees the value', t => {
  const limits = { maxBytes: 10_000_000, maxDepth: 3 }
  t.deepEqual(parseJsonText(bytes('[{"a":[]}]'), place, limits), [{ a: [] }])
  t.throws(() => parseJsonText(bytes('[[[[]]]]'), place, limits), { message: /deeper than 3/ })
  t.throws(() => parseJsonText(bytes('['.repeat(5_000_000)), place, limits), {
    message: /deeper than 3/,
  })
})

test('brackets and escaped quotes inside strings are no nesting', t => {
  const limits = { maxBytes: 1000, maxDepth: 1 }
  t.deepEqual(parseJsonText(bytes('["[[[\\"[[[", "\\\\"]'), place, limits), ['[[["[[[', '\\'])
})

for (const text of ['', '{', 'nonsense', '{"a":1}trailing', '\u0000'])
  test(`${JSON.stringify(text)} is no JSON`, t => {
    t.throws(() => parseJsonText(bytes(text), place), { code: 'ARCHIVE_INVALID' })
  })

const twice = [
  ['a member', '{"digest": 1, "size": 2, "digest": 3}', /has the member "digest" twice/],
  ['a member below', '{"a": [{"b": {}}, {"c": {"d": 1, "e": [], "d" : 2}}]}', /"d" twice/],
  ['a member spelled with an escape', String.raw`{"ab": 1, "a\u0062": 2}`, /"ab" twice/],
] as const
for (const [name, text, message] of twice)
  test(`${name} that stands twice in one object is refused, as readers differ in which they take`, t => {
    t.throws(() => parseJsonText(bytes(text), place), { code: 'ARCHIVE_INVALID', message })
    t.notThrows(() => parseJsonText(bytes(text), place, { maxBytes: 1000, maxDepth: 9 }))
  })

test('equal members of different objects, and equal strings, are no duplicates', t => {
  const text = '{"a":{"x":"x","y":"x"},"b":{"x":"a"},"c":["x","x",{"x":1}],"d":"\\"a\\":"}'
  t.deepEqual(parseJsonText(bytes(text), place), JSON.parse(text))
})

test('members that differ only by case are refused where members have a meaning, and not in maps', t => {
  t.throws(() => objectReader({ layers: [], Layers: [] }, place), { message: /stands there twice/ })
  t.deepEqual(mapOf(readText)({ a: '1', A: '2' }, place), { a: '1', A: '2' })
})

test('bytes that are no UTF-8 are refused', t => {
  t.throws(() => parseJsonText(Uint8Array.of(0x22, 0xff, 0x22), place), { code: 'ARCHIVE_INVALID' })
})

const readLayer: ReadJson<number> = (item, at) => objectReader(item, at).required('size', readSize)

test('a wrong value is named by its path', t => {
  const document = objectReader({ layers: [{ size: 1 }, { size: '2' }] }, place)
  t.throws(() => document.required('layers', listOf(readLayer)), {
    message: 'document: layers[1].size: expected a whole number from 0, got "2"',
  })
})

test('null counts as absent', t => {
  t.is(objectReader({ a: null }, place).optional('a', readText), undefined)
})

test('members named __proto__ stay plain data', t => {
  const value = parseJsonText(bytes('{"__proto__":"x","b":"y"}'), place)
  const map = mapOf(readText)(value, place)
  t.deepEqual(Object.entries(map), [
    ['__proto__', 'x'],
    ['b', 'y'],
  ])
  t.is(Object.getPrototypeOf(map), Object.prototype)
})

for (const value of [-1, 1.5, 2 ** 53, '1', Number.NaN])
  test(`${String(value)} (${typeof value}) is no size`, t => {
    t.throws(() => readSize(value, place), { code: 'ARCHIVE_INVALID' })
  })

test('undefined members are left out', t => {
  t.deepEqual(definedMembers({ a: 1, b: undefined }), { a: 1 })
})
