// Caches that leave the machine: what comes back runs nothing, gives the same image, and harms nobody.

import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import {
  type BuildOutcome,
  type BuildRequest,
  buildPlans,
  type CacheTarget,
} from '../../src/build/build-plans.ts'
import { type BuildEvent, ignoreEvents } from '../../src/core/events.ts'
import { oneChunk } from '../../src/image/create-image.ts'
import { validateImage } from '../../src/image/validate-image.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { parseReference } from '../../src/oci/reference.ts'
import { type AddStep, type BuildPlan, guestPath } from '../../src/plan/plan.ts'
import { diskStore } from '../../src/store/disk-store.ts'
import { layoutReader } from '../../src/store/layout-reader.ts'
import { testWith } from '../helpers/needs.ts'
import { serveRegistry } from '../helpers/registry-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import {
  type Makers,
  make,
  makeMakers,
  on,
  plansOf,
  scratchBase,
  stageOf,
} from '../helpers/stage-plans.ts'
import { named, quickRegistries } from '../registry/small-registry.ts'

const test = testWith({ root: true })

const name = parseReference('example:1')

async function build(
  { parts, calls }: Makers,
  plan: BuildPlan,
  more: Partial<BuildRequest> = {},
): Promise<BuildOutcome> {
  calls.length = 0
  const request: BuildRequest = {
    plans: [plan],
    options: { useCache: true, offline: false, emit: ignoreEvents },
    times: { layers: 'kept' },
    compression: { codec: 'zstd' },
    outputs: [{ kind: 'store', names: [name] }],
    cacheFrom: [],
    cacheTo: [],
    annotations: [],
    ...more,
  }
  return await buildPlans(request, parts)
}

/** COPY --from of a file at the root. */
const copyFrom = (stage: string, file: string, more: Partial<AddStep> = {}): AddStep => ({
  kind: 'add',
  title: `COPY --from=${stage} ${file}`,
  phase: 'instruction',
  from: { kind: 'stage', stage },
  sources: [{ kind: 'pattern', pattern: `/${file}` }],
  target: guestPath(`/copied-${file}`),
  targetIsDirectory: false,
  parents: false,
  excludes: [],
  link: false,
  unpack: 'none',
  ...more,
})

const plan = (last = 'three'): BuildPlan =>
  plansOf(
    stageOf('tools', scratchBase, [make('count'), make('nothing')]),
    stageOf('base', scratchBase, [make('one')]),
    stageOf('main', on('base'), [
      copyFrom('tools', 'count'),
      copyFrom('tools', 'count', { link: true, target: guestPath('/linked') }),
      make(last),
    ]),
  )

const toDirectory = (directory: string, mode: 'min' | 'max'): CacheTarget => ({
  kind: 'local',
  directory,
  mode,
  ignoresErrors: false,
  cacheMounts: false,
})

for (const mode of ['min', 'max'] as const)
  test(`a fresh machine with a cache of mode ${mode} runs nothing and makes the same image`, async t => {
    using scratch = makeScratch()
    const directory = path.join(scratch.path, 'cache')
    const first = await makeMakers(path.join(scratch.path, 'first'))
    const made = await build(first, plan(), { cacheTo: [toDirectory(directory, mode)] })
    const second = await makeMakers(path.join(scratch.path, 'second'))
    const again = await build(second, plan(), { cacheFrom: [{ kind: 'local', directory }] })
    t.deepEqual(second.calls, [])
    t.is(again.descriptor?.digest, made.descriptor?.digest)
    await build(second, plan())
    t.deepEqual(second.calls, [])
  })

for (const kind of ['registry', 'inline'] as const)
  test(`a cache in a registry, ${kind}, serves a fresh machine`, async t => {
    using scratch = makeScratch()
    await using server = await serveRegistry()
    const registries = (): ReturnType<typeof quickRegistries> => quickRegistries()
    const makersAt = async (place: string): Promise<Makers> => {
      const makers = await makeMakers(path.join(scratch.path, place))
      return Object.assign(makers, { parts: { ...makers.parts, registries } })
    }
    const image = named(server, 'image:1')
    const reference = kind === 'inline' ? image : named(server, 'cache:main')
    const first = await makersAt('first')
    const rest = { mode: 'max', ignoresErrors: false, cacheMounts: false } as const
    const cacheTo = [kind === 'inline' ? { kind, ...rest } : { kind, reference, ...rest }]
    const outputs = [{ kind: 'registry', names: [image], byDigest: false }] as const
    const made = await build(first, plan(), { cacheTo, outputs })
    const second = await makersAt('second')
    const cacheFrom = [{ kind: 'registry', reference }] as const
    const again = await build(second, plan(), { cacheFrom, cacheTo, outputs })
    t.deepEqual(second.calls, [])
    t.is(again.descriptor?.digest, made.descriptor?.digest)
  })

