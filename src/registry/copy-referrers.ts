// Signatures, bills of materials and what else refers to an image, from one repository to another, with what refers to those
// in turn. Lists of referrers come from strangers, so that they are bounded.

import { KauriError } from '../core/errors.ts'
import { type Emit, inStep } from '../core/events.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { isIndexType, parseIndex } from '../oci/manifest.ts'
import { copyBlobs } from '../store/copy-image.ts'
import type { ImageStore } from '../store/store.ts'
import { readBlob } from '../store/verified-stream.ts'
import type { RegistryRepository, Signalled } from './registry.ts'
import { repositoryStore } from './repository-store.ts'

export interface CopyReferrersOptions extends Signalled {
  readonly emit: Emit
  /** Where a blob may be mounted from. */
  readonly mountFrom?: ((digest: Digest) => Promise<readonly string[]>) | undefined
}

const mostReferrers = 1000
const mostLevels = 4

/**
 * Copies what refers to an image, and to the images of an index; the image is there already. The target's list of them is
 * kept, too. Returns how many there are.
 * @throws REGISTRY_FAILED where there are too many, and what copying throws
 */
export async function copyReferrers(
  from: RegistryRepository,
  to: RegistryRepository,
  image: Descriptor,
  { emit, signal, mountFrom }: CopyReferrersOptions,
): Promise<number> {
  const id = `referrers ${to.name.registry}/${to.name.repository} ${image.digest}`
  return await inStep(emit, { id, title: 'copy what refers to it' }, async () => {
    const source = repositoryStore(from, { signal })
    const target = repositoryStore(to, { signal, mountFrom, forPush: true })
    const seen = new Set<Digest>()
    let level = [image.digest, ...(await membersOf(source, image))]
    for (let depth = 0; level.length > 0; depth++) {
      const found: Descriptor[] = []
      for (const subject of level)
        for (const referrer of await from.listReferrers(subject, { signal }))
          if (!seen.has(referrer.digest)) {
            seen.add(referrer.digest)
            found.push(referrer)
          }
      if (seen.size > mostReferrers || (depth >= mostLevels && found.length > 0))
        throw new KauriError(
          'REGISTRY_FAILED',
          `more than ${mostReferrers} manifests refer to ${image.digest}, or in more than ${mostLevels} levels`,
        )
      for (const { mediaType, digest, size } of found)
        await copyBlobs(source, target, { mediaType, digest, size }, { signal, emit, parent: id })
      level = found.map(({ digest }) => digest)
    }
    return seen.size
  })
}

/** The images of an index. */
async function membersOf(source: ImageStore, image: Descriptor): Promise<readonly Digest[]> {
  if (!isIndexType(image.mediaType)) return []
  const { manifests } = parseIndex(await readBlob(source, image), `index ${image.digest}`)
  return manifests.map(({ digest }) => digest)
}
