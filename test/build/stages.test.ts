// Plans of several stages: what starts from what, what runs at the same time, and what is opened when nothing changed.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BuildOptions, BuiltRoot } from '../../src/build/build.ts'
import { planExecutor } from '../../src/build/execute-plan.ts'
import type { ExecutorParts } from '../../src/build/stage-run.ts'
import { KauriError } from '../../src/core/errors.ts'
import { type BuildEvent, ignoreEvents } from '../../src/core/events.ts'
import { createImage } from '../../src/image/create-image.ts'
import { packLayer } from '../../src/layer/pack-layer.ts'
import { packTree } from '../../src/layer/pack-tree.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { layerMediaType } from '../../src/oci/media-types.ts'
import type { BuildPlan, BuildStage, BuildStep } from '../../src/plan/plan.ts'
import { diskStore } from '../../src/store/disk-store.ts'
import { type Doubles, makeDoubles, runOf } from '../helpers/build-doubles.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })

const base: BuildOptions = { useCache: true, offline: false, emit: ignoreEvents }
const platform = { os: 'linux', architecture: 'amd64' }

function stageOf(id: string, from: BuildStage['base'], steps: readonly BuildStep[]): BuildStage {
  const lines = steps.map((step, index) => ({ created_by: step.title, step: index }))
  return { id, platform, base: from, steps, config: {}, history: { kind: 'instructions', lines } }
}

const scratchBase: BuildStage['base'] = { kind: 'scratch' }
const on = (stage: string): BuildStage['base'] => ({ kind: 'stage', stage })

const planOf = (...stages: BuildStage[]): BuildPlan => ({ contexts: {}, stages })

/** A run step that makes a file of the name. */
const make = (name: string): BuildStep => runOf(`make ${name}`, { showsEpoch: false, title: name })

/** The doubles' scripts make what their command says. */
async function makeMakers(dataRoot: string): Promise<Doubles & { readonly parts: ExecutorParts }> {
  const doubles = await makeDoubles(dataRoot)
  let count = 0
  doubles.script = ({ root, config }) => {
    const name = config.process.args.at(-1)?.replace('make ', '') ?? ''
    if (name === 'fail') return 1
    const directory = root.kind === 'overlay' ? (root.upper ?? '') : root.path
    writeFileSync(path.join(directory, name), name === 'count' ? `${++count}` : name)
    return 0
  }
  const store = diskStore(path.join(dataRoot, 'oci'))
  return Object.assign(doubles, { parts: { ...doubles.parts, store } })
}

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

async function baseImage(parts: ExecutorParts, directory: string): Promise<Digest> {
  mkdirSync(directory)
  writeFileSync(path.join(directory, 'from-image'), 'image')
  const store = parts.store!
  const packed = await packLayer(packTree({ kind: 'tree', path: directory }), {
    compression: { codec: 'zstd' },
    sink: bytes => store.putBlob(bytes),
  })
  const descriptor = {
    mediaType: layerMediaType('zstd'),
    digest: packed.digest,
    size: packed.packedBytes,
  }
  const layers = [{ descriptor, diffId: packed.diffId }]
  const image = await createImage(store, { config: { ...platform, config: {} }, layers })
  return image.descriptor.digest
}

test('a stage stands on another one, and both are found again', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  const plan = planOf(
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
  const manifest = await baseImage(doubles.parts, path.join(scratch.path, 'image-root'))
  const from: BuildStage['base'] = { kind: 'image', reference: 'base', manifest }
  const plan = planOf(stageOf('main', from, [make('one')]))
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
  const plan = planOf(
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
  const plan = planOf(a, stageOf('b', on('a'), [make('two')]))
  await build(doubles, plan)
  await build(doubles, planOf(a), { useCache: false })
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
  const plan = planOf(stageOf('a', scratchBase, [make('count')]))
  const [one, two] = await Promise.all([build(doubles, plan), build(doubles, plan)])
  t.is(one.snapshot, two.snapshot)
  t.deepEqual(doubles.calls, ['run /bin/sh -c make count'])
})

test('the failure of a stage is told, with its step', async t => {
  using scratch = makeScratch()
  const doubles = await makeMakers(scratch.path)
  const plan = planOf(
    stageOf('a', scratchBase, [make('fail')]),
    stageOf('b', on('a'), [make('two')]),
  )
  const error = await t.throwsAsync<KauriError>(build(doubles, plan))
  t.true(error instanceof KauriError)
  t.is(error?.code, 'SCRIPT_FAILED')
})
