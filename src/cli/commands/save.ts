// `kauri save`: images as an archive that docker, podman and skopeo take.

import { KauriError } from '../../core/errors.ts'
import { type ArchivedImage, dockerArchive } from '../../image/docker-archive.ts'
import { type FoundImage, getImage } from '../../image/find-image.ts'
import { type LayoutRoot, ociArchive, writeOciDirectory } from '../../image/oci-archive.ts'
import { openImage } from '../../image/open-image.ts'
import type { Digest } from '../../oci/digest.ts'
import { parsePlatform } from '../../oci/platform.ts'
import type { Reference } from '../../oci/reference.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import { writeArchiveTo } from '../archive-sink.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { openStore } from '../open-store.ts'

const formats = ['docker-archive', 'oci-archive', 'oci-dir'] as const

export const command: CommandSpec = {
  name: 'save',
  summary: 'Write images to an archive',
  operands: 'IMAGE...',
  minOperands: 1,
  details: [
    'A docker-archive holds one platform of each image, uncompressed, for every docker and podman; the OCI forms hold all platforms with their blobs as they are.',
  ],
  options: [
    {
      long: 'output',
      short: 'o',
      value: 'FILE',
      summary: 'Write this file or directory, not standard output',
    },
    { long: 'format', value: 'FORMAT', choices: formats, summary: 'By default docker-archive' },
    {
      long: 'platform',
      value: 'PLATFORM',
      summary: 'Platform for a docker-archive, by default that of this machine',
    },
  ],
  run: runSave,
}

async function runSave({ options, positionals, context }: CommandInput): Promise<number> {
  const store = openStore(context)
  const format = options.text('format') ?? 'docker-archive'
  const output = options.text('output')
  const platform = options.text('platform')
  if (platform !== undefined && format !== 'docker-archive')
    throw new KauriError('USAGE', `--platform chooses from a docker-archive, not for ${format}`)
  const roots = await findRoots(store, positionals)
  const { signal } = context
  const sink = { output, what: 'archive' } as const
  if (format === 'oci-dir') {
    if (output === undefined)
      throw new KauriError('USAGE', 'an OCI directory needs a name', {
        hint: 'give it with --output',
      })
    await writeOciDirectory(store, roots, { directory: output, signal })
  } else if (format === 'oci-archive') await writeArchiveTo(sink, ociArchive(store, roots), context)
  else {
    const images = await openRoots(store, roots, platform)
    await writeArchiveTo(sink, dockerArchive(store, images, signal), context)
  }
  return 0
}

/** Each image once, with the names it was asked for by. */
async function findRoots(store: DiskStore, words: readonly string[]): Promise<LayoutRoot[]> {
  const found = new Map<Digest, FoundImage & { names: Reference[] }>()
  for (const word of words) {
    const image = await getImage(store, word)
    const root = found.get(image.descriptor.digest) ?? { ...image, names: [] }
    const { reference } = image
    // A name with a digest says which image is meant; archives hold names with tags.
    if (reference?.tag !== undefined) {
      const { digest: _, ...name } = reference
      root.names.push(name)
    }
    found.set(image.descriptor.digest, root)
  }
  return [...found.values()]
}

async function openRoots(
  store: DiskStore,
  roots: readonly LayoutRoot[],
  platform: string | undefined,
): Promise<ArchivedImage[]> {
  const wanted = platform === undefined ? undefined : parsePlatform(platform)
  const images: ArchivedImage[] = []
  for (const { descriptor, names } of roots)
    images.push({ image: await openImage(store, descriptor, wanted), names })
  return images
}
