// Makes the image of a Dockerfile's result: the layers of its base and of its steps, configuration and history. With
// nothing changed everything is known by record, and no blob is written.

import { type ImageParts, imageDocuments, oneChunk } from '../image/create-image.ts'
import type { Image } from '../image/image.ts'
import { imageOf } from '../image/open-image.ts'
import type { Platform } from '../oci/platform.ts'
import type { BlobBatch } from '../store/blob-batch.ts'
import type { BuildPlansParts, BuildRequest } from './build-plans.ts'
import { annotationsFor } from './image-annotations.ts'
import { instructionConfig } from './instruction-config.ts'
import type { KnownLayers } from './known-layers.ts'
import type { PlanRun } from './plan-run.ts'
import { type ReadyStepLayer, resultLayers } from './result-layers.ts'
import { type ResultLine, resultLine } from './result-line.ts'

/** An image whose blobs are in the store or in the batch. */
export interface CommittedImage {
  readonly image: Image
  readonly platform: Platform
  readonly layers: readonly ReadyStepLayer[]
  /** Call it once the batch is committed. */
  readonly remember: () => Promise<void>
}

/** Carries out what is missing, packs it into the batch and makes the documents. @throws what resultLayers throws */
export async function commitInstructions(
  run: PlanRun,
  request: BuildRequest,
  parts: BuildPlansParts & { readonly batch: BlobBatch; readonly layers: KnownLayers },
): Promise<CommittedImage> {
  const { store, batch } = parts
  const line = await resultLine(run.result)
  const { times, compression, options } = request
  const { emit, signal } = options
  const stepId = `${run.idPrefix}layers`
  const work = { ...parts, times, compression, emit, signal, stepId }
  const layers = await resultLayers(line, run, work)
  const config = instructionConfig(line, timesByStage(line, layers), times)
  const { os, architecture, variant } = config
  const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) }
  const documents = imageDocuments({
    config,
    layers: [...(line.base?.layers ?? []), ...layers.map(({ layer }) => layer)],
    ...(await manifestNotes(run, layers, { request, platform })),
  })
  for (const { descriptor, bytes } of [documents.config, documents.manifest])
    if (!(await store.hasBlob(descriptor.digest)))
      await batch.put(oneChunk(bytes), { expected: descriptor })
  const image = imageOf(store, {
    descriptor: documents.manifest.descriptor,
    manifest: documents.manifest.value,
    config: documents.config.value,
  })
  const remember = async (): Promise<void> => {
    for (const layer of layers) await layer.remember?.()
  }
  return { image, platform, layers, remember }
}

/** What the caller wants to be said of the manifest, and the cache that it carries. */
async function manifestNotes(
  run: PlanRun,
  layers: readonly ReadyStepLayer[],
  { request, platform }: { readonly request: BuildRequest; readonly platform: Platform },
): Promise<Pick<ImageParts, 'annotations'>> {
  const notes = annotationsFor(request.annotations, 'manifest', platform)
  if (!request.cacheTo.some(({ kind }) => kind === 'inline')) return notes
  const { inlineCacheNote } = await import('./cache-exports.ts')
  return { annotations: { ...notes.annotations, ...inlineCacheNote(run, layers) } }
}

/** When each step's result was made, stage by stage. */
function timesByStage({ runs }: ResultLine, layers: readonly ReadyStepLayer[]): string[][] {
  let next = 0
  return runs.map(({ steps }) => {
    const own = layers.slice(next, next + steps.length)
    next += steps.length
    return own.map(({ created }) => created)
  })
}
