// Images, histories and outputs of plans as Dockerfiles lower to.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { buildMetadata } from '../../src/build/build-metadata.ts'
import { type BuildOutcome, type BuildRequest, buildPlans } from '../../src/build/build-plans.ts'
import type { KauriError } from '../../src/core/errors.ts'
import { type Emit, ignoreEvents } from '../../src/core/events.ts'
import { openImage } from '../../src/image/open-image.ts'
import { validateImage } from '../../src/image/validate-image.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { parseIndex } from '../../src/oci/manifest.ts'
import { parseReference } from '../../src/oci/reference.ts'
import type { BuildPlan } from '../../src/plan/plan.ts'
import { openSnapshotter } from '../../src/rootfs/open-snapshotter.ts'
import { layoutReader } from '../../src/store/layout-reader.ts'
import { readBlob } from '../../src/store/verified-stream.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import {
  baseImage,
  type Makers,
  make,
  makeMakers,
  on,
  plansOf,
  scratchBase,
  stageOf,
} from '../helpers/stage-plans.ts'

const test = testWith({ root: true })

const name = parseReference('example:1')

function requestOf(plans: readonly BuildPlan[], more: Partial<BuildRequest> = {}): BuildRequest {
  return {
    plans,
    options: { useCache: true, offline: false, emit: ignoreEvents },
    times: { layers: 'kept' },
    compression: { codec: 'zstd' },
    outputs: [{ kind: 'store', names: [name] }],
    cacheFrom: [],
    cacheTo: [],
    annotations: [],
    ...more,
  }
}

async function build(
  { parts, calls }: Makers,
  plans: readonly BuildPlan[],
  more: Partial<BuildRequest> = {},
): Promise<BuildOutcome> {
  calls.length = 0
  return await buildPlans(requestOf(plans, more), parts)
}

const twoStages = (): BuildPlan =>
  plansOf(
    stageOf('a', scratchBase, [make('one'), make('nothing')]),
    stageOf('b', on('a'), [make('two')]),
  )

const emptyLayer = digestOf(Buffer.alloc(1024))

test('each step is a layer, an empty one where it changed nothing', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(scratch.path)
  const { descriptor, images } = await build(makers, [twoStages()])
  const image = await validateImage(makers.parts.store, descriptor!)
  t.is(image.config.rootfs.diff_ids.length, 3)
  t.is(image.config.rootfs.diff_ids[1], emptyLayer as never)
  t.deepEqual(
    image.config.history?.map(({ created_by: by, empty_layer: empty }) => [by, empty ?? false]),
    [
      ['one', false],
      ['nothing', false],
      ['CMD a', true],
      ['two', false],
      ['CMD b', true],
    ],
  )
  const { created, history } = image.config
  t.is(created, history?.at(-1)?.created)
  t.is(history?.[2]?.created, history?.[1]?.created)
  t.deepEqual(image.config.config, { Cmd: ['b'] })
  t.is(images[0]?.stages.flatMap(({ steps }) => steps).length, 3)
})

test('with nothing changed nothing runs, nothing is packed and the image is the same', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(scratch.path)
  const first = await build(makers, [twoStages()])
  const blobs = path.join(scratch.path, 'oci', 'blobs', 'sha256')
  const before = readdirSync(blobs).map(blob => statSync(path.join(blobs, blob)).ino)
  const again = await build(makers, [twoStages()])
  t.deepEqual(makers.calls, [])
  t.is(again.descriptor?.digest, first.descriptor?.digest)
  t.deepEqual(
    readdirSync(blobs).map(blob => statSync(path.join(blobs, blob)).ino),
    before,
  )
  t.true(again.images[0]?.stages.every(({ steps }) => steps.every(({ cached }) => cached)))
})

test('layers and history of the base stay as they are, a line without a layer has the time before it', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(scratch.path)
  const manifest = await baseImage(makers.parts.store, path.join(scratch.path, 'image-root'))
  const base = { kind: 'image', reference: 'base', manifest } as const
  const { descriptor } = await build(makers, [plansOf(stageOf('main', base, []))])
  const image = await openImage(makers.parts.store, descriptor!)
  t.deepEqual(image.config.history, [
    { created: '2020-01-01T00:00:00.5Z', created_by: 'base' },
    { created: '2020-01-01T00:00:00Z', created_by: 'CMD main', empty_layer: true },
  ])
  t.is(image.config.created, '2020-01-01T00:00:00Z')
})

