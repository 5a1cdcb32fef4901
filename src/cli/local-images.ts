// Images for checks: those of the store, and no question to anybody else.

import { hasErrno, KauriError } from '../core/errors.ts'
import type { FindLocalImage } from '../dockerfile/check-dockerfile.ts'
import { openImage } from '../image/open-image.ts'
import { isIndexType } from '../oci/manifest.ts'
import { parseReference } from '../oci/reference.ts'
import { openStore } from './open-store.ts'

/** Looks into the store of a state directory, which may be missing, or not for this user to read. */
export function localImages(context: { readonly dataRoot: string }): FindLocalImage {
  const store = openStore(context)
  return async (name, platform) => {
    try {
      const descriptor = await store.findImage(parseReference(name))
      if (descriptor === undefined) return undefined
      const wanted = isIndexType(descriptor.mediaType) ? platform : undefined
      return (await openImage(store, descriptor, wanted)).config
    } catch (error) {
      if (error instanceof KauriError || hasErrno(error, 'EACCES', 'EPERM')) return undefined
      throw error
    }
  }
}
