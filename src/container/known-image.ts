// Images that were opened before, so that a container starts without reading and hashing its image's documents again.
// What is remembered was verified then, and lies where only root writes, as the unpacked layers themselves do.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { randomHex } from '../core/random-hex.ts'
import { readTextSync } from '../core/text-file.ts'
import type { Image } from '../image/image.ts'
import { imageOf, openImage } from '../image/open-image.ts'
import { type Descriptor, readDescriptor } from '../oci/descriptor.ts'
import { hexOf } from '../oci/digest.ts'
import { parseImageConfig } from '../oci/image-config.ts'
import { documentPlace } from '../oci/json-shape.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { BlobSource } from '../store/store.ts'

/** The image for this machine, as openImage gives it; `directory` holds what is remembered, by digest. */
export async function openKnownImage(
  directory: string,
  store: Pick<BlobSource, 'openBlob' | 'readWhole'>,
  descriptor: Descriptor,
): Promise<Image> {
  const file = path.join(directory, `${hexOf(descriptor.digest)}.json`)
  const known = recall(file)
  if (known !== undefined) return imageOf(store, known)
  const image = await openImage(store, descriptor)
  remember(file, image)
  return image
}

type ImageParts = Pick<Image, 'descriptor' | 'manifest' | 'config'>

/** Undefined for a file that is missing, or that a loss of power cut short. */
function recall(file: string): ImageParts | undefined {
  const text = readTextSync(file)
  if (text === undefined) return undefined
  try {
    const parts: Readonly<Record<keyof ImageParts, unknown>> = JSON.parse(text)
    return {
      descriptor: readDescriptor(parts.descriptor, documentPlace(file, 'STORE_INVALID')),
      manifest: parseManifest(bytesOf(parts.manifest), file),
      config: parseImageConfig(bytesOf(parts.config), file),
    }
  } catch {
    return undefined
  }
}

function bytesOf(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

function remember(file: string, { descriptor, manifest, config }: ImageParts): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  const temporary = `${file}.${randomHex(8)}`
  writeFileSync(temporary, JSON.stringify({ descriptor, manifest, config }), { mode: 0o600 })
  renameSync(temporary, file)
}
