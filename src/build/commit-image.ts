// Makes an image of a built root: layers, configuration and history, all of one time. Nothing of the host, its clock or
// the build's order of events is in it.

import { imageDocuments, oneChunk } from '../image/create-image.ts'
import type { Image } from '../image/image.ts'
import { imageOf } from '../image/open-image.ts'
import type { HistoryEntry, ImageConfig } from '../oci/image-config.ts'
import type { Reference } from '../oci/reference.ts'
import type { BuildStage } from '../plan/plan.ts'
import type { BuiltRoot, CommitOptions } from './build.ts'
import { imageEpoch, type LayerWork, layerSpans, packLayers } from './image-layers.ts'

export interface CommitWork {
  readonly options: CommitOptions
  readonly references: readonly Reference[]
  readonly work: LayerWork
}

/** Packs the layers, stores the image and gives it its names. Idempotent. @throws what packLayers throws */
export async function commitImage(
  stage: BuildStage,
  built: BuiltRoot,
  { options, references, work }: CommitWork,
): Promise<Image> {
  const { store, batch, signal } = work
  const layers = await packLayers(built, options, work)
  const { config, manifest } = imageDocuments({
    config: imageConfig(stage, built, options),
    layers: layers.map(({ layer }) => layer),
  })
  for (const { descriptor, bytes } of [config, manifest])
    if (!(await store.hasBlob(descriptor.digest)))
      await batch.put(oneChunk(bytes), { expected: descriptor })
  // One wait for the disk for all blobs.
  await batch.commit({ signal })
  for (const { remember } of layers) await remember?.()
  const { descriptor } = manifest
  for (const reference of references)
    if ((await store.findImage(reference))?.digest !== descriptor.digest)
      await store.tagImage(reference, descriptor)
  return imageOf(store, { descriptor, manifest: manifest.value, config: config.value })
}

/** The configuration without its layers. */
export function imageConfig(
  stage: BuildStage,
  built: BuiltRoot,
  options: CommitOptions,
): Omit<ImageConfig, 'rootfs'> {
  const created = isoSeconds(imageEpoch(built, options))
  const spans = layerSpans(built, options.layers)
  const { os, architecture, variant } = stage.platform
  return {
    created,
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(stage.author === undefined ? {} : { author: stage.author }),
    config: stage.config,
    history: spans.map((span, index): HistoryEntry => {
      const line = stage.history.kind === 'phases' ? stage.history.line : {}
      if (index === spans.length - 1) return { created, ...line }
      const { created_by: createdBy } = line
      return {
        created,
        ...(createdBy === undefined ? {} : { created_by: createdBy }),
        comment: span.title,
      }
    }),
  }
}

/** `1970-01-01T00:00:00Z` (RFC 3339). */
function isoSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}
