// Image indexes made by hand: one name for the images of several platforms (image-spec v1.1.1 image-index.md). Every change
// writes a new index; the images in it stay what they are, and so does every member that kauri does not know.

import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf } from '../oci/digest.ts'
import {
  documentPlace,
  listOf,
  objectReader,
  parseJsonText,
  readMembers,
} from '../oci/json-shape.ts'
import { type ImageIndex, isIndexType, isManifestType, parseIndex } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { formatPlatform, matchesPlatform, type Platform } from '../oci/platform.ts'
import type { BlobSource, ImageStore } from '../store/store.ts'
import { readBlob } from '../store/verified-stream.ts'
import { oneChunk } from './create-image.ts'
import { openImage } from './open-image.ts'

export const emptyIndex: ImageIndex = {
  schemaVersion: 2,
  mediaType: mediaTypes.index,
  manifests: [],
}

type Members = Readonly<Record<string, unknown>>

/** One image of an index. */
interface EditedEntry {
  readonly descriptor: Descriptor
  /** The JSON object as it was read, with what was changed since. */
  readonly raw: Members
}

/** An index that is being changed. */
export interface EditedIndex {
  /** All but the images. */
  readonly members: Members
  readonly entries: readonly EditedEntry[]
}

export const newIndex: EditedIndex = {
  members: { schemaVersion: 2, mediaType: mediaTypes.index },
  entries: [],
}

/** What an index says of an image in it, or of itself; members that are left out stay as they are. */
export interface ImageNote {
  readonly platform?: Partial<Platform>
  readonly annotations?: Readonly<Record<string, string>>
}

/** Reads the index that a descriptor names. @throws USAGE for a single image, ARCHIVE_INVALID, BLOB_NOT_FOUND */
export async function readIndex(store: BlobSource, descriptor: Descriptor): Promise<EditedIndex> {
  const { mediaType, digest } = descriptor
  if (!isIndexType(mediaType))
    throw new KauriError('USAGE', `${digest} is a single image, not an index`, {
      hint: 'kauri manifest create NAME IMAGE... makes an index',
    })
  const bytes = await readBlob(store, descriptor)
  const { manifests } = parseIndex(bytes, `index ${digest}`)
  const place = documentPlace(`index ${digest}`, 'ARCHIVE_INVALID')
  const { manifests: raw, ...members } = readMembers(parseJsonText(bytes, place), place)
  const items = objectReader({ raw }, place).optional('raw', listOf(readMembers)) ?? []
  const entries = manifests.map((entry, at) => ({ descriptor: entry, raw: items[at] ?? {} }))
  return { members: { mediaType, ...members }, entries }
}

/**
 * Adds an image, or every stored image of another index; one for the same platform takes the place of the old one, and the
 * attestations of that go with it. The platform comes from the image's configuration.
 */
export async function addToIndex(
  store: BlobSource,
  index: EditedIndex,
  added: Descriptor,
): Promise<EditedIndex> {
  let { entries } = index
  for (const entry of await imagesOf(store, added)) {
    const gone = entries.filter(other => makesWay(other, entry))
    entries = [...without(entries, gone), entry]
  }
  return { ...index, entries }
}

function makesWay({ descriptor: other }: EditedEntry, { descriptor }: EditedEntry): boolean {
  if (other.digest === descriptor.digest) return true
  const [a, b] = [other.platform, descriptor.platform]
  if (a === undefined || b === undefined || b.os === 'unknown') return false
  return matchesPlatform(a, b) && a['os.version'] === b['os.version']
}

const attestedAnnotation = 'vnd.docker.reference.digest'

/** Attestations stand beside the image that they speak of. */
function without(
  entries: readonly EditedEntry[],
  gone: readonly EditedEntry[],
): readonly EditedEntry[] {
  const digests = new Set<string>(gone.map(({ descriptor }) => descriptor.digest))
  return entries.filter(
    ({ descriptor: { digest, annotations } }) =>
      !digests.has(digest) && !digests.has(annotations?.[attestedAnnotation] ?? ''),
  )
}

/** Single images with the platform of their configuration. */
async function imagesOf(store: BlobSource, descriptor: Descriptor): Promise<EditedEntry[]> {
  const { mediaType, digest, size, annotations } = descriptor
  if (isManifestType(mediaType)) {
    const { config } = await openImage(store, descriptor)
    const platform = platformOf(config)
    return [entryOf({ mediaType, digest, size, platform, ...withoutName(annotations) })]
  }
  const { entries } = await readIndex(store, descriptor)
  const stored: EditedEntry[] = []
  for (const entry of entries) if (await store.hasBlob(entry.descriptor.digest)) stored.push(entry)
  if (stored.length > 0) return stored
  throw new KauriError('IMAGE_NOT_FOUND', `no image of the index ${digest} is stored`)
}

