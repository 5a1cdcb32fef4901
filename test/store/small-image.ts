// Small images for tests: real documents over blobs that are no tars, and a writer for their layouts.

import type { Descriptor } from '../../src/oci/descriptor.ts'
import { asDiffId, digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { parseReference, type Reference } from '../../src/oci/reference.ts'
import type { ImageStore } from '../../src/store/store.ts'

/** The chunks of a blob as a source. */
export async function* chunks(
  ...parts: readonly (string | Uint8Array)[]
): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part
}

export async function putText(
  store: ImageStore,
  mediaType: string,
  text: string,
): Promise<Descriptor> {
  return { mediaType, ...(await store.putBlob(chunks(text))) }
}

/** Writes an image whose one layer holds `content`. */
export async function putImage(store: ImageStore, content: string): Promise<Descriptor> {
  const layer = await putText(store, mediaTypes.layerTar, content)
  const config = await putText(
    store,
    mediaTypes.config,
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [asDiffId(digestOf(content))] },
    }),
  )
  return await putText(
    store,
    mediaTypes.manifest,
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer] }),
  )
}

/** Writes an image and names it. */
export async function putNamed(
  store: ImageStore,
  name: string,
  content: string = name,
): Promise<Descriptor> {
  const descriptor = await putImage(store, content)
  await store.tagImage(parseReference(name), descriptor)
  return descriptor
}

export function ref(name: string): Reference {
  return parseReference(name)
}
