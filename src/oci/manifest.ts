// Image manifests and indexes (image-spec v1.1.1 manifest.md, image-index.md), and Docker's schema 2 forms of both.

import { KauriError } from '../core/errors.ts'
import { type Descriptor, readDescriptor, readMediaType } from './descriptor.ts'
import {
  definedMembers,
  documentLimits,
  documentPlace,
  type JsonLimits,
  type JsonPlace,
  listOf,
  mapOf,
  type ObjectReader,
  objectReader,
  parseJsonText,
  readSize,
  readText,
  wrongShape,
} from './json-shape.ts'
import { mediaTypes } from './media-types.ts'

export interface Manifest {
  readonly schemaVersion: 2
  readonly mediaType: string
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly artifactType?: string
  readonly subject?: Descriptor
}

export interface ImageIndex {
  readonly schemaVersion: 2
  readonly mediaType: string
  readonly manifests: readonly Descriptor[]
  readonly annotations?: Readonly<Record<string, string>>
}

export function isManifestType(mediaType: string): boolean {
  return mediaType === mediaTypes.manifest || mediaType === mediaTypes.dockerManifest
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === mediaTypes.index || mediaType === mediaTypes.dockerIndex
}

/**
 * Reads a manifest's bytes; `document` names it in messages.
 * @throws ARCHIVE_INVALID for anything else, also for bytes that could be taken for an index (CVE-2021-41190)
 */
export function parseManifest(bytes: Uint8Array, document: string): Manifest {
  const members = openDocument(bytes, document, 'manifests', documentLimits)
  return definedMembers({
    schemaVersion: readSchemaVersion(members),
    mediaType: readOwnType(members, isIndexType) ?? mediaTypes.manifest,
    config: members.required('config', readDescriptor),
    layers: members.optional('layers', listOf(readDescriptor)) ?? [],
    annotations: members.optional('annotations', mapOf(readText)),
    artifactType: members.optional('artifactType', readMediaType),
    subject: members.optional('subject', readDescriptor),
  })
}

/** Reads an index's bytes. @throws ARCHIVE_INVALID for anything else, also for bytes that could be taken for a manifest */
export function parseIndex(
  bytes: Uint8Array,
  document: string,
  limits: JsonLimits = documentLimits,
): ImageIndex {
  const members = openDocument(bytes, document, 'layers', limits)
  return definedMembers({
    schemaVersion: readSchemaVersion(members),
    mediaType: readOwnType(members, isManifestType) ?? mediaTypes.index,
    manifests: members.optional('manifests', listOf(readDescriptor)) ?? [],
    annotations: members.optional('annotations', mapOf(readText)),
  })
}

/** Two readers must never see two different images in the same bytes, so a document is either an index or a manifest. */
function openDocument(
  bytes: Uint8Array,
  document: string,
  foreignMember: string,
  limits: JsonLimits,
): ObjectReader {
  const place: JsonPlace = documentPlace(document, 'ARCHIVE_INVALID')
  const members = objectReader(parseJsonText(bytes, place, limits), place)
  if (members.optional(foreignMember, value => value) !== undefined)
    throw new KauriError(
      'ARCHIVE_INVALID',
      `${document} has the member "${foreignMember}", so it could be read as two different things`,
    )
  return members
}

/** What a document says it is; a reader that trusts these words must not see the other kind in it. */
function readOwnType(
  members: ObjectReader,
  isForeign: (mediaType: string) => boolean,
): string | undefined {
  const mediaType = members.optional('mediaType', readMediaType)
  if (mediaType !== undefined && isForeign(mediaType))
    throw new KauriError(
      'ARCHIVE_INVALID',
      `${members.place.document} calls itself ${mediaType}, so it could be read as two different things`,
    )
  return mediaType
}

function readSchemaVersion(members: ObjectReader): 2 {
  const version = members.required('schemaVersion', readSize)
  if (version === 1)
    throw new KauriError('UNSUPPORTED', `${members.place.document} has schema version 1`, {
      hint: 'push the image again with a current tool; schema 1 is retired',
    })
  if (version !== 2) throw wrongShape(members.place, 'schemaVersion 2', version)
  return 2
}
