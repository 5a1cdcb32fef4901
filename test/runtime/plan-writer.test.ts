import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { encodePlan, planTag, stepFlag } from '../../src/runtime/plan-writer.ts'

const header = readFileSync(
  path.join(import.meta.dirname, '..', '..', 'src', 'launcher', 'plan.h'),
  'utf8',
)

/** `TAG_ROOT_OVERLAY = 8` → `rootOverlay` and 8. */
function numbersOf(prefix: string): Record<string, number> {
  const found = header.matchAll(new RegExp(`^\\s+${prefix}_(\\w+) = (\\d+),`, 'gm'))
  return Object.fromEntries(
    [...found].map(([, name = '', number]) => [
      name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
      Number(number),
    ]),
  )
}

test('tags have the numbers of the launcher', t => {
  t.deepEqual({ ...planTag }, numbersOf('TAG') as typeof planTag)
})

test('step flags have the numbers of the launcher', t => {
  t.deepEqual({ ...stepFlag }, numbersOf('STEP') as typeof stepFlag)
})

test('a plan is magic, length and records, texts end with a NUL that is counted', t => {
  const plan = encodePlan([
    [planTag.hostname, 'é'],
    [planTag.capabilities, 1n, 0xffff_ffff_ffff_ffffn],
    [planTag.seccomp, 4, Uint8Array.of(1, 2)],
    [planTag.filesystem, '/a', ['x', '']],
    [planTag.loopback],
  ])
  const words = (...numbers: number[]): Buffer => Buffer.concat(numbers.map(u32))
  t.deepEqual(
    plan,
    Buffer.concat([
      Buffer.from('KUI1'),
      u32(plan.length),
      words(planTag.hostname, 7, 3),
      Buffer.from('é\0'),
      words(planTag.capabilities, 16, 1, 0, 0xffffffff, 0xffffffff),
      words(planTag.seccomp, 10, 4, 2),
      Buffer.of(1, 2),
      words(planTag.filesystem, 7 + 4 + 6 + 5, 3),
      Buffer.from('/a\0'),
      words(2, 2),
      Buffer.from('x\0'),
      words(1),
      Buffer.from('\0'),
      words(planTag.loopback, 0),
    ]),
  )
})

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

test('a text with a NUL byte is refused, for the launcher would see two', t => {
  t.throws(() => encodePlan([[planTag.argument, 'a\0b']]), { message: /NUL byte in "a\\u0000b"/ })
})

test('a plan over four MiB is refused', t => {
  t.throws(() => encodePlan([[planTag.argument, 'a'.repeat(5 << 20)]]), {
    message: /takes 52\d+ bytes/,
  })
})
