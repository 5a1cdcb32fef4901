import test from 'ava'
import {
  formatPaxRecord,
  parsePaxNumber,
  parsePaxRecords,
  parsePaxTime,
} from '../../src/layer/pax-records.ts'
import { HeaderError } from '../../src/layer/tar-header.ts'

test('a record counts the digits of its own length', t => {
  t.is(formatPaxRecord('path', 'a').toString(), '9 path=a\n')
  t.is(formatPaxRecord('path', '').toString(), '8 path=\n')
  t.is(formatPaxRecord('k', 'x'.repeat(93)).toString().slice(0, 5), '99 k=')
  t.is(formatPaxRecord('k', 'x'.repeat(94)).toString().slice(0, 6), '101 k=')
})

test('records come back as they were written, with any bytes', t => {
  const value = Buffer.from([0, 10, 61, 255, 10])
  const bytes = Buffer.concat([
    formatPaxRecord('a', 'b'),
    formatPaxRecord('SCHILY.xattr.user.é', value),
  ])
  t.deepEqual(parsePaxRecords(bytes), [
    ['a', Buffer.from('b')],
    ['SCHILY.xattr.user.é', value],
  ])
  t.deepEqual(parsePaxRecords(Buffer.alloc(0)), [])
})

for (const text of [
  '8 path=a\n',
  '12 path=a\n',
  '9 path=a ',
  '8path=a\n',
  '010 path=a\n',
  '-1 path=a\n',
  '6 =ab\n',
  '7 path\n',
  '999999999 path=a\n',
  '4 a=\n',
  '3 \n',
])
  test(`${JSON.stringify(text)} is no record`, t => {
    t.throws(() => parsePaxRecords(Buffer.from(text)), { instanceOf: HeaderError })
  })

const times = [
  ['0', 0, 0],
  ['1700000000', 1_700_000_000, 0],
  ['1700000000.5', 1_700_000_000, 500_000_000],
  ['12.1234567899', 12, 123_456_789],
  ['12.', 12, 0],
  ['-1', -1, 0],
  ['-1.25', -2, 750_000_000],
  ['-0', 0, 0],
] as const

for (const [text, seconds, nanoseconds] of times)
  test(`the time ${text} is read`, t => t.deepEqual(parsePaxTime(text), { seconds, nanoseconds }))

for (const text of ['', 'x', '1e9', ' 1', '1,5', '--1', '1.2.3', '9'.repeat(30)])
  test(`${JSON.stringify(text)} is no time`, t => {
    t.throws(() => parsePaxTime(text), { instanceOf: HeaderError })
  })

test('numbers are decimal, whole and not negative', t => {
  t.is(parsePaxNumber('size', '8589934592'), 2 ** 33)
  for (const text of ['', '-1', '0x10', '1.5', '9007199254740993', ' 1'])
    t.throws(() => parsePaxNumber('size', text), { instanceOf: HeaderError })
})
