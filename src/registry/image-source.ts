// Where FROM and `run` get images: the local store, and a registry for what is not there.

import { KauriError } from '../core/errors.ts'
import { type Emit } from '../core/events.ts'
import type { Image, ImageSource } from '../image/image.ts'
import { openImage } from '../image/open-image.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Platform } from '../oci/platform.ts'
import type { Reference } from '../oci/reference.ts'
import { requireWhole } from '../store/children.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { pullImage } from './pull-image.ts'
import type { Registries, Signalled } from './registry.ts'

/** When a registry is asked: for what is missing, always, or never. */
export type PullPolicy = 'missing' | 'always' | 'never'

export interface ImageSourceOptions {
  readonly store: DiskStore
  /** Called when a registry must be asked for the first time. */
  readonly registries: () => Promise<Registries>
  readonly pull: PullPolicy
  readonly emit: Emit
}

/** An image whose platform is not stored counts as missing. */
export function registryImageSource(options: ImageSourceOptions): ImageSource {
  const { store, registries, pull, emit } = options
  return {
    async findImage(reference, platform, { signal }) {
      const local = pull === 'always' ? undefined : await openLocal(store, reference, platform)
      if (local !== undefined) return { image: local, store }
      if (pull === 'never') return undefined
      const descriptor = await pullIfThere(reference, {
        store,
        registries: await registries(),
        platform,
        emit,
        signal,
      })
      if (descriptor === undefined) return undefined
      return { image: await openImage(store, descriptor, platform), store }
    },
  }
}

async function openLocal(
  store: DiskStore,
  reference: Reference,
  platform: Platform,
): Promise<Image | undefined> {
  const descriptor = await store.findImage(reference)
  if (descriptor === undefined) return undefined
  try {
    const image = await openImage(store, descriptor, platform)
    await requireWhole(store, image.descriptor)
    return image
  } catch (error) {
    const isMissing =
      error instanceof KauriError && ['BLOB_NOT_FOUND', 'IMAGE_NOT_FOUND'].includes(error.code)
    if (isMissing) return undefined
    throw error
  }
}

interface Pull extends Signalled {
  readonly store: DiskStore
  readonly registries: Registries
  readonly platform: Platform
  readonly emit: Emit
}

/** A registry that has the name but not the platform says so; one without the name is no error here. */
async function pullIfThere(
  reference: Reference,
  { store, ...options }: Pull,
): Promise<Descriptor | undefined> {
  const { registries, signal } = options
  const target = reference.digest ?? reference.tag ?? 'latest'
  const found = await registries.repository(reference).resolve(target, { signal })
  return found === undefined ? undefined : await pullImage(store, reference, options)
}
