// From a registry into the store: documents and blobs into one batch, all of them verified, then the name.

import type { Emit } from '../core/events.ts'
import { inStep } from '../core/events.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { hostPlatform, type Platform } from '../oci/platform.ts'
import { formatFamiliar, type Reference } from '../oci/reference.ts'
import { copyImage } from '../store/copy-image.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { stagedStore } from '../store/staged-store.ts'
import type { Registries, Signalled } from './registry.ts'
import { repositoryStore } from './repository-store.ts'

export interface PullOptions extends Signalled {
  readonly registries: Registries
  /** Of an index; this machine's where left out, `all` for every one. */
  readonly platform?: Platform | 'all' | undefined
  readonly emit: Emit
}

/**
 * Pulls an image and gives it its name in the store. The descriptor may be an index, of which only the wanted platform is
 * stored.
 * @throws IMAGE_NOT_FOUND where nobody has the name or the platform, REGISTRY_FAILED, REGISTRY_DENIED, CHECKSUM_MISMATCH,
 *   DISK_FULL, CANCELLED
 */
export async function pullImage(
  store: DiskStore,
  reference: Reference,
  { registries, platform = hostPlatform(), emit, signal }: PullOptions,
): Promise<Descriptor> {
  const name = formatFamiliar(reference)
  const remote = repositoryStore(registries.repository(reference), { signal })
  return await inStep(emit, { id: `pull ${name}`, title: `pull ${name}` }, async () => {
    await using staged = stagedStore(store)
    const wanted = platform === 'all' ? undefined : platform
    const how = { platform: wanted, signal, emit, parent: `pull ${name}` }
    return await copyImage(remote, staged, reference, how)
  })
}
