// manifest.json of a docker-archive, in all the forms that `docker save`, buildkit and skopeo have written: it names
// configurations and layers by their files. The manifest is made anew, from the configuration's bytes as they are.

import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { DiffId } from '../oci/digest.ts'
import { type ImageConfig, parseImageConfig } from '../oci/image-config.ts'
import {
  documentPlace,
  type JsonPlace,
  listOf,
  objectReader,
  parseJsonText,
  readText,
} from '../oci/json-shape.ts'
import type { Manifest } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { parseReference, type Reference } from '../oci/reference.ts'
import { readBlob } from '../store/verified-stream.ts'
import { type LayerOfImage, oneChunk } from './create-image.ts'
import type { LoadWork } from './load-archive.ts'
import { loadLayer, requireFile } from './load-layer.ts'

/** One image of manifest.json. */
export interface DockerItem {
  /** Of the configuration's bytes. */
  readonly config: Descriptor
  readonly platform: Pick<ImageConfig, 'os' | 'architecture' | 'variant'>
  readonly diffIds: readonly DiffId[]
  readonly names: readonly Reference[]
  /** Files of the archive, bottom first; as many as there are diff IDs. */
  readonly layers: readonly string[]
}

/** What manifest.json tells, with the configurations read. @throws ARCHIVE_INVALID, REFERENCE_INVALID */
export async function readDockerItems(work: LoadWork): Promise<DockerItem[]> {
  const file = requireFile(work, 'manifest.json', 'the archive')
  const place = documentPlace('manifest.json', 'ARCHIVE_INVALID')
  const bytes = await readBlob(work.contents.blobs, { mediaType: 'application/json', ...file })
  const items = listOf(readItem)(parseJsonText(bytes, place), place)
  const read: DockerItem[] = []
  for (const item of items) read.push(await openItem(item, work))
  return read
}

interface WrittenItem {
  readonly config: string
  readonly tags: readonly string[]
  readonly layers: readonly string[]
}

function readItem(value: unknown, place: JsonPlace): WrittenItem {
  const members = objectReader(value, place)
  return {
    config: members.required('Config', readText),
    tags: members.optional('RepoTags', listOf(readText)) ?? [],
    layers: members.optional('Layers', listOf(readText)) ?? [],
  }
}

async function openItem(item: WrittenItem, work: LoadWork): Promise<DockerItem> {
  const file = requireFile(work, item.config, 'manifest.json')
  const config: Descriptor = { mediaType: mediaTypes.config, ...file }
  const { rootfs, ...platform } = parseImageConfig(
    await readBlob(work.contents.blobs, config),
    item.config,
  )
  if (rootfs.diff_ids.length !== item.layers.length)
    throw new KauriError(
      'ARCHIVE_INVALID',
      `${item.config} names ${rootfs.diff_ids.length} layers, manifest.json ${item.layers.length}`,
    )
  return {
    config,
    platform,
    diffIds: rootfs.diff_ids,
    names: item.tags.map(tag => parseReference(tag)),
    layers: item.layers,
  }
}

/** Layers that were loaded already, as images of one archive share them. */
export type LoadedLayers = Map<DiffId, LayerOfImage>

/** Checks and packs an image's layers. The descriptor is that of its manifest. @throws ARCHIVE_INVALID, CHECKSUM_MISMATCH */
export async function loadDockerItem(
  { config, diffIds, layers: names }: DockerItem,
  work: LoadWork,
  loaded: LoadedLayers,
): Promise<Descriptor> {
  const layers: Descriptor[] = []
  for (const [index, diffId] of diffIds.entries()) {
    const name = names[index] ?? ''
    const layer = loaded.get(diffId) ?? (await loadNamedLayer(name, work, diffId))
    loaded.set(diffId, layer)
    layers.push(layer.descriptor)
  }
  return await putManifest(work, config, layers)
}

async function loadNamedLayer(name: string, work: LoadWork, diffId: DiffId): Promise<LayerOfImage> {
  return await loadLayer({ name, ...requireFile(work, name, 'manifest.json') }, work, diffId)
}

/** Writes the manifest of an image whose archive has none. */
export async function putManifest(
  { batch }: LoadWork,
  config: Descriptor,
  layers: readonly Descriptor[],
): Promise<Descriptor> {
  const { manifest: mediaType } = mediaTypes
  const manifest: Manifest = { schemaVersion: 2, mediaType, config, layers }
  const stored = await batch.put(oneChunk(Buffer.from(canonicalJson(manifest))))
  return { mediaType, ...stored }
}
