import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import test from 'ava'
import { decompress } from '../../src/layer/decompress.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { collect, inPieces } from '../helpers/tar.ts'

/** A megabyte that packs a little. */
const sample = Buffer.from(
  Array.from({ length: 16_000 }, (_, i) => createHash('sha256').update(`${i}`).digest('hex')).join(
    '',
  ),
)

const skippable = Buffer.concat([Buffer.from('5a2a4d1803000000', 'hex'), Buffer.from('abc')])

const half = sample.length / 2

const forms = {
  none: () => sample,
  gzip: () => gzipSync(sample),
  'gzip members': () =>
    Buffer.concat([gzipSync(sample.subarray(0, half)), gzipSync(sample.subarray(half))]),
  'gzip with padding': () => Buffer.concat([gzipSync(sample), Buffer.alloc(10_000)]),
  zstd: () => zstdCompressSync(sample),
  'zstd frames': () =>
    Buffer.concat([
      zstdCompressSync(sample.subarray(0, half)),
      skippable,
      zstdCompressSync(sample.subarray(half)),
    ]),
  'zstd after a skippable frame': () =>
    Buffer.concat([skippable, zstdCompressSync(sample), skippable]),
  xz: () => execFileSync('xz', ['-0c'], { input: sample, maxBuffer: 1e8 }),
  'xz streams': () =>
    Buffer.concat(
      [sample.subarray(0, half), sample.subarray(half)].map(input =>
        execFileSync('xz', ['-0c'], { input }),
      ),
    ),
  bzip2: () => execFileSync('bzip2', ['-1c'], { input: sample, maxBuffer: 1e8 }),
} as const satisfies Readonly<Record<string, () => Buffer>>

type Form = keyof typeof forms

const allForms: readonly Form[] = [
  'none',
  'gzip',
  'gzip members',
  'gzip with padding',
  'zstd',
  'zstd frames',
  'zstd after a skippable frame',
  'xz',
  'xz streams',
  'bzip2',
]

function testForm(form: Form): ReturnType<typeof testWith> {
  return testWith({ programs: form.startsWith('xz') ? ['xz'] : form === 'bzip2' ? ['bzip2'] : [] })
}

async function unpack(packed: Buffer, pieceBytes?: number): Promise<Buffer> {
  const { bytes } = await decompress(inPieces(packed, pieceBytes), { name: 'test.tar' })
  return collect(bytes)
}

for (const form of allForms)
  testForm(form)(`${form} is found by its first bytes and unpacked`, async t => {
    const packed = forms[form]()
    const { format } = await decompress(inPieces(packed))
    t.true(form.startsWith(format))
    for (const pieceBytes of [997, 64 * 1024, packed.length])
      t.true((await unpack(packed, pieceBytes)).equals(sample))
  })

test('pieces of single bytes are unpacked', async t => {
  const small = Buffer.from('a small text')
  for (const packed of [small, gzipSync(small), zstdCompressSync(small)])
    t.deepEqual(await unpack(packed, 1), small)
})

test('what is too short for any format, and nothing, is plain', async t => {
  for (const text of ['', 'a', 'BZh', '\x1f\x8b']) {
    const { format, bytes } = await decompress(inPieces(Buffer.from(text, 'latin1')))
    t.is(format, 'none')
    t.is((await collect(bytes)).toString('latin1'), text)
  }
})

for (const form of ['gzip', 'gzip members', 'zstd', 'zstd frames', 'xz', 'bzip2'] as const) {
  testForm(form)(`${form} that is cut short is refused`, async t => {
    const packed = forms[form]()
    for (const missing of [1, 5, 1000, packed.length - 20])
      await t.throwsAsync(unpack(packed.subarray(0, packed.length - missing)), {
        code: 'ARCHIVE_INVALID',
        message: /test\.tar: the \w+ data is (?:broken or )?cut short/,
      })
  })

  testForm(form)(`${form} with something behind it is refused`, async t => {
    for (const garbage of ['garbage', 'x', 'tar'.repeat(100_000)])
      await t.throwsAsync(unpack(Buffer.concat([forms[form](), Buffer.from(garbage)])), {
        code: 'ARCHIVE_INVALID',
      })
  })

  testForm(form)(`${form} that is damaged is refused`, async t => {
    const packed = Buffer.from(forms[form]())
    const at = Math.floor(packed.length / 2)
    packed.fill(0x55, at, at + 50)
    await t.throwsAsync(unpack(packed), { code: 'ARCHIVE_INVALID' })
  })

  testForm(form)(`${form} ends with what read it`, async t => {
    const state = { hasEnded: false }
    async function* source(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield* inPieces(forms[form](), 1000)
      } finally {
        state.hasEnded = true
      }
    }
    const { bytes } = await decompress(source())
    for await (const chunk of bytes) if (chunk.length > 0) break
    t.true(await eventually(() => state.hasEnded))
  })

  testForm(form)(`${form} tells of an error of its source`, async t => {
    async function* source(): AsyncGenerator<Buffer> {
      yield forms[form]().subarray(0, 5000)
      throw new RangeError('connection lost')
    }
    const { bytes } = await decompress(source())
    await t.throwsAsync(collect(bytes), { instanceOf: RangeError })
  })
}

