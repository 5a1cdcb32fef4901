import test from 'ava'
import { compareNames, decodeName, encodeName } from '../../src/layer/name-bytes.ts'

const names: readonly {
  readonly title: string
  readonly bytes: readonly number[]
  readonly text: string
}[] = [
  { title: 'ASCII', bytes: [0x61, 0x2e, 0x62], text: 'a.b' },
  { title: 'two and three bytes', bytes: [0xc3, 0xa9, 0xe2, 0x82, 0xac], text: 'é€' },
  { title: 'four bytes', bytes: [0xf0, 0x9f, 0x98, 0x80], text: '😀' },
  { title: 'the replacement character itself', bytes: [0xef, 0xbf, 0xbd], text: '\uFFFD' },
  { title: 'latin1', bytes: [0x61, 0xe9], text: 'a\uDCE9' },
  { title: 'a character cut short', bytes: [0xe2, 0x82], text: '\uDCE2\uDC82' },
  { title: 'a long form of the slash', bytes: [0xc0, 0xaf], text: '\uDCC0\uDCAF' },
  { title: 'a surrogate in UTF-8', bytes: [0xed, 0xa0, 0x80], text: '\uDCED\uDCA0\uDC80' },
  { title: 'both kinds', bytes: [0xff, 0xc3, 0xa9, 0xfe], text: '\uDCFFé\uDCFE' },
]

for (const { title, bytes, text } of names)
  test(`a name survives: ${title}`, t => {
    const buffer = Buffer.from(bytes)
    t.is(decodeName(buffer), text)
    t.deepEqual(encodeName(text), buffer)
  })

test('every pair of bytes survives', t => {
  for (let a = 1; a < 256; a++)
    for (let b = 1; b < 256; b++) {
      const bytes = Buffer.from([a, b])
      if (!encodeName(decodeName(bytes)).equals(bytes)) t.fail(`${a} ${b}`)
    }
  t.pass()
})

test('a lone surrogate that stands for no byte becomes the replacement character', t => {
  t.deepEqual(encodeName('\uD800'), Buffer.from('\uFFFD'))
})

test('names are ordered by their bytes', t => {
  const sorted = ['B', 'a', 'a/b', 'b', 'é', '\uE000', '😀', '\uDCFF']
  t.deepEqual([...sorted].toReversed().toSorted(compareNames), sorted)
})
