// Plans of several stages: what starts from what, what runs at the same time, and what is opened when nothing changed.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BuildOptions, BuiltRoot } from '../../src/build/build.ts'
import { planExecutor } from '../../src/build/execute-plan.ts'
import { KauriError } from '../../src/core/errors.ts'
import { type BuildEvent, ignoreEvents } from '../../src/core/events.ts'
import { type BuildPlan, type BuildStage, type BuildStep, guestPath } from '../../src/plan/plan.ts'
import type { Snapshotter } from '../../src/rootfs/rootfs.ts'
import type { Doubles } from '../helpers/build-doubles.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import {
  baseImage,
  make,
  makeMakers,
  on,
  plansOf,
  scratchBase,
  stageOf,
} from '../helpers/stage-plans.ts'

const test = testWith({ root: true })

const base: BuildOptions = { useCache: true, offline: false, emit: ignoreEvents }
async function build(
  { parts, calls }: Doubles,
  plan: BuildPlan,
  options: Partial<BuildOptions> = {},
): Promise<BuiltRoot> {
  calls.length = 0
  return await planExecutor(parts)(plan, { ...base, ...options })
}

function read({ parts }: Doubles, { snapshot }: BuiltRoot, name: string): string {
  using tree = parts.snapshotter.open(snapshot)
  return readFileSync(`${tree.path}/${name}`, 'utf8')
}

test('a stage stands on another one, and both are found again', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  const plan = plansOf(
    stageOf('a', scratchBase, [make('one')]),
    stageOf('b', on('a'), [make('two')]),
  )
  const built = await build(doubles, plan)
  t.is(read(doubles, built, 'one') + read(doubles, built, 'two'), 'onetwo')
  t.is(doubles.calls.length, 2)
  const again = await build(doubles, plan)
  t.is(again.snapshot, built.snapshot)
  t.deepEqual(doubles.calls, [])
})

test('an image is unpacked only when a step runs on it', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  const manifest = await baseImage(doubles.parts.store, path.join(scratch.path, 'image-root'))
  const from: BuildStage['base'] = { kind: 'image', reference: 'base', manifest }
  const plan = plansOf(stageOf('main', from, [make('one')]))
  const titles: string[] = []
  const emit = (event: BuildEvent): void => {
    if (event.kind === 'step-started') titles.push(event.title)
  }
  const built = await build(doubles, plan, { emit })
  t.deepEqual(titles, ['unpack 1 layer', 'one'])
  t.is(read(doubles, built, 'from-image'), 'image')
  titles.length = 0
  await build(doubles, plan, { emit })
  t.deepEqual(titles, ['one'])
})

test('what stands on a stage that is made anew is made anew as well, other stages are not', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  const plan = plansOf(
    stageOf('a', scratchBase, [make('count')]),
    stageOf('b', on('a'), [make('two')]),
  )
  await build(doubles, plan)
  const built = await build(doubles, plan, { noCacheStages: new Set(['a']) })
  t.is(doubles.calls.length, 2)
  t.is(read(doubles, built, 'count'), '2')
  await build(doubles, plan, { noCacheStages: new Set(['b']) })
  t.is(doubles.calls.length, 1)
})

test('a result on top of a root that was made anew meanwhile does not count', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  const a = stageOf('a', scratchBase, [make('count')])
  const plan = plansOf(a, stageOf('b', on('a'), [make('two')]))
  await build(doubles, plan)
  await build(doubles, plansOf(a), { useCache: false })
  const built = await build(doubles, plan)
  t.is(read(doubles, built, 'count'), '2')
})

test('equal steps of two builds at the same time run once', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  const { script } = doubles
  doubles.script = async (bundle, onLine) => {
    await sleep(100)
    return await script(bundle, onLine)
  }
  const plan = plansOf(stageOf('a', scratchBase, [make('count')]))
  const [one, two] = await Promise.all([build(doubles, plan), build(doubles, plan)])
  t.is(one.snapshot, two.snapshot)
  t.deepEqual(doubles.calls, ['run /bin/sh -c make count'])
})

test('the failure of a stage is told, with its step', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  const plan = plansOf(
    stageOf('a', scratchBase, [make('fail')]),
    stageOf('b', on('a'), [make('two')]),
  )
  const error = await t.throwsAsync<KauriError>(build(doubles, plan))
  t.true(error instanceof KauriError)
  t.is(error?.code, 'SCRIPT_FAILED')
})