test('what changed runs on what the cache has', async t => {
  using scratch = makeScratch()
  const directory = path.join(scratch.path, 'cache')
  const times = { layers: 'clamped', createdSeconds: 1000 } as const
  const first = await makeMakers(path.join(scratch.path, 'first'))
  await build(first, plan(), { times, cacheTo: [toDirectory(directory, 'max')] })
  const there = await build(first, plan('other'), { times })
  const second = await makeMakers(path.join(scratch.path, 'second'))
  const cacheFrom = [{ kind: 'local', directory }] as const
  const here = await build(second, plan('other'), { times, cacheFrom })
  t.deepEqual(second.calls, ['run /bin/sh -c make other'])
  t.is(here.descriptor?.digest, there.descriptor?.digest)
})

test('an image that carries its cache serves as one', async t => {
  using scratch = makeScratch()
  const layout = path.join(scratch.path, 'layout')
  const first = await makeMakers(path.join(scratch.path, 'first'))
  const inline = { kind: 'inline', mode: 'min', ignoresErrors: false, cacheMounts: false } as const
  const made = await build(first, plan(), {
    outputs: [{ kind: 'oci-directory', directory: layout, names: [] }],
    cacheTo: [inline],
  })
  const second = await makeMakers(path.join(scratch.path, 'second'))
  const again = await build(second, plan(), {
    cacheFrom: [{ kind: 'local', directory: layout, digest: made.descriptor!.digest }],
    cacheTo: [inline],
  })
  t.deepEqual(second.calls, [])
  t.is(again.descriptor?.digest, made.descriptor?.digest)
})

test('a cache made with one epoch serves a build with another, byte for byte', async t => {
  using scratch = makeScratch()
  const directory = path.join(scratch.path, 'cache')
  const times = (createdSeconds: number): BuildRequest['times'] => ({
    layers: 'stamped',
    createdSeconds,
  })
  const first = await makeMakers(path.join(scratch.path, 'first'))
  const cacheTo = [toDirectory(directory, 'max')]
  await build(first, plan(), { times: times(1000), cacheTo })
  const there = await build(first, plan(), { times: times(2000) })
  const second = await makeMakers(path.join(scratch.path, 'second'))
  const cacheFrom = [{ kind: 'local', directory }] as const
  const here = await build(second, plan(), { times: times(2000), cacheFrom })
  t.deepEqual(second.calls, [])
  t.is(here.descriptor?.digest, there.descriptor?.digest)
})

test('results whose trees were collected come back from the layers of their image', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(scratch.path)
  const made = await build(makers, plan())
  const { snapshotter } = makers.parts
  for (let left = await snapshotter.list(); left.length > 0; left = await snapshotter.list())
    for (const { id } of left) await snapshotter.remove(id).catch(() => {})
  const again = await build(makers, plan())
  t.is(again.descriptor?.digest, made.descriptor?.digest)
  t.deepEqual(makers.calls, [])
  await build(makers, plan('other'))
  t.deepEqual(makers.calls, ['run /bin/sh -c make other'])
})

test('a root that comes out otherwise when it is made again is copied from as it is then', async t => {
  using scratch = makeScratch()
  const makers = await makeMakers(scratch.path)
  await build(makers, plan(), { outputs: [] })
  const { snapshotter } = makers.parts
  for (let left = await snapshotter.list(); left.length > 0; left = await snapshotter.list())
    for (const { id } of left) await snapshotter.remove(id).catch(() => {})
  const directory = path.join(scratch.path, 'root')
  await build(makers, plan('other'), { outputs: [{ kind: 'directory', directory }] })
  t.is(readFileSync(path.join(directory, 'copied-count'), 'utf8'), '2')
  rmSync(directory, { recursive: true })
  await build(makers, plan('other'), { outputs: [{ kind: 'directory', directory }] })
  t.deepEqual(makers.calls, [])
  t.is(readFileSync(path.join(directory, 'copied-count'), 'utf8'), '2')
})

test('a cache that is missing or damaged is told of, and the build does without it', async t => {
  using scratch = makeScratch()
  const directory = path.join(scratch.path, 'cache')
  const first = await makeMakers(path.join(scratch.path, 'first'))
  const made = await build(first, plan(), { cacheTo: [toDirectory(directory, 'max')] })
  const damages: [string, () => void][] = [
    ['missing', () => rmSync(directory, { recursive: true })],
    ['no JSON', () => damageBlobs(directory, 'application/vnd.dev.kauri')],
  ]
  for (const [place, damage] of damages.toReversed()) {
    damage()
    const second = await makeMakers(path.join(scratch.path, place.replace(' ', '-')))
    const warnings: string[] = []
    const emit = (event: BuildEvent): void => {
      if (event.kind === 'warning') warnings.push(event.message)
    }
    const again = await build(second, plan(), {
      options: { useCache: true, offline: false, emit },
      cacheFrom: [{ kind: 'local', directory }],
    })
    t.is(again.images[0]?.image?.layers.length, made.images[0]?.image?.layers.length)
    t.regex(warnings.join('\n'), /is not used/)
    t.true(second.calls.length > 0)
  }
})

