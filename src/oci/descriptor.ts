// Content descriptors (image-spec v1.1.1 descriptor.md).

import { KauriError } from '../core/errors.ts'
import { type Digest, isDigest, parseDigest } from './digest.ts'
import {
  definedMembers,
  listOf,
  mapOf,
  objectReader,
  type ReadJson,
  readSize,
  readText,
} from './json-shape.ts'
import { type Platform, readPlatform } from './platform.ts'

/** Names bytes elsewhere: their type, digest and size in bytes. */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly annotations?: Readonly<Record<string, string>>
  readonly platform?: Platform
  readonly artifactType?: string
  readonly data?: string
  readonly urls?: readonly string[]
}

/** Annotation that holds an image's name in an image layout (image-spec v1.1.1 annotations.md). */
export const refNameAnnotation = 'org.opencontainers.image.ref.name'

/** RFC 6838 section 4.2, as the specification's schema has it. */
const mediaTypeForm =
  /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/

export const readMediaType: ReadJson<string> = (value, place) => {
  const text = readText(value, place)
  if (!mediaTypeForm.test(text))
    throw new KauriError(
      place.code,
      `${place.document}: ${place.path}: "${text.slice(0, 80)}" is not a media type`,
    )
  return text
}

export const readDigest: ReadJson<Digest> = (value, place) => {
  const text = readText(value, place)
  if (!isDigest(text))
    throw new KauriError(
      place.code,
      `${place.document}: ${place.path}: "${text.slice(0, 100)}" is not a sha256 digest`,
    )
  return parseDigest(text)
}

/** Reads one descriptor of a manifest or an index. */
export const readDescriptor: ReadJson<Descriptor> = (value, place) => {
  const members = objectReader(value, place)
  return definedMembers({
    mediaType: members.required('mediaType', readMediaType),
    digest: members.required('digest', readDigest),
    size: members.required('size', readSize),
    annotations: members.optional('annotations', mapOf(readText)),
    platform: members.optional('platform', readPlatform),
    artifactType: members.optional('artifactType', readMediaType),
    data: members.optional('data', readText),
    urls: members.optional('urls', listOf(readText)),
  })
}
