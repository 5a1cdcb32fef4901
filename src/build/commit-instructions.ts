// Makes the image of a Dockerfile's result: the layers of its base and of its steps, configuration and history. With
// nothing changed everything is known by record, and no blob is written.

import { imageDocuments, oneChunk } from '../image/create-image.ts'
import type { Image } from '../image/image.ts'
import { imageOf } from '../image/open-image.ts'
import type { Platform } from '../oci/platform.ts'
import type { BlobBatch } from '../store/blob-batch.ts'
import { annotationsFor, type BuildPlansParts, type BuildRequest } from './build-plans.ts'
import { instructionConfig } from './instruction-config.ts'
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
  parts: BuildPlansParts & { readonly batch: BlobBatch },
): Promise<CommittedImage> {
  const { store, batch } = parts
  const line = await resultLine(run, run.result)
  const layers = await resultLayers(line, run, {
    ...parts,
    request,
    emit: request.options.emit,
    signal: request.options.signal,
    stepId: `${run.idPrefix}layers`,
  })
  const config = instructionConfig(line, timesByStage(line, layers), request.times)
  const { os, architecture, variant } = config
  const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) }
  const documents = imageDocuments({
    config,
    layers: [...(line.base?.layers ?? []), ...layers.map(({ layer }) => layer)],
    ...annotationsFor(request.annotations, 'manifest', platform),
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

/** When each step's result was made, stage by stage. */
function timesByStage({ runs }: ResultLine, layers: readonly ReadyStepLayer[]): string[][] {
  let next = 0
  return runs.map(({ steps }) => {
    const own = layers.slice(next, next + steps.length)
    next += steps.length
    return own.map(({ created }) => created)
  })
}
