import test from 'ava'
import {
  blockSize,
  decodeHeader,
  encodeHeader,
  HeaderError,
  isZeroBlock,
  numberField,
} from '../../src/layer/tar-header.ts'

const plain = {
  name: Buffer.from('name'),
  linkName: Buffer.from('target'),
  mode: 0o4755,
  uid: 1000,
  gid: 0o7777777,
  size: 0o77777777777,
  mtime: 1_700_000_000,
  typeFlag: '3',
  deviceMajor: 254,
  deviceMinor: 77,
}

function headerOf(fields: Partial<typeof plain> & { readonly prefix?: Buffer } = {}): Buffer {
  const block = Buffer.alloc(blockSize)
  encodeHeader(block, 0, { ...plain, ...fields })
  return block
}

/** Puts the right checksum into a block that a test changed. */
function sign(block: Buffer): Buffer {
  block.write('        ', 148)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

test('what is written is read', t => {
  t.deepEqual(decodeHeader(headerOf()), {
    name: 'name',
    linkName: 'target',
    mode: 0o4755,
    uid: 1000,
    gid: 0o7777777,
    size: 0o77777777777,
    mtime: 1_700_000_000,
    typeFlag: '3',
    isGnu: false,
    deviceMajor: 254,
    deviceMinor: 77,
  })
})

test('a prefix goes before the name', t => {
  const block = headerOf({
    prefix: Buffer.from('p'.repeat(155)),
    name: Buffer.from('n'.repeat(100)),
  })
  t.is(decodeHeader(block).name, `${'p'.repeat(155)}/${'n'.repeat(100)}`)
})

test("star's times are not taken for a prefix", t => {
  const block = headerOf({ prefix: Buffer.from('p') })
  block.write('00000000000 00000000000', 345 + 131)
  block.write('tar\0', 508)
  t.is(decodeHeader(sign(block)).name, 'p/name')
})

test('a GNU header has no prefix', t => {
  const block = headerOf()
  block.write('ustar  \0', 257)
  block.write('13704067000', 345)
  t.like(decodeHeader(sign(block)), { name: 'name', isGnu: true })
})

test('a v7 header has neither magic nor devices', t => {
  const block = headerOf()
  block.fill(0, 257)
  t.like(decodeHeader(sign(block)), { name: 'name', isGnu: false, deviceMajor: 0, deviceMinor: 0 })
})

const numbers: readonly {
  readonly title: string
  readonly field: Buffer
  readonly want: number
}[] = [
  { title: 'octal with NUL', field: Buffer.from('0000755\0'), want: 0o755 },
  { title: 'octal with spaces before and after', field: Buffer.from('  755 \0 '), want: 0o755 },
  { title: 'octal without an end', field: Buffer.from('77777777'), want: 0o77777777 },
  { title: 'an empty field', field: Buffer.alloc(8), want: 0 },
  { title: 'base-256', field: Buffer.from([0x80, 0, 0, 0, 0, 0, 1, 2]), want: 258 },
  {
    title: 'base-256 of 12 bytes',
    field: Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]),
    want: 2 ** 33,
  },
  { title: 'negative base-256', field: Buffer.alloc(12, 0xff), want: -1 },
  {
    title: 'a negative time of long ago',
    field: Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xae, 0x80]),
    want: -86_400,
  },
]

for (const { title, field, want } of numbers)
  test(`a number is read: ${title}`, t => t.is(numberField(field, 0, field.length, 'x'), want))

for (const text of ['12x45670', '8\0\0\0\0\0\0\0', '7 7\0\0\0\0\0', '-0000001'])
  test(`${JSON.stringify(text)} is no number`, t => {
    t.throws(() => numberField(Buffer.from(text), 0, 8, 'x'), { instanceOf: HeaderError })
  })

test('a base-256 number beyond 2^53 is refused', t => {
  const field = Buffer.alloc(12, 0)
  field[0] = 0x80
  field[3] = 1
  t.throws(() => numberField(field, 0, 12, 'size'), { instanceOf: HeaderError })
})

test('a header with a wrong checksum is refused', t => {
  const block = headerOf()
  block[0] = 0x62
  t.throws(() => decodeHeader(block), { instanceOf: HeaderError })
})

test('a checksum of signed bytes, as old writers made it, is taken', t => {
  const block = headerOf({ name: Buffer.from('é') })
  block.write('        ', 148)
  const signed = block.reduce((total, byte) => total + (byte > 127 ? byte - 256 : byte), 0)
  block.write(`${signed.toString(8).padStart(6, '0')}\0 `, 148)
  t.is(decodeHeader(block).name, 'é')
})

test('a block is zero only when all of it is', t => {
  t.true(isZeroBlock(Buffer.alloc(blockSize)))
  const block = Buffer.alloc(blockSize)
  block[511] = 1
  t.false(isZeroBlock(block))
})

/** A small generator with a seed (xorshift), so that a failure can be repeated. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

test('no block of any bytes makes the reader fail otherwise than by a HeaderError', t => {
  const next = random(20_261_121)
  for (let round = 0; round < 20_000; round++) {
    const block = headerOf()
    const changes = 1 + Math.floor(next() * 24)
    for (let i = 0; i < changes; i++)
      block[Math.floor(next() * blockSize)] = Math.floor(next() * 256)
    if (next() < 0.9) sign(block)
    try {
      const header = decodeHeader(block)
      if (!Number.isSafeInteger(header.size)) t.fail(block.toString('hex'))
    } catch (error) {
      if (!(error instanceof HeaderError)) throw error
    }
  }
  t.pass()
})
