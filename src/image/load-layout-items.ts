// index.json of an OCI layout (image-spec v1.1.1 image-layout.md): which images it holds, and what they are called.

import { type Descriptor, refNameAnnotation } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { foreignIndexLimits } from '../oci/json-shape.ts'
import { isIndexType, isManifestType, parseIndex, parseManifest } from '../oci/manifest.ts'
import { compressionOf, mediaTypes } from '../oci/media-types.ts'
import { parseReference, type Reference } from '../oci/reference.ts'
import { readBlob } from '../store/verified-stream.ts'
import { type ArchiveContents, noImageArchive } from './archive-contents.ts'
import type { LoadedImage } from './load-archive.ts'

/** Images of the layout, each once with all its names; entries that are no images are left out. */
export async function readLayoutItems(contents: ArchiveContents): Promise<LoadedImage[]> {
  const file = contents.find('index.json')
  if (file === undefined) throw noImageArchive('it has no index.json')
  const { maxBytes } = foreignIndexLimits
  const bytes = await readBlob(contents.blobs, { mediaType: mediaTypes.index, ...file }, maxBytes)
  return layoutImages(parseIndex(bytes, 'index.json', foreignIndexLimits).manifests)
}

/** The images that entries of an index.json tell of. */
export function layoutImages(entries: readonly Descriptor[]): LoadedImage[] {
  const images = new Map<string, LoadedImage>()
  for (const entry of entries) {
    if (!isManifestType(entry.mediaType) && !isIndexType(entry.mediaType)) continue
    const { annotations, ...descriptor } = entry
    const { names = [], labels = [] } = images.get(entry.digest) ?? {}
    const name = layoutName(annotations)
    const label = annotations?.[refNameAnnotation]
    images.set(entry.digest, {
      descriptor,
      names: name === undefined ? names : [...names, name],
      labels: label === undefined ? labels : [...labels, label],
    })
  }
  return [...images.values()]
}

/** containerd's annotation has the whole name; in the standard one some tools write a tag, which names nothing by itself. */
function layoutName(annotations: Descriptor['annotations']): Reference | undefined {
  const whole = annotations?.['io.containerd.image.name']
  if (whole !== undefined) return parseReference(whole)
  const text = annotations?.[refNameAnnotation]
  return text !== undefined && /[:/]/.test(text) ? parseReference(text) : undefined
}

/** What of a layout's image is in the archive. */
export interface LayoutImageParts {
  /** Digests of the configurations. */
  readonly configs: ReadonlySet<Digest>
  /** The manifest was made when the archive was: its layers are plain tars, as Docker keeps them. */
  readonly isMadeUp: boolean
}

/** Looks at the manifests of an image. @throws ARCHIVE_INVALID */
export async function layoutImageParts(
  { blobs }: ArchiveContents,
  { descriptor }: LoadedImage,
): Promise<LayoutImageParts> {
  const isIndex = isIndexType(descriptor.mediaType)
  const manifests = isIndex
    ? parseIndex(await readBlob(blobs, descriptor), `index ${descriptor.digest}`).manifests
    : [descriptor]
  const configs = new Set<Digest>()
  let isPlain = !isIndex
  for (const entry of manifests) {
    if (!isManifestType(entry.mediaType) || !(await blobs.hasBlob(entry.digest))) continue
    const bytes = await readBlob(blobs, entry)
    const { config, layers } = parseManifest(bytes, `manifest ${entry.digest}`)
    configs.add(config.digest)
    isPlain &&= layers.every(layer => compressionOf(layer.mediaType) === 'none')
  }
  return { configs, isMadeUp: isPlain }
}