/** Flips a byte of every blob that holds the word. */
function damageBlobs(layout: string, word: string): void {
  const directory = path.join(layout, 'blobs', 'sha256')
  for (const file of readdirSync(directory).map(blob => path.join(directory, blob))) {
    const bytes = readFileSync(file)
    if (!bytes.includes(word)) continue
    rmSync(file)
    bytes[bytes.length - 2] = 0x21
    writeFileSync(file, bytes)
  }
}

test('a layer that is not what its cache says is told of and made here', async t => {
  using scratch = makeScratch()
  const directory = path.join(scratch.path, 'cache')
  const first = await makeMakers(path.join(scratch.path, 'first'))
  await build(first, plan(), { cacheTo: [toDirectory(directory, 'max')] })
  const blobs = path.join(directory, 'blobs', 'sha256')
  const layers = readdirSync(blobs).filter(
    blob => readFileSync(path.join(blobs, blob)).readUInt32LE(0) === zstdMagic,
  )
  const lies: Readonly<Record<string, Buffer>> = {
    // Of another digest, and of the right length.
    damaged: Buffer.alloc(200, 1),
    missing: Buffer.alloc(0),
  }
  for (const [place, bytes] of Object.entries(lies)) {
    for (const blob of layers) {
      const { size } = statSync(path.join(blobs, blob))
      rmSync(path.join(blobs, blob))
      if (bytes.length > 0)
        writeFileSync(path.join(blobs, blob), Buffer.alloc(size, bytes.subarray(0, 1)))
      else writeFileSync(path.join(blobs, blob), '')
    }
    const second = await makeMakers(path.join(scratch.path, place))
    const warnings: string[] = []
    const emit = (event: BuildEvent): void => {
      if (event.kind === 'warning') warnings.push(event.message)
    }
    const built = await build(second, plan(), {
      options: { useCache: true, offline: false, emit },
      cacheFrom: [{ kind: 'local', directory }],
    })
    t.true(warnings.some(message => message.startsWith('a layer of a cache is not used')))
    t.true(second.calls.length > 0)
    await validateImage(second.parts.store, built.descriptor!)
  }
})

const zstdMagic = 0xfd2fb528

test('a layer that does not unpack to what its cache says is not taken', async t => {
  using scratch = makeScratch()
  const directory = path.join(scratch.path, 'cache')
  const first = await makeMakers(path.join(scratch.path, 'first'))
  const made = await build(first, plan(), { cacheTo: [toDirectory(directory, 'max')] })
  // The config says that the layer of one step is that of another: the blob is whole, its meaning a lie.
  const reader = layoutReader(directory)
  const [entry] = await reader.listEntries()
  const manifest = parseManifest(await reader.readWhole!(entry!.descriptor), 'the cache')
  const config = JSON.parse(String(await reader.readWhole!(manifest.config)))
  const [one, two] = config.steps.filter(
    (step: { digest: string }, index: number, all: { digest: string }[]) =>
      all.findIndex(({ digest }) => digest === step.digest) === index,
  )
  const lie = { digest: two.digest, size: two.size }
  for (const step of config.steps) if (step.digest === one.digest) Object.assign(step, lie)
  const bytes = Buffer.from(JSON.stringify(config))
  const store = diskStore(directory)
  const lying = await store.putBlob(oneChunk(bytes))
  const document = { ...manifest, config: { ...manifest.config, ...lying } }
  const liar = await store.putBlob(oneChunk(Buffer.from(JSON.stringify(document))))
  const second = await makeMakers(path.join(scratch.path, 'second'))
  const { mediaType } = entry!.descriptor
  await store.keepImage({ mediaType, ...liar })
  const built = await build(second, plan(), {
    cacheFrom: [{ kind: 'local', directory, digest: liar.digest }],
  })
  await validateImage(second.parts.store, built.descriptor!)
  t.true(second.calls.length > 0)
  // Also where the blob is in the store already, under its right meaning.
  const cacheFrom = [{ kind: 'local', directory, digest: liar.digest }] as const
  await removeRecords(second)
  const again = await build(second, plan(), { cacheFrom })
  await validateImage(second.parts.store, again.descriptor!)
  t.is(built.images[0]?.image?.layers.length, made.images[0]?.image?.layers.length)
})

/** As if nothing had been built; blobs stay. */
async function removeRecords({ parts }: Makers): Promise<void> {
  rmSync(path.join(parts.dataRoot, 'cache'), { recursive: true })
  const { snapshotter } = parts
  for (let left = await snapshotter.list(); left.length > 0; left = await snapshotter.list())
    for (const { id } of left) await snapshotter.remove(id).catch(() => {})
}
