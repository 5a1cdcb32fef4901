// Images that FROM and --from name: those of the store first, then what a registry has, then layouts that the caller
// named.

import type { RemoteSources } from '../build/remote-source.ts'
import { KauriError, type SourcePosition } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import type { ImageResolver, ResolvedImage } from '../dockerfile/lower-options.ts'
import type { Image, ImageSource } from '../image/image.ts'
import { openImage } from '../image/open-image.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { isIndexType } from '../oci/manifest.ts'
import type { Platform } from '../oci/platform.ts'
import {
  formatFamiliar,
  formatReference,
  parseReference,
  type Reference,
} from '../oci/reference.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { MadeSeconds } from './remote-context.ts'

export interface ResolverParts {
  readonly store: DiskStore
  /** Images of --build-context oci-layout://…, in the store, by the text they were named with. */
  readonly layouts: ReadonlyMap<string, Descriptor>
  /** Asked for what is missing, or newer than what is here. */
  readonly images: ImageSource
  /** Ask registries also for what is here. */
  readonly pull: boolean
  /** When contexts were made, by their names in the plan. */
  readonly times: ReadonlyMap<string, MadeSeconds>
  readonly remoteSources: RemoteSources
  readonly signal: AbortSignal
  readonly emit: Emit
}

/** An image is asked for once, however many platforms and stages stand on it. */
export function imageResolver(parts: ResolverParts): ImageResolver {
  const known = new Map<string, Promise<Image | undefined>>()
  return {
    async findImage(text, platform, where) {
      const layout = parts.layouts.get(text)
      if (layout !== undefined) return resolved(text, await openFor(parts.store, layout, platform))
      const reference = referenceAt(text, where)
      const name = `${formatReference(reference)} ${JSON.stringify(platform)}`
      let image = known.get(name)
      if (image === undefined) {
        image = findImage(reference, platform, parts)
        known.set(name, image)
      }
      const found = await atPlace(image, where)
      if (found === undefined) throw missing(text, where)
      return resolved(formatReference(reference), found)
    },
    async findTime(source, where) {
      if (source.kind === 'context') return await parts.times.get(source.context)?.()
      const { remoteSources, signal, emit } = parts
      const found = await remoteSources.resolve(source, { where, signal, emit })
      return await found.madeSeconds(signal)
    },
  }
}

function resolved(reference: string, { descriptor, config }: Image): ResolvedImage {
  return { reference, manifest: descriptor.digest, config }
}

function referenceAt(text: string, where: SourcePosition): Reference {
  try {
    return parseReference(text)
  } catch (error) {
    throw error instanceof KauriError ? placed(error, where) : error
  }
}

async function findImage(
  reference: Reference,
  platform: Platform,
  { store, images, pull, signal }: ResolverParts,
): Promise<Image | undefined> {
  const descriptor = pull ? undefined : await store.findImage(reference)
  const local =
    descriptor === undefined ? undefined : await openIfOffered(store, descriptor, platform)
  if (local !== undefined) return local
  return (await images.findImage(reference, platform, { signal }))?.image
}

/** Undefined where an index has nothing for the platform, which a registry may have. */
async function openIfOffered(
  store: DiskStore,
  descriptor: Descriptor,
  platform: Platform,
): Promise<Image | undefined> {
  try {
    return await openFor(store, descriptor, platform)
  } catch (error) {
    if (error instanceof KauriError && error.code === 'IMAGE_NOT_FOUND') return undefined
    throw error
  }
}

/** A single image is taken for what it is; a build check tells where it is for something else. */
async function openFor(
  store: DiskStore,
  descriptor: Descriptor,
  platform: Platform,
): Promise<Image> {
  return await openImage(
    store,
    descriptor,
    isIndexType(descriptor.mediaType) ? platform : undefined,
  )
}

function missing(text: string, where: SourcePosition): KauriError {
  const name = formatFamiliar(parseReference(text))
  return new KauriError('IMAGE_NOT_FOUND', `there is no image ${name}`, {
    where,
    hint: 'kauri images lists what is in the store; kauri import and kauri load add to it',
  })
}

async function atPlace<T>(work: Promise<T>, where: SourcePosition): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw error instanceof KauriError && error.where === undefined ? placed(error, where) : error
  }
}

function placed(error: KauriError, where: SourcePosition): KauriError {
  const { code, message, hint, cause } = error
  return new KauriError(code, message, { hint, where, cause })
}
