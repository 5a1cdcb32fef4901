// Copies of contexts that are edited again and again: what a step would see is what the context is, however it came about.

import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import type { ExecutionContext } from 'ava'
import { openBuildContexts } from '../../src/build/build-contexts.ts'
import { digestPath } from '../../src/build/source-selection.ts'
import { openContextCopy } from '../../src/build/steps/context-copy.ts'
import { compareListings } from '../../src/build/steps/context-update.ts'
import type { StepContext } from '../../src/build/steps/step.ts'
import { type BuildPlan, guestPath } from '../../src/plan/plan.ts'
import { openSnapshotter } from '../../src/rootfs/open-snapshotter.ts'
import type { Snapshotter } from '../../src/rootfs/rootfs.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { listTree } from '../helpers/tar.ts'

const test = testWith({ root: true })

interface CopyTrial {
  readonly snapshotter: Snapshotter
  /** Copies the context as a new build does, and says how many snapshots are below the copy. */
  check(t: ExecutionContext, source?: string): Promise<number>
}

async function openCopyTrial(scratch: Scratch): Promise<CopyTrial> {
  const dataRoot = scratch.at('data')
  const snapshotter = await openSnapshotter({ root: path.join(dataRoot, 'snapshots') })
  const directory = scratch.at('context')
  const plan: BuildPlan = { contexts: { main: { directory, ignore: ['ignored'] } }, stages: [] }
  const from = { kind: 'context', context: 'main' } as const
  return {
    snapshotter,
    async check(t, source = '/') {
      await using contexts = openBuildContexts(plan, dataRoot)
      const step = { plan, contexts, tools: { dataRoot, snapshotter }, options: {} }
      const context = step as unknown as StepContext
      const digest = await digestPath(context, from, source)
      await using copy = await openContextCopy(context, { from, path: guestPath(source), digest })
      t.deepEqual(
        withoutTimes(`${copy.tree.path}/source`),
        withoutTimes(path.join(directory, source)),
      )
      const listed = await snapshotter.list()
      let below = 0
      for (let id = listed.find(one => one.id === copy.snapshot)?.parent; id !== undefined; below++)
        id = listed.find(one => one.id === id)?.parent
      return below
    },
  }
}

/** Equal contents may have older times; what is ignored is not there. */
function withoutTimes(root: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(listTree(root))
      .filter(([name]) => name !== 'ignored')
      .map(([name, text]) => {
        const words = text.split(' ')
        words.splice(3, 1)
        return [name, words.join(' ')]
      }),
  )
}

/** A small generator of numbers, for edits that can be repeated. */
function numbers(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1
  return below => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 3_266_489_917) >>> 0
    return state % below
  }
}

function edit(root: string, random: (below: number) => number): void {
  const names = Object.keys(listTree(root))
  const pick = (): string => path.join(root, names[random(names.length)] ?? '.')
  const fresh = (): string => {
    const place = pick()
    const directory =
      existsSync(place) && statSync(place).isDirectory() ? place : path.dirname(place)
    return path.join(directory, `n${random(40)}`)
  }
  const attempts = [
    () => writeFileSync(pick(), `text ${random(1000)}`),
    () => writeFileSync(fresh(), `new ${random(1000)}`),
    () => rmSync(pick(), { recursive: true }),
    () => mkdirSync(fresh()),
    () => chmodSync(pick(), 0o600 + random(64)),
    () => symlinkSync(`../n${random(40)}`, fresh()),
    () => renameSync(pick(), fresh()),
    () => utimesSync(pick(), random(1_000_000), random(1_000_000)),
    () => {
      const place = pick()
      rmSync(place, { recursive: true })
      if (random(2) === 0) mkdirSync(place)
      else writeFileSync(place, `now a file ${random(100)}`)
    },
    () => {
      // The same size and the same times: only the content tells.
      const place = pick()
      const { size, atime, mtime } = statSync(place)
      writeFileSync(place, String(random(10)).repeat(size))
      utimesSync(place, atime, mtime)
    },
  ]
  try {
    attempts[random(attempts.length)]?.()
  } catch {
    // Not every edit is possible everywhere.
  }
}

