// Writes what `docker save` writes since Docker 25: an OCI image layout whose layers are plain tars, and beside it the
// manifest.json and repositories that older programs look for. Layers are named by their diff IDs.

import { canonicalJson } from '../core/canonical-json.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type DiffId, digestOf, hexOf } from '../oci/digest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { familiarName, formatFamiliar, formatReference, type Reference } from '../oci/reference.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { BlobSource } from '../store/store.ts'
import { readBlob } from '../store/verified-stream.ts'
import { type ArchiveFile, blobName, documentFile, tarOf } from './archive-entry.ts'
import type { Image } from './image.ts'
import { type LayerTar, tarOfLayer } from './layer-tar.ts'

/** An image and the names that the archive gives it. */
export interface ArchivedImage {
  readonly image: Image
  readonly names: readonly Reference[]
}

/** The archive's bytes, streamed from the store. @throws BLOB_NOT_FOUND, BLOB_CORRUPT, CANCELLED */
export async function* dockerArchive(
  store: DiskStore,
  images: readonly ArchivedImage[],
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const tars = new Map<DiffId, LayerTar>()
  for (const { image } of images)
    for (const layer of image.layers)
      if (!tars.has(layer.diffId)) tars.set(layer.diffId, await tarOfLayer(store, layer, signal))
  const documents = await dockerArchiveDocuments(
    store,
    images,
    diffId => tars.get(diffId)?.tarBytes ?? 0,
  )
  const layers = [...tars.values()].map(tar => tar.file)
  yield* tarOf([...layers, ...documents])
}

/** Everything but the layers, whose lengths the caller knows. */
export async function dockerArchiveDocuments(
  store: BlobSource,
  images: readonly ArchivedImage[],
  tarBytesOf: (diffId: DiffId) => number,
): Promise<ArchiveFile[]> {
  const files = new Map<string, ArchiveFile>()
  const index: Descriptor[] = []
  const items: DockerItem[] = []
  for (const { image, names } of images) {
    const layers = image.layers.map(({ diffId }) => ({
      mediaType: mediaTypes.layerTar,
      digest: diffId,
      size: tarBytesOf(diffId),
    }))
    const { config } = image.manifest
    const ociConfig = { ...config, mediaType: mediaTypes.config }
    const manifest = Buffer.from(
      canonicalJson({
        schemaVersion: 2,
        mediaType: mediaTypes.manifest,
        config: ociConfig,
        layers,
      }),
    )
    const digest = digestOf(manifest)
    files.set(
      blobName(config.digest),
      documentFile(blobName(config.digest), await readBlob(store, config)),
    )
    files.set(blobName(digest), documentFile(blobName(digest), manifest))
    index.push(
      ...indexEntries({ mediaType: mediaTypes.manifest, digest, size: manifest.length }, names),
    )
    items.push(dockerItem(image, names, layers))
  }
  return [
    ...files.values(),
    documentFile(
      'index.json',
      canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: index }),
    ),
    documentFile('manifest.json', canonicalJson(items)),
    documentFile('oci-layout', '{"imageLayoutVersion":"1.0.0"}'),
    documentFile('repositories', canonicalJson(repositoriesOf(images))),
  ]
}

/** One entry for each name, as containerd writes them; one without annotations where there is no name. */
function indexEntries(descriptor: Descriptor, names: readonly Reference[]): Descriptor[] {
  if (names.length === 0) return [descriptor]
  return names.map(name => ({
    ...descriptor,
    annotations: {
      'io.containerd.image.name': formatReference(name),
      'org.opencontainers.image.ref.name': name.tag ?? 'latest',
    },
  }))
}

/** One image in manifest.json; the keys are Docker's. */
interface DockerItem {
  readonly Config: string
  readonly RepoTags: readonly string[]
  readonly Layers: readonly string[]
  readonly LayerSources: Readonly<Record<string, Descriptor>>
}

function dockerItem(
  { manifest }: Image,
  names: readonly Reference[],
  layers: readonly Descriptor[],
): DockerItem {
  return {
    Config: blobName(manifest.config.digest),
    RepoTags: names.map(formatFamiliar),
    Layers: layers.map(({ digest }) => blobName(digest)),
    LayerSources: Object.fromEntries(layers.map(layer => [layer.digest, layer])),
  }
}

/** Docker's oldest form: name, tag, topmost layer. */
function repositoriesOf(images: readonly ArchivedImage[]): Record<string, Record<string, string>> {
  const repositories: Record<string, Record<string, string>> = {}
  for (const { image, names } of images) {
    const top = image.layers.at(-1)
    if (top === undefined) continue
    for (const name of names) {
      const tags = (repositories[familiarName(name)] ??= {})
      tags[name.tag ?? 'latest'] = hexOf(top.diffId)
    }
  }
  return repositories
}
