// New images from stored ones without a build: another configuration, more layers, another base. Nothing is unpacked; the
// layers that stay are the same blobs.

import { KauriError } from '../core/errors.ts'
import type { HistoryEntry, RunConfig } from '../oci/image-config.ts'
import { documentPlace, objectReader, parseJsonText, readMembers } from '../oci/json-shape.ts'
import { compressionOf, layerMediaType } from '../oci/media-types.ts'
import type { BlobSource } from '../store/store.ts'
import { readBlob } from '../store/verified-stream.ts'
import type { ImageParts, LayerOfImage } from './create-image.ts'
import type { Image } from './image.ts'

/** A line of history for what is done to an image now. */
export interface Edit {
  /** RFC 3339. */
  readonly created: string
  readonly createdBy: string
  readonly comment?: string | undefined
}

/** The parts of an image as they are, in OCI's media types. @throws UNSUPPORTED for layers that are no tars */
export function partsOf({ config, layers, manifest }: Image): ImageParts {
  const { rootfs: _, ...rest } = config
  return {
    config: { ...rest, history: toldHistory(config.history, layers.length) },
    layers: layers.map(({ descriptor, diffId }) => {
      const compression = compressionOf(descriptor.mediaType)
      if (compression === undefined)
        throw new KauriError('UNSUPPORTED', `${descriptor.mediaType} is no layer of a root`)
      return { descriptor: { ...descriptor, mediaType: layerMediaType(compression) }, diffId }
    }),
    ...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations }),
  }
}

const knownMembers = new Set(
  'architecture author config created history os os.features os.version rootfs variant'.split(' '),
)

/** They tell of the container that made the image, or of its layers as they were. */
const staleMembers = new Set(['container', 'container_config', 'moby.buildkit.cache.v0'])

const knownRunMembers = new Set(
  'ArgsEscaped Cmd Entrypoint Env ExposedPorts Healthcheck Labels OnBuild Shell StopSignal User Volumes WorkingDir'.split(
    ' ',
  ),
)

/** The parts with what the image's configuration has beside what kauri knows. @throws BLOB_NOT_FOUND, BLOB_CORRUPT */
export async function wholePartsOf(store: BlobSource, image: Image): Promise<ImageParts> {
  const { config } = image.manifest
  const place = documentPlace(`config ${config.digest}`, 'ARCHIVE_INVALID')
  const value = parseJsonText(await readBlob(store, config), place)
  const members = objectReader(value, place)
  const run = members.optional('config', readMembers) ?? {}
  const foreign = {
    config: membersBut(readMembers(value, place), knownMembers.union(staleMembers)),
    run: membersBut(run, knownRunMembers),
  }
  return { ...partsOf(image), foreign }
}

function membersBut(
  members: Readonly<Record<string, unknown>>,
  left: ReadonlySet<string>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(members).filter(([key]) => !left.has(key)))
}

/** An entry for each layer: what the history leaves out is made up, so that new lines stand at their place. */
function toldHistory(history: readonly HistoryEntry[] = [], layers: number): HistoryEntry[] {
  const told = history.filter(entry => !entry.empty_layer).length
  if (told > layers) return Array.from({ length: layers }, () => ({}))
  return [...history, ...Array.from({ length: layers - told }, () => ({}))]
}

/** Changes how containers start. */
export function reconfigure(
  parts: ImageParts,
  change: (config: RunConfig) => RunConfig,
  edit: Edit,
): ImageParts {
  const config = change(parts.config.config ?? {})
  return withHistory({ ...parts, config: { ...parts.config, config } }, edit, true)
}

/** Puts a layer on top. */
export function appendLayer(parts: ImageParts, layer: LayerOfImage, edit: Edit): ImageParts {
  return withHistory({ ...parts, layers: [...parts.layers, layer] }, edit, false)
}

function withHistory(parts: ImageParts, edit: Edit, isEmpty: boolean): ImageParts {
  const { created, createdBy, comment } = edit
  const entry: HistoryEntry = {
    created,
    created_by: createdBy,
    ...(comment === undefined ? {} : { comment }),
    ...(isEmpty ? { empty_layer: true } : {}),
  }
  const history = [...(parts.config.history ?? []), entry]
  return { ...parts, config: { ...parts.config, created, history } }
}

/**
 * Puts what stands on one base onto another: the layers above the old base, on the new one's. The configuration stays
 * the image's own.
 * @throws USAGE where the image does not stand on the old base, or the platforms differ
 */
export function rebase(image: ImageParts, from: ImageParts, onto: ImageParts): ImageParts {
  const stands = from.layers.every(({ diffId }, index) => image.layers[index]?.diffId === diffId)
  if (!stands)
    throw new KauriError('USAGE', 'the image does not stand on the layers of the old base', {
      hint: 'kauri history shows what an image is made of',
    })
  requireSamePlatform(image, onto)
  return {
    ...image,
    config: {
      ...image.config,
      history: [...(onto.config.history ?? []), ...historySince(image.config.history ?? [], from)],
    },
    layers: [...onto.layers, ...image.layers.slice(from.layers.length)],
  }
}

function requireSamePlatform({ config }: ImageParts, { config: onto }: ImageParts): void {
  if (config.os === onto.os && config.architecture === onto.architecture) return
  throw new KauriError(
    'USAGE',
    `the image is for ${config.os}/${config.architecture}, the new base for ${onto.os}/${onto.architecture}`,
  )
}

/** What an image's history has beyond its base's; told by the layers where the base's was rewritten. */
function historySince(history: readonly HistoryEntry[], base: ImageParts): readonly HistoryEntry[] {
  const told = base.config.history ?? []
  const isKept = told.every((entry, index) => entry.created_by === history[index]?.created_by)
  return isKept ? history.slice(told.length) : historyAbove(history, base.layers.length)
}

/** Entries behind the one of the last of so many layers. */
function historyAbove(history: readonly HistoryEntry[], layers: number): readonly HistoryEntry[] {
  let left = layers
  const start = history.findIndex(entry => {
    if (left === 0) return true
    if (!entry.empty_layer) left--
    return false
  })
  return start < 0 ? [] : history.slice(start)
}

/** One layer in place of all, or of those from `keep` up. */
export function squashed(
  parts: ImageParts,
  layer: LayerOfImage,
  { keep, edit }: { readonly keep: number; readonly edit: Edit },
): ImageParts {
  const above = historyAbove(parts.config.history ?? [], keep)
  const history = (parts.config.history ?? []).slice(
    0,
    (parts.config.history ?? []).length - above.length,
  )
  const base = {
    ...parts,
    config: { ...parts.config, history },
    layers: parts.layers.slice(0, keep),
  }
  return appendLayer(base, layer, edit)
}
