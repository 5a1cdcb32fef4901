// manifest.json of a docker-archive, in all the forms that `docker save`, buildkit and skopeo have written: it names
// configurations and layers by their files. The manifest is made anew, from the configuration's bytes as they are.

import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import { decompress } from '../layer/decompress.ts'
import { packLayer } from '../layer/pack-layer.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester, type DiffId, type Digest } from '../oci/digest.ts'
import { parseImageConfig } from '../oci/image-config.ts'
import {
  documentPlace,
  type JsonPlace,
  listOf,
  objectReader,
  parseJsonText,
  readText,
} from '../oci/json-shape.ts'
import type { Manifest } from '../oci/manifest.ts'
import { layerMediaType, mediaTypes } from '../oci/media-types.ts'
import { parseReference } from '../oci/reference.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { StoredBlob } from '../store/store.ts'
import { readBlob } from '../store/verified-stream.ts'
import { noImageArchive } from './archive-contents.ts'
import { oneChunk } from './create-image.ts'
import type { LoadedImage, LoadWork } from './load-archive.ts'

interface DockerItem {
  readonly config: string
  readonly tags: readonly string[]
  readonly layers: readonly string[]
}

/** Reads, checks and packs every image of the archive. @throws ARCHIVE_INVALID, REFERENCE_INVALID, CHECKSUM_MISMATCH */
export async function readDockerItems(work: LoadWork): Promise<LoadedImage[]> {
  const file = requireFile(work, 'manifest.json')
  const place = documentPlace('manifest.json', 'ARCHIVE_INVALID')
  const bytes = await readBlob(work.contents.blobs, { mediaType: 'application/json', ...file })
  const items = listOf(readItem)(parseJsonText(bytes, place), place)
  const packed = new Map<DiffId, Descriptor>()
  const images: LoadedImage[] = []
  for (const item of items) {
    const names = item.tags.map(tag => parseReference(tag))
    images.push({ descriptor: await loadItem(item, work, packed), names })
  }
  return images
}

function readItem(value: unknown, place: JsonPlace): DockerItem {
  const members = objectReader(value, place)
  return {
    config: members.required('Config', readText),
    tags: members.optional('RepoTags', listOf(readText)) ?? [],
    layers: members.optional('Layers', listOf(readText)) ?? [],
  }
}

function requireFile({ contents }: LoadWork, name: string): StoredBlob {
  const file = contents.find(name)
  if (file === undefined) throw noImageArchive(`manifest.json names ${name}, which is not there`)
  return file
}

async function loadItem(
  item: DockerItem,
  work: LoadWork,
  packed: Map<DiffId, Descriptor>,
): Promise<Descriptor> {
  const config: Descriptor = { mediaType: mediaTypes.config, ...requireFile(work, item.config) }
  const { rootfs } = parseImageConfig(await readBlob(work.contents.blobs, config), item.config)
  if (rootfs.diff_ids.length !== item.layers.length)
    throw new KauriError(
      'ARCHIVE_INVALID',
      `${item.config} names ${rootfs.diff_ids.length} layers, manifest.json ${item.layers.length}`,
    )
  const layers: Descriptor[] = []
  for (const [index, diffId] of rootfs.diff_ids.entries()) {
    const name = item.layers[index] ?? ''
    const layer = packed.get(diffId) ?? (await loadLayer(name, diffId, work))
    packed.set(diffId, layer)
    layers.push(layer)
  }
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config,
    layers,
  }
  const stored = await work.batch.put(oneChunk(Buffer.from(canonicalJson(manifest))))
  return { mediaType: mediaTypes.manifest, ...stored }
}

/** A compressed layer stays as it came; a plain one is packed, unless the store has it packed already. */
async function loadLayer(name: string, diffId: DiffId, work: LoadWork): Promise<Descriptor> {
  const { store, batch, contents, signal } = work
  const file = requireFile(work, name)
  const known = await findPacked(store, diffId)
  const blob = await contents.blobs.openBlob({ mediaType: mediaTypes.layerTar, ...file })
  const { format, bytes } = await decompress(blob, { signal, name })
  if (format === 'gzip' || format === 'zstd') {
    const kept = { mediaType: layerMediaType(format), ...file }
    await store.rememberLayer({ ...kept, diffId, tarBytes: await checkTar(bytes, diffId, name) })
    return kept
  }
  if (known !== undefined) {
    await checkTar(bytes, diffId, name)
    return known
  }
  const { digest, packedBytes, tarBytes, ...packed } = await packLayer(bytes, {
    compression: { codec: 'zstd' },
    sink: chunks => batch.put(chunks, { signal }),
    signal,
  })
  requireDiffId(name, diffId, packed.diffId)
  const descriptor = { mediaType: layerMediaType('zstd'), digest, size: packedBytes }
  await store.rememberLayer({ ...descriptor, diffId, tarBytes })
  return descriptor
}

async function findPacked(store: DiskStore, diffId: DiffId): Promise<Descriptor | undefined> {
  const known = store.findLayers(diffId).find(({ mediaType }) => mediaType === mediaTypes.layerZstd)
  if (known === undefined || !(await store.hasBlob(known.digest))) return undefined
  const { mediaType, digest, size } = known
  return { mediaType, digest, size }
}

/** Length of a tar that is what the configuration says. @throws CHECKSUM_MISMATCH */
async function checkTar(
  tar: AsyncIterable<Uint8Array>,
  diffId: DiffId,
  name: string,
): Promise<number> {
  const digester = createDigester()
  let tarBytes = 0
  for await (const chunk of tar) {
    digester.update(chunk)
    tarBytes += chunk.byteLength
  }
  requireDiffId(name, diffId, digester.digest())
  return tarBytes
}

function requireDiffId(name: string, wanted: DiffId, actual: Digest): void {
  if (actual !== wanted)
    throw new KauriError(
      'CHECKSUM_MISMATCH',
      `the layer ${name} unpacks to ${actual}, the configuration says ${wanted}`,
    )
}
