// Results of other machines' builds: read from image layouts, registries and images that carry their own. What a cache
// says is believed as far as its digests go: blobs are checked when they are fetched, and nothing else of it is kept.

import { KauriError } from '../core/errors.ts'
import { type Emit, inStep } from '../core/events.ts'
import { type Descriptor, refNameAnnotation } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { isIndexType, isManifestType, parseIndex, parseManifest } from '../oci/manifest.ts'
import { formatFamiliar } from '../oci/reference.ts'
import { layoutReader } from '../store/layout-reader.ts'
import type { BlobSource } from '../store/store.ts'
import { readBlob } from '../store/verified-stream.ts'
import type { BuildPlansParts, CacheSource } from './build-plans.ts'
import {
  type CacheRecords,
  cacheConfigType,
  inlineCacheAnnotation,
  parseCache,
} from './cache-format.ts'
import { importCacheMount, isCacheMount } from './cache-mount-exchange.ts'
import type { KnownLayer } from './known-layers.ts'

/** What the caches of a build say together; the first that knows something is asked. */
export interface CacheImports {
  /** The layer of a step's result with those times. */
  findLayer(key: Digest, times: string): KnownLayer | undefined
  /** What a step read from another stage, by the name of its memo. */
  findContent(memo: string): Digest | undefined
  /** For a blob that is not what the caches say, or that cannot be had. */
  forgetLayer(blob: Digest): void
}

export interface ImportWork {
  readonly parts: Pick<BuildPlansParts, 'dataRoot' | 'registries'>
  /** Ids of the cache mounts that the build has. */
  readonly mountIds: ReadonlySet<string>
  readonly emit: Emit
  readonly signal?: AbortSignal | undefined
}

/** Opened caches. Disposing closes their connections. */
export interface OpenImports extends CacheImports, AsyncDisposable {}

/** Opens every cache; one that cannot be read is told of, and the build does without it. @throws CANCELLED */
export async function openImports(
  sources: readonly CacheSource[],
  work: ImportWork,
): Promise<OpenImports> {
  await using opening = new AsyncDisposableStack()
  const layers = new Map<string, KnownLayer>()
  const contents = new Map<string, Digest>()
  for (const [index, source] of sources.entries()) {
    const step = { id: `cache-from-${index + 1}`, title: `read the cache ${nameOf(source)}` }
    try {
      await inStep(work.emit, step, async () => {
        const opened = await openSource(source, work, opening)
        for await (const found of readCaches(opened.store, opened.root)) {
          addRecords(found, opened.store, { layers, contents })
          await takeCacheMounts(found.mounts, opened.store, work)
        }
      })
    } catch (error) {
      if (work.signal?.aborted) throw error
      const message = error instanceof Error ? error.message : String(error)
      work.emit({ kind: 'warning', message: `the cache ${nameOf(source)} is not used: ${message}` })
    }
  }
  const held = opening.move()
  return {
    findLayer: (key, times) => layers.get(`${key} ${times}`),
    findContent: memo => contents.get(memo),
    forgetLayer(blob) {
      for (const [name, { layer }] of layers)
        if (layer.descriptor.digest === blob) layers.delete(name)
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

function nameOf(source: CacheSource): string {
  return source.kind === 'local' ? source.directory : formatFamiliar(source.reference)
}

interface OpenedSource {
  readonly store: BlobSource
  readonly root: Descriptor
}

async function openSource(
  source: CacheSource,
  { parts, signal }: ImportWork,
  opening: AsyncDisposableStack,
): Promise<OpenedSource> {
  if (source.kind === 'local') return await openLayout(source)
  if (parts.registries === undefined) throw new KauriError('INTERNAL', 'no registries to ask')
  const { repositoryStore } = await import('../registry/repository-store.ts')
  const registries = opening.use(await parts.registries())
  const { reference } = source
  const repository = registries.repository(reference)
  const target = reference.digest ?? reference.tag ?? 'latest'
  const found = await repository.resolve(target, { signal })
  if (found === undefined) throw missingCache(formatFamiliar(reference))
  return { store: repositoryStore(repository, { signal }), root: found }
}

async function openLayout(
  source: Extract<CacheSource, { readonly kind: 'local' }>,
): Promise<OpenedSource> {
  const { directory, digest, tag = 'latest' } = source
  const reader = layoutReader(directory)
  const isWanted = ({ descriptor }: { readonly descriptor: Descriptor }): boolean =>
    digest === undefined
      ? descriptor.annotations?.[refNameAnnotation] === tag
      : descriptor.digest === digest
  const entry = (await reader.listEntries()).find(isWanted)
  if (entry === undefined) throw missingCache(`${directory} ${digest ?? tag}`)
  // Nothing of a layout from elsewhere is marked as used.
  return { store: { ...reader, hasBlob: async () => true }, root: entry.descriptor }
}

function missingCache(name: string): KauriError {
  return new KauriError('IMAGE_NOT_FOUND', `there is no ${name}`)
}

interface FoundCache extends CacheRecords {
  readonly mounts: readonly Descriptor[]
}

const maxIndexDepth = 2

/** The caches of a manifest, or of all manifests of an index. */
async function* readCaches(
  store: BlobSource,
  descriptor: Descriptor,
  depth = 0,
): AsyncGenerator<FoundCache> {
  const { mediaType, digest } = descriptor
  if (isIndexType(mediaType) && depth < maxIndexDepth) {
    const index = parseIndex(await readBlob(store, descriptor), `index ${digest}`)
    for (const child of index.manifests) yield* readCaches(store, child, depth + 1)
  }
  if (!isManifestType(mediaType)) return
  const name = `the cache ${digest}`
  const manifest = parseManifest(await readBlob(store, descriptor), name)
  if (manifest.config.mediaType === cacheConfigType) {
    const records = parseCache(await readBlob(store, manifest.config), name)
    const mounts = manifest.layers.filter(({ annotations }) => isCacheMount(annotations))
    yield { ...records, mounts }
  }
  const inline = manifest.annotations?.[inlineCacheAnnotation]
  if (inline !== undefined) yield { ...parseCache(Buffer.from(inline), name), mounts: [] }
}

function addRecords(
  { steps, contents: found }: CacheRecords,
  source: BlobSource,
  { layers, contents }: { layers: Map<string, KnownLayer>; contents: Map<string, Digest> },
): void {
  for (const { key, times, ...made } of steps) {
    const name = `${key} ${times}`
    if (!layers.has(name)) layers.set(name, { ...made, source })
  }
  for (const { name, digest } of found) if (!contents.has(name)) contents.set(name, digest)
}

async function takeCacheMounts(
  mounts: readonly Descriptor[],
  store: BlobSource,
  { parts, mountIds: ids, signal }: ImportWork,
): Promise<void> {
  if (mounts.length === 0) return
  const { decompress } = await import('../layer/decompress.ts')
  for (const descriptor of mounts) {
    const openTar = async function* (): AsyncGenerator<Uint8Array> {
      const name = `cache mount ${descriptor.digest}`
      const { bytes } = await decompress(await store.openBlob(descriptor), { name, signal })
      yield* bytes
    }
    await importCacheMount(parts.dataRoot, descriptor.annotations, openTar, { ids, signal })
  }
}
