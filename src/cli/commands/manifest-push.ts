// `kauri manifest push`: an index with all its images into a registry.

import { KauriError } from '../../core/errors.ts'
import { getImage } from '../../image/find-image.ts'
import { mountCandidates } from '../../image/mount-candidates.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { isIndexType, parseIndex } from '../../oci/manifest.ts'
import { formatPlatform } from '../../oci/platform.ts'
import { formatFamiliar, formatReference, parseReference } from '../../oci/reference.ts'
import { pushImage } from '../../registry/push-image.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import { readBlob } from '../../store/verified-stream.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { openStore } from '../open-store.ts'
import { openRegistries } from '../registry-access.ts'
import { registryOptions } from '../registry-options.ts'

export const command: CommandSpec = {
  name: 'manifest push',
  summary: 'Put an index and all its images into a registry',
  details: [
    'It goes where its name says, or where TARGET says. Images that the registry has are not sent again; the store must have all of them. Prints the digest of the index.',
  ],
  operands: 'NAME[:TAG] [TARGET]',
  minOperands: 1,
  maxOperands: 2,
  options: [
    { long: 'purge', short: 'p', summary: 'Take the name away here when it is there' },
    ...registryOptions,
  ],
  run: pushIndex,
}

async function pushIndex({ options, positionals, context }: CommandInput): Promise<number> {
  const [name = '', target = name] = positionals
  const reference = parseReference(target.replace(/^docker:\/\//, ''))
  const { emit, signal } = context
  const store = openStore(context)
  const found = await getImage(store, name)
  await requireWholeIndex(store, name, found.descriptor)
  await using registries = await openRegistries(context, options)
  const mountFrom = mountCandidates(store, reference)
  const { digest } = await pushImage(store, found.descriptor, reference, {
    registries,
    mountFrom,
    emit,
    signal,
  })
  if (options.flag('purge') && found.reference !== undefined)
    await store.untagImage(found.reference)
  context.print(
    context.quiet ? formatFamiliar(reference) : `${formatFamiliar(reference)} ${digest}`,
  )
  context.printJson({ reference: formatReference(reference), digest })
  return 0
}

/** @throws USAGE for a single image, BLOB_NOT_FOUND where an image of the index is not here */
async function requireWholeIndex(
  store: DiskStore,
  name: string,
  descriptor: Descriptor,
): Promise<void> {
  if (!isIndexType(descriptor.mediaType))
    throw new KauriError('USAGE', `${name} is a single image, not an index`, {
      hint: `kauri push ${name}`,
    })
  const { manifests } = parseIndex(await readBlob(store, descriptor), `index ${name}`)
  for (const { digest, platform } of manifests)
    if (!(await store.hasBlob(digest)))
      throw new KauriError(
        'BLOB_NOT_FOUND',
        `the image ${digest} of ${name}${platform ? ` for ${formatPlatform(platform)}` : ''} is not stored`,
        {
          hint: 'get it with kauri pull --all-platforms, or take it out with kauri manifest rm',
        },
      )
}
