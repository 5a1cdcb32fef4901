// Keeps the results of a build for other machines: in an image layout, in a registry, or in the image itself. Layers go as
// they are in the image; where those have the times of an epoch, they are packed once more as the steps left them, so
// that they serve builds of any epoch.

import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import { inStep } from '../core/events.ts'
import { oneChunk } from '../image/create-image.ts'
import { compress } from '../layer/compression.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { layerMediaType, mediaTypes } from '../oci/media-types.ts'
import { formatFamiliar } from '../oci/reference.ts'
import type { BlobBatch } from '../store/blob-batch.ts'
import type { BuildPlansParts, BuildRequest, CacheTarget } from './build-plans.ts'
import {
  type CachedStep,
  cacheConfigType,
  formatCache,
  inlineCacheAnnotation,
} from './cache-format.ts'
import { cacheMountIds, exportCacheMounts } from './cache-mount-exchange.ts'
import { keptTimes, knownLayers } from './known-layers.ts'
import type { PlanRun } from './plan-run.ts'
import { findAll, packMissing, type ReadyStepLayer } from './result-layers.ts'
import { resultLine } from './result-line.ts'
import type { StageRun } from './stage-run.ts'

export interface ExportWork {
  readonly runs: readonly PlanRun[]
  readonly parts: BuildPlansParts
}

/** The annotation of an image that carries its own cache. */
export function inlineCacheNote(
  run: PlanRun,
  layers: readonly ReadyStepLayer[],
): Readonly<Record<string, string>> {
  const cache = formatCache({ steps: layers.map(cachedStep), contents: run.contents() })
  return { [inlineCacheAnnotation]: cache }
}

function cachedStep({ keyed, times, layer, below, created }: ReadyStepLayer): CachedStep {
  return { key: keyed.key.key, times, layer, below, created }
}

/** Writes every cache that is no part of the image. @throws what a target without `ignoresErrors` throws; CANCELLED */
export async function writeCaches(request: BuildRequest, work: ExportWork): Promise<void> {
  const { emit, signal } = request.options
  for (const [index, target] of request.cacheTo.entries()) {
    if (target.kind === 'inline') continue
    const step = { id: `cache-to-${index + 1}`, title: `write the cache ${nameOf(target)}` }
    try {
      await inStep(emit, step, () => writeCache(target, request, work))
    } catch (error) {
      if (signal?.aborted || !target.ignoresErrors) throw error
      const message = error instanceof Error ? error.message : String(error)
      emit({ kind: 'warning', message: `the cache ${nameOf(target)} was not written: ${message}` })
    }
  }
}

type WrittenTarget = Exclude<CacheTarget, { readonly kind: 'inline' }>

function nameOf(target: WrittenTarget): string {
  return target.kind === 'local' ? target.directory : formatFamiliar(target.reference)
}

async function writeCache(
  target: WrittenTarget,
  request: BuildRequest,
  { runs, parts }: ExportWork,
): Promise<void> {
  const { emit, signal } = request.options
  const { store } = parts
  using batch = store.openBatch()
  const steps: CachedStep[] = []
  for (const run of runs) steps.push(...(await cachedSteps(run, target, { request, parts, batch })))
  const contents = runs.flatMap(run => run.contents())
  const mounts = target.cacheMounts ? await packCacheMounts(runs, { request, parts, batch }) : []
  const descriptor = await putManifest({ steps, contents }, mounts, batch)
  await batch.commit({ signal })
  if (target.kind === 'local') {
    const { addToOciDirectory } = await import('../image/oci-directory.ts')
    const root = { descriptor, names: [], labels: [target.tag ?? 'latest'] }
    const { directory } = target
    return await addToOciDirectory(store, [root], { directory, prunes: true, signal })
  }
  if (parts.registries === undefined) throw new KauriError('INTERNAL', 'no registries to push to')
  const { pushImage } = await import('../registry/push-image.ts')
  await using registries = await parts.registries()
  await pushImage(store, descriptor, target.reference, { registries, emit, signal })
}

interface PackContext {
  readonly request: BuildRequest
  readonly parts: BuildPlansParts
  readonly batch: BlobBatch
}

/** The steps of the result, or of all stages, whose results are there; each once. */
async function cachedSteps(
  run: PlanRun,
  { mode, compression }: WrittenTarget,
  { request, parts, batch }: PackContext,
): Promise<CachedStep[]> {
  const { store, dataRoot } = parts
  const { emit, signal } = request.options
  const codec = compression ?? request.compression
  const { imports } = run
  const layers = knownLayers({ dataRoot, store, compression: codec, imports, signal, emit })
  const work = { ...parts, layers, batch, emit, signal, compression: codec }
  const steps = new Map<Digest, CachedStep>()
  for (const stage of mode === 'max' ? run.stages : [run.result]) {
    const stepId = `${run.idPrefix}cache-${stage.stage.id}`
    const found = await layersOf(stage, run, { ...work, times: { layers: keptTimes }, stepId })
    await batch.commit({ signal })
    for (const layer of found) {
      await layer.remember?.()
      steps.set(layer.keyed.key.key, cachedStep(layer))
    }
  }
  return [...steps.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1))
}

/** None for a stage whose results nobody needed and that are not all there. */
async function layersOf(
  stage: StageRun,
  run: PlanRun,
  work: Parameters<typeof packMissing>[1],
): Promise<readonly ReadyStepLayer[]> {
  const line = await resultLine(stage)
  const known = await findAll(line, work)
  if (known !== undefined) return known
  const isThere = (await stage.rootResult()) !== undefined
  if (stage !== run.result && !isThere) return []
  await run.reach(stage)
  return await packMissing(line, work)
}

async function packCacheMounts(
  runs: readonly PlanRun[],
  { request, parts, batch }: PackContext,
): Promise<Descriptor[]> {
  const { signal } = request.options
  const ids = cacheMountIds(runs.flatMap(run => run.stages.map(({ stage }) => stage)))
  const mounts: Descriptor[] = []
  if (ids.size === 0) return mounts
  for await (const { annotations, openTar } of exportCacheMounts(parts.dataRoot, ids, { signal })) {
    const packed = compress(openTar(), { codec: 'zstd' }, signal)
    const blob = await batch.put(packed, { signal })
    mounts.push({ mediaType: layerMediaType('zstd'), ...blob, annotations })
  }
  return mounts
}

async function putManifest(
  records: Parameters<typeof formatCache>[0],
  mounts: readonly Descriptor[],
  batch: BlobBatch,
): Promise<Descriptor> {
  const config = await putDocument(cacheConfigType, formatCache(records), batch)
  const layers = new Map(
    records.steps.map(({ layer }) => [layer.descriptor.digest, layer.descriptor]),
  )
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config,
    layers: [...layers.values(), ...mounts],
  }
  return await putDocument(mediaTypes.manifest, canonicalJson(manifest), batch)
}

async function putDocument(mediaType: string, text: string, batch: BlobBatch): Promise<Descriptor> {
  const bytes = Buffer.from(text)
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength }
  await batch.put(oneChunk(bytes), { expected: descriptor })
  return descriptor
}