test('with an epoch everything new is of that time, and the same image comes out elsewhere', async t => {
  using scratch = makeScratch()
  const times = { layers: 'stamped', createdSeconds: 1_000_000 } as const
  const digests: string[] = []
  for (const place of ['one', 'two']) {
    const makers = await makeMakers(path.join(scratch.path, place))
    const { descriptor } = await build(makers, [twoStages()], { times })
    const image = await openImage(makers.parts.store, descriptor!)
    t.deepEqual(
      new Set(image.config.history?.map(({ created }) => created)),
      new Set(['1970-01-12T13:46:40Z']),
    )
    digests.push(descriptor!.digest)
  }
  t.is(digests[0], digests[1])
})

test('an overlay and copies give the same image', async t => {
  using scratch = makeScratch()
  const times = { layers: 'stamped', createdSeconds: 1_000_000 } as const
  const digests: string[] = []
  for (const choice of ['overlay', 'copy'] as const) {
    const directory = path.join(scratch.path, choice)
    const makers = await makeMakers(directory)
    const snapshotter = await openSnapshotter({ root: path.join(directory, 'snapshots'), choice })
    const parts = { ...makers.parts, snapshotter }
    const { descriptor } = await buildPlans(requestOf([twoStages()], { times }), parts)
    digests.push(descriptor!.digest)
  }
  t.is(digests[0], digests[1])
})

test('two builds of the same at the same time run each step once and make one image', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(scratch.path)
  const outcomes = await Promise.all([
    buildPlans(requestOf([twoStages()]), makers.parts),
    buildPlans(requestOf([twoStages()]), makers.parts),
  ])
  t.is(makers.calls.length, 3)
  t.is(outcomes[0]?.descriptor?.digest, outcomes[1]?.descriptor?.digest)
})

test('annotations go where they are asked for', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(scratch.path)
  const plans = ['amd64', 'arm64'].map(architecture => {
    const [stage] = plansOf(stageOf('a', scratchBase, [make('one')])).stages
    return plansOf({ ...stage!, platform: { os: 'linux', architecture } })
  })
  const arm = { os: 'linux', architecture: 'arm64' }
  const { descriptor, images } = await build(makers, plans, {
    annotations: [
      { on: 'index', key: 'a', value: '1' },
      { on: 'manifest', key: 'b', value: '2', platform: arm },
      { on: 'manifest-descriptor', key: 'c', value: '3' },
    ],
  })
  t.deepEqual(
    images.map(({ image }) => image?.manifest.annotations),
    [undefined, { b: '2' }],
  )
  const index = parseIndex(await readBlob(makers.parts.store, descriptor!), 'the index')
  t.deepEqual(index.annotations, { a: '1' })
  t.deepEqual(
    index.manifests.map(({ annotations }) => annotations),
    [{ c: '3' }, { c: '3' }],
  )
})

test('without the cache a fresh result takes the place of the old one, everywhere', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(scratch.path)
  const plan = plansOf(stageOf('a', scratchBase, [make('count'), make('one')]))
  const first = await build(makers, [plan])
  const fresh = await build(makers, [plan], {
    options: { useCache: false, offline: false, emit: ignoreEvents },
  })
  t.is(makers.calls.length, 2)
  t.not(fresh.descriptor?.digest, first.descriptor?.digest)
  const again = await build(makers, [plan])
  t.deepEqual(makers.calls, [])
  t.is(again.descriptor?.digest, fresh.descriptor?.digest)
})