function entryOf(descriptor: Descriptor): EditedEntry {
  return { descriptor, raw: { ...descriptor } }
}

function platformOf(config: Platform): Platform {
  const { os, architecture, variant } = config
  const { 'os.version': version, 'os.features': features } = config
  return {
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(version === undefined ? {} : { 'os.version': version }),
    ...(features === undefined ? {} : { 'os.features': features }),
  }
}

/** The store's own note of an image's name is no note of an index. */
function withoutName(
  annotations: Descriptor['annotations'],
): Pick<Descriptor, 'annotations'> | undefined {
  const kept = Object.entries(annotations ?? {}).filter(
    ([name]) => name !== 'org.opencontainers.image.ref.name',
  )
  return kept.length === 0 ? undefined : { annotations: Object.fromEntries(kept) }
}

/** Changes what the index says of one of its images. @throws IMAGE_NOT_FOUND */
export function annotateInIndex(
  index: EditedIndex,
  wanted: Descriptor,
  note: ImageNote,
): EditedIndex {
  requireIn(index, wanted)
  const entries = index.entries.map(entry =>
    entry.descriptor.digest === wanted.digest ? noted(entry, note) : entry,
  )
  return { ...index, entries }
}

function noted({ descriptor, raw }: EditedEntry, note: ImageNote): EditedEntry {
  const base = descriptor.platform ?? { os: 'linux', architecture: 'unknown' }
  const changed = {
    platform: { ...base, ...note.platform },
    annotations: { ...descriptor.annotations, ...note.annotations },
  }
  const isBare = Object.keys(changed.annotations).length === 0
  return {
    descriptor: { ...descriptor, ...changed },
    raw: {
      ...raw,
      platform: { ...asMembers(raw['platform']), ...changed.platform },
      ...(isBare ? {} : { annotations: changed.annotations }),
    },
  }
}

function asMembers(value: unknown): Members {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

/** Changes what the index says of itself. */
export function annotateIndex(
  index: EditedIndex,
  annotations: Readonly<Record<string, string>>,
): EditedIndex {
  const before = asMembers(index.members['annotations'])
  return { ...index, members: { ...index.members, annotations: { ...before, ...annotations } } }
}

/** Takes an image out, and the attestations that speak of it. @throws IMAGE_NOT_FOUND */
export function removeFromIndex(index: EditedIndex, wanted: Descriptor): EditedIndex {
  requireIn(index, wanted)
  const gone = index.entries.filter(({ descriptor }) => descriptor.digest === wanted.digest)
  return { ...index, entries: without(index.entries, gone) }
}

function requireIn({ entries }: EditedIndex, { digest }: Descriptor): void {
  if (entries.some(({ descriptor }) => descriptor.digest === digest)) return
  const there = entries.map(
    ({ descriptor: { digest: other, platform } }) =>
      `${other} (${platform ? formatPlatform(platform) : 'no platform'})`,
  )
  throw new KauriError('IMAGE_NOT_FOUND', `${digest} is not in the index`, {
    hint: there.length === 0 ? 'the index is empty' : `it has ${there.join(', ')}`,
  })
}

/** The whole document. Docker's own type stays where every image in it is of docker's. */
export function indexDocument({ members, entries }: EditedIndex): Members {
  const isDockers =
    members['mediaType'] === mediaTypes.dockerIndex &&
    entries.every(({ descriptor }) => descriptor.mediaType === mediaTypes.dockerManifest)
  const mediaType = isDockers ? mediaTypes.dockerIndex : mediaTypes.index
  return { ...members, schemaVersion: 2, mediaType, manifests: entries.map(({ raw }) => raw) }
}

/** Stores an index; idempotent. It has no name yet. @throws ARCHIVE_INVALID where it is larger than anybody reads */
export async function storeEditedIndex(store: ImageStore, index: EditedIndex): Promise<Descriptor> {
  return await putIndex(store, indexDocument(index))
}

/** The same of an index that is made at once. */
export async function storeIndex(store: ImageStore, index: ImageIndex): Promise<Descriptor> {
  return await putIndex(store, index)
}

async function putIndex(store: ImageStore, document: object): Promise<Descriptor> {
  const bytes = Buffer.from(canonicalJson(JSON.parse(JSON.stringify(document))))
  const digest = digestOf(bytes)
  const { mediaType } = parseIndex(bytes, `index ${digest}`)
  const descriptor = { mediaType, digest, size: bytes.byteLength }
  await store.putBlob(oneChunk(bytes), { expected: descriptor })
  return descriptor
}