/** COPY --from of a file at the root. */
const copyFrom = (stage: string, file: string): BuildStep => ({
  kind: 'add',
  title: `copy ${file}`,
  phase: 'instruction',
  from: { kind: 'stage', stage },
  sources: [{ kind: 'pattern', pattern: `/${file}` }],
  target: guestPath(`/${file}`),
  targetIsDirectory: false,
  parents: false,
  excludes: [],
  link: false,
  unpack: 'none',
})

const diamond = (last = 'end'): BuildPlan =>
  plansOf(
    stageOf('left', scratchBase, [make('one')]),
    stageOf('right', scratchBase, [make('two')]),
    stageOf('main', scratchBase, [copyFrom('left', 'one'), copyFrom('right', 'two'), make(last)]),
  )

test('stages that do not need one another work at the same time', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  const { script } = doubles
  let underWay = 0
  let most = 0
  doubles.script = async (bundle, onLine) => {
    most = Math.max(most, ++underWay)
    await sleep(100)
    underWay--
    return await script(bundle, onLine)
  }
  const built = await build(doubles, diamond())
  t.is(most, 2)
  t.is(read(doubles, built, 'one') + read(doubles, built, 'two'), 'onetwo')
})

test('with nothing changed no root is opened', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  await build(doubles, diamond())
  const opened: string[] = []
  const { snapshotter } = doubles.parts
  const watched: Snapshotter = {
    ...snapshotter,
    open(id) {
      opened.push(`open ${id}`)
      return snapshotter.open(id)
    },
    async prepare(id, options) {
      opened.push(`prepare ${id}`)
      return await snapshotter.prepare(id, options)
    },
  }
  Object.assign(doubles, { parts: { ...doubles.parts, snapshotter: watched } })
  await build(doubles, diamond())
  t.deepEqual(opened, [])
  // What runs stands on the results before it, not on the stages that those came from.
  await build(doubles, diamond('other'))
  t.is(opened.length, 1)
})

test('results of a build that is at work cannot be removed', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  const { script } = doubles
  const { snapshotter } = doubles.parts
  const removed: unknown[] = []
  doubles.script = async (bundle, onLine) => {
    for (const { id } of await snapshotter.list())
      removed.push(await snapshotter.remove(id).catch((error: KauriError) => error.code))
    return await script(bundle, onLine)
  }
  const built = await build(doubles, diamond())
  t.true(removed.length > 2)
  t.deepEqual([...new Set(removed)], ['LOCK_BUSY'])
  t.is(read(doubles, built, 'one'), 'one')
  for (let left = await snapshotter.list(); left.length > 0; left = await snapshotter.list())
    for (const { id } of left) await snapshotter.remove(id).catch(() => {})
  t.deepEqual(await snapshotter.list(), [])
})

test('a failure stops the other stages, and nothing is left at work', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  const { script } = doubles
  let ended = 0
  doubles.script = async (bundle, onLine) => {
    const isFailing = bundle.config.process.args.at(-1) === 'make fail'
    await sleep(isFailing ? 30 : 150)
    ended++
    return await script(bundle, onLine)
  }
  const plan = plansOf(
    stageOf('left', scratchBase, [make('fail')]),
    stageOf('right', scratchBase, [make('two'), make('never')]),
    stageOf('main', scratchBase, [copyFrom('left', 'one'), copyFrom('right', 'two')]),
  )
  const error = await t.throwsAsync<KauriError>(build(doubles, plan))
  t.is(error?.code, 'SCRIPT_FAILED')
  t.is(ended, 2, 'the step that was under way is waited for, the next one does not begin')
})

test('what a stage is copied from counts by content: an equal root elsewhere is the same', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  await build(doubles, diamond())
  const renamed = plansOf(
    stageOf('left', scratchBase, [make('nothing'), make('one')]),
    stageOf('right', scratchBase, [make('two')]),
    stageOf('main', scratchBase, [copyFrom('left', 'one'), copyFrom('right', 'two'), make('end')]),
  )
  await build(doubles, renamed)
  t.deepEqual(doubles.calls, ['run /bin/sh -c make nothing', 'run /bin/sh -c make one'])
})

test('a linked copy is not made again when what is below it changes', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  const plan = (below: string): BuildPlan =>
    plansOf(
      stageOf('left', scratchBase, [make('one')]),
      stageOf('main', scratchBase, [
        make(below),
        { ...copyFrom('left', 'one'), link: true } as BuildStep,
        make('end'),
      ]),
    )
  await build(doubles, plan('base'))
  const built = await build(doubles, plan('other'))
  t.deepEqual(
    built.steps.map(({ cached }) => cached),
    [false, true, false],
  )
  t.is(read(doubles, built, 'one') + read(doubles, built, 'other'), 'oneother')
})
