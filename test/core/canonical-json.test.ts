import test from 'ava'
import { canonicalJson, type Json } from '../../src/core/canonical-json.ts'

const cases: readonly (readonly [value: Json, text: string])[] = [
  [{ b: 1, a: [true, null, 'x'] }, '{"a":[true,null,"x"],"b":1}'],
  [{ z: undefined, a: {} }, '{"a":{}}'],
  [{ é: 1, e: 2, Z: 3, '10': 4, '9': 5 }, '{"10":4,"9":5,"Z":3,"e":2,"é":1}'],
  ['quote " \u0007', '"quote \\" \\u0007"'],
  [[[]], '[[]]'],
  [1.5, '1.5'],
]

for (const [value, text] of cases)
  test(`${text} is the one form of its value`, t => t.is(canonicalJson(value), text))

test('the order in which members were written does not matter', t => {
  t.is(canonicalJson({ a: { c: 1, b: 2 }, d: 3 }), canonicalJson({ d: 3, a: { b: 2, c: 1 } }))
})