function makeContext(scratch: Scratch, files = 60): string {
  const root = scratch.at('context')
  for (let index = 0; index < files; index++) {
    mkdirSync(path.join(root, `d${index % 7}/e`), { recursive: true })
    writeFileSync(
      path.join(root, `d${index % 7}/${index % 2 ? 'e/' : ''}f${index}`),
      `file ${index}`,
    )
  }
  symlinkSync('d0/f0', path.join(root, 'link'))
  writeFileSync(path.join(root, 'ignored'), 'x')
  return root
}

for (const seed of [1, 2, 3, 4])
  test(`after any edits the copy is what the context is (${seed})`, async t => {
    using scratch = makeScratch()
    const root = makeContext(scratch)
    const trial = await openCopyTrial(scratch)
    const random = numbers(seed)
    for (let round = 0; round < 25; round++) {
      await trial.check(t)
      for (let edits = random(6); edits >= 0; edits--) edit(root, random)
    }
  })

test('an edit is a layer on the copy before, and not too many of them; older copies go', async t => {
  using scratch = makeScratch()
  const root = makeContext(scratch, 300)
  const trial = await openCopyTrial(scratch)
  t.is(await trial.check(t), 0)
  const depths: number[] = []
  for (let round = 0; round < 20; round++) {
    writeFileSync(path.join(root, 'd1/edited'), `round ${round}`)
    depths.push(await trial.check(t))
  }
  t.deepEqual(depths.slice(0, 3), [1, 2, 3])
  t.true(Math.max(...depths) <= 16)
  t.true(depths.includes(0))
  const { length } = await trial.snapshotter.list()
  t.is(length, (depths.at(-1) ?? 0) + 1)
})

test('back to what the context was before finds that copy, and drops the later one', async t => {
  using scratch = makeScratch()
  const root = makeContext(scratch)
  const trial = await openCopyTrial(scratch)
  await trial.check(t)
  writeFileSync(path.join(root, 'd1/f1'), 'other')
  await trial.check(t)
  t.is((await trial.snapshotter.list()).length, 2)
  writeFileSync(path.join(root, 'd1/f1'), 'file 1')
  rmSync(path.join(root, 'd1/f1'))
  await trial.check(t)
  writeFileSync(path.join(root, 'd1/f1'), 'other')
  await trial.check(t)
  t.true((await trial.snapshotter.list()).length <= 3)
})

test('files with several names, attributes and devices are copied anew each time, rightly', async t => {
  using scratch = makeScratch()
  const root = makeContext(scratch)
  const trial = await openCopyTrial(scratch)
  linkSync(path.join(root, 'd0/f0'), path.join(root, 'd0/second'))
  t.is(await trial.check(t), 0)
  writeFileSync(path.join(root, 'd0/f0'), 'both')
  t.is(await trial.check(t), 0)
})

test('a single file, and a directory behind a link', async t => {
  using scratch = makeScratch()
  const root = makeContext(scratch)
  symlinkSync('d3', path.join(root, 'three'))
  const trial = await openCopyTrial(scratch)
  await trial.check(t, '/three/')
  writeFileSync(path.join(root, 'd3/new'), 'x')
  t.is(await trial.check(t, '/three/'), 1)
})

test('a record that is damaged means a new copy', async t => {
  using scratch = makeScratch()
  const root = makeContext(scratch)
  const trial = await openCopyTrial(scratch)
  await trial.check(t)
  const directory = scratch.at('data/cache/mounted-copies')
  for (const text of [
    '',
    '{',
    '{}',
    'null',
    '{"id":"../x","entries":[]}',
    '{"id":"00112233","entries":[[1]]}',
    '{"id":"00112233445566778899","entries":[["","d755"]]}',
  ]) {
    for (const name of readdirSync(directory)) writeFileSync(path.join(directory, name), text)
    writeFileSync(path.join(root, 'd1/f1'), `after ${text}`)
    t.is(await trial.check(t), 0)
  }
})

test('what is unknown is equal to nothing, and too many changes are none', t => {
  const before = new Map([
    ['', 'd755'],
    ['a', ''],
    ['b', 'f644 x'],
  ])
  t.deepEqual(compareListings(before, before), { removed: [], changed: ['a'] })
  const many = new Map(Array.from({ length: 500 }, (_, index) => [`n${index}`, 'f644 y']))
  t.is(compareListings(before, many), undefined)
})
