// Content descriptors (image-spec v1.1.1 descriptor.md).

import type { Digest } from './digest.ts'
import type { Platform } from './platform.ts'

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