test('gzip with zeros and then garbage behind it is refused', async t => {
  const packed = Buffer.concat([gzipSync(sample), Buffer.alloc(1000), Buffer.from('x')])
  await t.throwsAsync(unpack(packed), { code: 'ARCHIVE_INVALID', message: /something follows/ })
  await t.throwsAsync(unpack(packed, 700), { code: 'ARCHIVE_INVALID' })
})

for (const format of ['gzip', 'zstd'] as const)
  test(`a bomb is stopped by its ratio: ${format}`, async t => {
    const zeros = Buffer.alloc(20_000_000)
    const packed = format === 'gzip' ? gzipSync(zeros) : zstdCompressSync(zeros)
    const limits = { maxTotalBytes: 1e12, maxRatio: 100, ratioFreeBytes: 1_000_000 }
    const { bytes } = await decompress(inPieces(packed), { limits, name: 'bomb' })
    let total = 0
    await t.throwsAsync(
      async () => {
        for await (const chunk of bytes) total += chunk.length
      },
      { code: 'ARCHIVE_INVALID', message: /bomb unpacks to more than 100 times its size/ },
    )
    t.true(total < 10_000_000)
  })

test('more bytes than allowed are refused', async t => {
  const limits = { maxTotalBytes: 1000, maxRatio: 100, ratioFreeBytes: 1_000_000 }
  const { bytes } = await decompress(inPieces(Buffer.alloc(1001)), { limits })
  await t.throwsAsync(collect(bytes), { code: 'ARCHIVE_INVALID', message: /more than 1000 bytes/ })
})

test('zeros of a disk image are no bomb by default', async t => {
  const zeros = Buffer.alloc(30_000_000)
  const { bytes } = await decompress(inPieces(zstdCompressSync(zeros)))
  t.is((await collect(bytes)).length, zeros.length)
})

test('an abort ends it', async t => {
  const controller = new AbortController()
  const { bytes } = await decompress(inPieces(gzipSync(sample), 100), { signal: controller.signal })
  controller.abort()
  await t.throwsAsync(collect(bytes), { code: 'CANCELLED' })
})

testWith({ programs: ['xz'] })(
  'a missing program is named with the line that installs it',
  async t => {
    using scratch = makeScratch()
    writeFileSync(
      scratch.at('script.mts'),
      `
    import { decompress } from ${JSON.stringify(`${import.meta.dirname}/../../src/layer/decompress.ts`)}
    import { native } from ${JSON.stringify(`${import.meta.dirname}/../../src/native/native.ts`)}
    import { guardCommand } from ${JSON.stringify(`${import.meta.dirname}/../../src/native/guard.ts`)}
    native(); guardCommand()
    process.env.PATH = '/nonexistent'
    for (const magic of ['fd377a585a0000', '425a6839314159']) {
      const { bytes } = await decompress((async function* () { yield Buffer.from(magic, 'hex') })())
      try { for await (const chunk of bytes) {} } catch (error) { console.log(error.code, error.hint) }
    }`,
    )
    const stdout = execFileSync(process.execPath, [scratch.at('script.mts')], { encoding: 'utf8' })
    t.is(
      stdout,
      'PREREQUISITE_MISSING apt-get install xz-utils\nPREREQUISITE_MISSING apt-get install bzip2\n',
    )
  },
)

interface RunningProgram {
  readonly pid: number
  readonly parent: number
  readonly name: string
}

function runningPrograms(): RunningProgram[] {
  return readdirSync('/proc').flatMap((entry): RunningProgram[] => {
    try {
      const stat = readFileSync(`/proc/${Number(entry)}/stat`, 'utf8')
      const [, pid, name = '', parent] = /^(\d+) \((.*)\) \S (\d+)/s.exec(stat) ?? []
      return [{ pid: Number(pid), parent: Number(parent), name }]
    } catch {
      return []
    }
  })
}

/** Programs of that name which this process, or what it started, has started. */
function descendantsNamed(name: string): number[] {
  const programs = runningPrograms()
  const descendants = new Set([process.pid])
  for (let before = 0; before !== descendants.size; ) {
    before = descendants.size
    for (const { pid, parent } of programs) if (descendants.has(parent)) descendants.add(pid)
  }
  return programs
    .filter(program => program.name === name && descendants.has(program.pid))
    .map(({ pid }) => pid)
}

testWith({ programs: ['xz'] })(
  'no program is left when the output is not wanted any more',
  async t => {
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) yield forms.xz()
    }
    const before = new Set(descendantsNamed('xz'))
    const mine = (): number[] => descendantsNamed('xz').filter(pid => !before.has(pid))
    const { bytes } = await decompress(endless())
    for await (const chunk of bytes)
      if (chunk.length > 0) {
        t.is(mine().length, 1)
        break
      }
    await eventually(() => mine().length === 0)
    t.deepEqual(mine(), [])
  },
)