test('archives, directories and roots hold the result', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(path.join(scratch.path, 'data'))
  const at = (file: string): string => path.join(scratch.path, file)
  const chunks: Uint8Array[] = []
  const parts = {
    ...makers.parts,
    writeOut: async (bytes: AsyncIterable<Uint8Array>) => {
      for await (const chunk of bytes) chunks.push(Uint8Array.from(chunk))
    },
  }
  const { descriptor } = await buildPlans(
    requestOf([twoStages()], {
      outputs: [
        { kind: 'docker-archive', destination: at('docker.tar'), names: [name] },
        { kind: 'oci-archive', destination: at('oci.tar'), names: [name] },
        { kind: 'oci-directory', directory: at('layout'), names: [name] },
        { kind: 'tar', destination: '-' },
        { kind: 'directory', directory: at('root') },
      ],
    }),
    parts,
  )
  const files = (tar: string): string => execFileSync('tar', ['-tf', tar], { encoding: 'utf8' })
  t.true(files(at('docker.tar')).includes('manifest.json'))
  t.true(files(at('oci.tar')).includes('index.json'))
  const found = await layoutReader(at('layout')).findImage(name)
  t.is(found?.digest, descriptor?.digest)
  writeFileSync(at('root.tar'), Buffer.concat(chunks))
  t.deepEqual(files(at('root.tar')).trim().split('\n'), ['./', 'one', 'two'])
  t.deepEqual(readdirSync(at('root')).toSorted(), ['one', 'two'])
  t.deepEqual(await makers.parts.store.listImages(), [])
})

test('a step that was found is told once, whatever is written out of it', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(path.join(scratch.path, 'data'))
  await build(makers, [twoStages()])
  const told: string[] = []
  const emit: Emit = event => {
    if (event.kind === 'step-cached') told.push(event.id)
  }
  const directory = path.join(scratch.path, 'root')
  const options = { useCache: true, offline: false, emit }
  const outputs = [
    { kind: 'store', names: [name] } as const,
    { kind: 'directory', directory } as const,
  ]
  await build(makers, [twoStages()], { options, outputs })
  t.deepEqual(told.toSorted(), [...new Set(told)].toSorted())
  t.is(told.length, 3)
})

test('a layout keeps its other images, and a directory with something else is refused', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(path.join(scratch.path, 'data'))
  const directory = path.join(scratch.path, 'layout')
  const other = parseReference('other:1')
  for (const names of [[name], [other], [name]])
    await build(makers, [twoStages()], { outputs: [{ kind: 'oci-directory', directory, names }] })
  const listed = await layoutReader(directory).listImages()
  t.is(listed.length, 2)
  const taken = path.join(scratch.path, 'taken')
  mkdirSync(taken)
  writeFileSync(path.join(taken, 'mine'), '')
  const failing = build(makers, [twoStages()], {
    outputs: [{ kind: 'oci-directory', directory: taken, names: [] }],
  })
  t.is((await t.throwsAsync<KauriError>(failing))?.code, 'USAGE')
  t.deepEqual(readdirSync(taken), ['mine'])
})

test('several platforms are an index, and each has its directory', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(path.join(scratch.path, 'data'))
  const plans = ['amd64', 'arm64'].map(architecture => {
    const [stage] = plansOf(stageOf('a', scratchBase, [make('one')])).stages
    return plansOf({ ...stage!, platform: { os: 'linux', architecture } })
  })
  const directory = path.join(scratch.path, 'root')
  const outcome = await build(makers, plans, {
    outputs: [
      { kind: 'store', names: [name] },
      { kind: 'directory', directory },
    ],
  })
  const platform = { os: 'linux', architecture: 'arm64' }
  const image = await openImage(makers.parts.store, outcome.descriptor!, platform)
  t.is(image.config.architecture, 'arm64')
  t.is(readFileSync(path.join(directory, 'linux_arm64', 'one'), 'utf8'), 'one')
})

test('the metadata has the names of buildx', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(scratch.path)
  const outcome = await build(makers, [twoStages()])
  const config = outcome.images[0]?.image?.manifest.config.digest
  t.deepEqual(buildMetadata(outcome, [name]), {
    'containerimage.config.digest': config,
    'containerimage.descriptor': outcome.descriptor,
    'containerimage.digest': outcome.descriptor?.digest,
    'image.name': 'docker.io/library/example:1',
  })
})

test('outputs that do not fit are refused before anything runs', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(scratch.path)
  const untimed = build(makers, [twoStages()], { times: { layers: 'clamped' } })
  t.is((await t.throwsAsync<KauriError>(untimed))?.code, 'USAGE')
  const twice = build(makers, [twoStages(), twoStages()], {
    outputs: [{ kind: 'docker-archive', destination: '-', names: [] }],
  })
  t.is((await t.throwsAsync<KauriError>(twice))?.code, 'USAGE')
  t.deepEqual(makers.calls, [])
})
