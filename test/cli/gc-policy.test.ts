import test from 'ava'
import { type FilteredImage, parseGcFilters, type StoredThing } from '../../src/cli/gc-filters.ts'
import { chooseGarbage } from '../../src/cli/gc-policy.ts'
import { parseDuration, parseMoment } from '../../src/cli/moments.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { parseReference } from '../../src/oci/reference.ts'

const nowMs = Date.parse('2025-06-30T12:00:00Z')

const durations: readonly [string, number][] = [
  ['90', 90_000],
  ['90m', 5_400_000],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['7d', 604_800_000],
  ['250ms', 250],
  ['0s', 0],
]

for (const [text, wantMs] of durations)
  test(`a duration of ${text} is ${wantMs} ms`, t => t.is(parseDuration('--grace', text), wantMs))

for (const text of ['', 'x', '-1s', '1w', '1h 30m', 's', '1e3s', '99999999999s'])
  test(`"${text}" is no duration`, t => {
    t.throws(() => parseDuration('--grace', text), { code: 'USAGE' })
  })

const moments: readonly [string, number][] = [
  ['24h', nowMs - 86_400_000],
  ['1751284800', 1_751_284_800_000],
  ['1751284800.5', 1_751_284_800_500],
  ['2025-06-29T12:00:00Z', nowMs - 86_400_000],
  ['2025-06-29T14:00:00+02:00', nowMs - 86_400_000],
  ['2025-06-29', new Date(2025, 5, 29).getTime()],
]

for (const [text, wantMs] of moments)
  test(`until ${text} is a moment`, t => t.is(parseMoment('--filter until', text, nowMs), wantMs))

for (const text of ['yesterday', '2025-13-01', '2025', '2025-6-1', '24'.repeat(20)])
  test(`"${text}" is no moment`, t => {
    if (text === '2025') t.is(parseMoment('--filter until', text, nowMs), 2_025_000)
    else t.throws(() => parseMoment('--filter until', text, nowMs), { code: 'USAGE' })
  })

for (const text of ['x', 'bogus=1', 'dangling=maybe', 'type=thing', 'until=', 'label'])
  test(`the filter ${text} is refused`, t => {
    t.throws(() => parseGcFilters([text], nowMs), { code: 'USAGE' })
  })

function image(labels: Record<string, string>, name?: string, createdMs = 0): FilteredImage {
  const reference = name === undefined ? undefined : parseReference(name)
  const descriptor = { mediaType: 'application/json', digest: digestOf('x'), size: 1 }
  return { names: [{ reference, descriptor }], createdMs, labels }
}

const imageCases: readonly [string, readonly string[], FilteredImage, boolean, boolean][] = [
  ['an unnamed one dangles', ['dangling=true'], image({}), false, true],
  ['a named one does not dangle', ['dangling=true'], image({}, 'a'), true, false],
  ['dangling=false takes all', ['dangling=false'], image({}, 'a'), false, true],
  ['a label alone takes unnamed ones', ['label=a'], image({ a: 'b' }, 'x'), false, false],
  ['a label with --all takes named ones', ['label=a'], image({ a: 'b' }, 'x'), true, true],
  ['a label has its value', ['label=a=c'], image({ a: 'b' }), true, false],
  ['a value may hold an equals sign', ['label=a=b=c'], image({ a: 'b=c' }), true, true],
  ['label! takes those without', ['label!=a'], image({ b: '' }), true, true],
  ['label! leaves those with', ['label!=a=b'], image({ a: 'b' }), true, false],
  ['label! of another value takes', ['label!=a=c'], image({ a: 'b' }), true, true],
  ['both labels are asked for', ['label=a', 'label=b'], image({ a: '' }), true, false],
  ['no label comes from a prototype', ['label=constructor'], image({}), true, false],
  ['until takes old ones', ['until=24h'], image({}, 'a', nowMs - 90_000_000), true, true],
  ['until leaves young ones', ['until=24h'], image({}, 'a', nowMs - 80_000_000), true, false],
]

for (const [title, filters, asked, isAll, want] of imageCases)
  test(`of images, ${title}`, t => {
    t.is(parseGcFilters(filters, nowMs).takesImage(asked, isAll), want)
  })

test('a filter on images speaks of nothing else', t => {
  const filters = parseGcFilters(['label=a'], nowMs)
  t.true(filters.choosesImages)
  t.true(filters.takesKind('image'))
  t.true(filters.takesKind('blob'))
  t.false(filters.takesKind('tree'))
  t.false(filters.takesKind('record'))
})

test('types and digests choose, by the words of BuildKit, too', t => {
  const filters = parseGcFilters(['type=regular', 'type=source.http', 'id=ab'], nowMs)
  t.true(filters.takes({ kind: 'tree', id: 'abc' }))
  t.false(filters.takes({ kind: 'tree', id: 'bcd' }))
  t.false(filters.takes({ kind: 'cache-mount', id: 'abc' }))
  t.false(filters.choosesImages)
})

function thing(id: string, bytes: number, ageMs: number): StoredThing {
  return { kind: 'tree', id, bytes, usedMs: nowMs - ageMs }
}

const things = [thing('new', 10, 1), thing('old', 20, 1000), thing('middle', 30, 100)]
const none = parseGcFilters([], nowMs)

const policies: readonly [string, number, number | undefined, readonly string[]][] = [
  ['age alone takes the old ones', 100, undefined, ['old']],
  ['a size takes the least recently used until the rest fits', 0, 45, ['old']],
  ['a size of nothing takes all', 0, 0, ['old', 'middle', 'new']],
  ['a size that all fit into takes none', 0, 60, []],
  ['with a size and an age only old ones go', 500, 0, ['old']],
]

for (const [title, ageMs, keepBytes, want] of policies)
  test(title, t => {
    const policy = { usedBeforeMs: nowMs - ageMs, keepBytes, filters: none }
    t.deepEqual(
      chooseGarbage(things, policy).map(({ id }) => id),
      want,
    )
  })
