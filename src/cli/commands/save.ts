// `kauri save`: images as an archive that docker, podman and skopeo take.

import { KauriError } from '../../core/errors.ts'
import { type ArchivedImage, dockerArchive } from '../../image/docker-archive.ts'
import { type FoundImage, getImage } from '../../image/find-image.ts'
import { type LayoutRoot, ociArchive } from '../../image/oci-archive.ts'
import { openImage } from '../../image/open-image.ts'
import type { Digest } from '../../oci/digest.ts'
import { type Platform, parsePlatform } from '../../oci/platform.ts'
import { formatReference, parseReference, type Reference } from '../../oci/reference.ts'
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
    'A docker-archive holds one platform of each image, uncompressed, for every docker and podman; the OCI forms hold all platforms with their blobs as they are. A name without a tag stands for all tags that it has, as in docker. An OCI directory that is there already keeps its other images.',
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
      summary:
        "Only the images for this platform; a docker-archive holds this machine's by default",
    },
  ],
  run: runSave,
}

async function runSave({ options, positionals, context }: CommandInput): Promise<number> {
  const store = openStore(context)
  const format = options.text('format') ?? 'docker-archive'
  const output = options.text('output')
  if (format === 'oci-dir' && output === undefined)
    throw new KauriError('USAGE', 'an OCI directory needs a name', {
      hint: 'give it with --output',
    })
  const platform = options.text('platform')
  const wanted = platform === undefined ? undefined : parsePlatform(platform)
  const roots = await findRoots(store, positionals)
  const { signal } = context
  const sink = { output, what: 'archive' } as const
  if (format === 'docker-archive') {
    const images = await openRoots(store, roots, wanted)
    await writeArchiveTo(sink, dockerArchive(store, images, signal), context)
    return 0
  }
  const chosen = wanted === undefined ? roots : await chooseRoots(store, roots, wanted)
  if (output !== undefined && format === 'oci-dir') {
    const { addToOciDirectory } = await import('../../image/oci-directory.ts')
    await addToOciDirectory(store, chosen, { directory: output, signal })
  } else await writeArchiveTo(sink, ociArchive(store, chosen), context)
  return 0
}

/** Each image once, with the names it was asked for by. */
async function findRoots(store: DiskStore, words: readonly string[]): Promise<LayoutRoot[]> {
  const found = new Map<Digest, FoundImage & { names: Reference[] }>()
  for (const word of words)
    for (const image of await findNamed(store, word)) {
      const root = found.get(image.descriptor.digest) ?? { ...image, names: [] }
      const { reference } = image
      // A name with a digest says which image is meant; archives hold names with tags.
      if (reference?.tag !== undefined) {
        const { digest: _, ...name } = reference
        if (!root.names.some(known => formatReference(known) === formatReference(name)))
          root.names.push(name)
      }
      found.set(image.descriptor.digest, root)
    }
  return [...found.values()]
}

/** One image, or all tags of a repository. */
async function findNamed(store: DiskStore, word: string): Promise<readonly FoundImage[]> {
  const tags = isRepository(word) ? await findTags(store, parseReference(word)) : []
  return tags.length > 0 ? tags : [await getImage(store, word)]
}

function isRepository(word: string): boolean {
  return !word.includes('@') && !word.slice(word.lastIndexOf('/') + 1).includes(':')
}

async function findTags(
  store: DiskStore,
  { registry, repository }: Reference,
): Promise<readonly FoundImage[]> {
  return (await store.listImages()).filter(
    ({ reference }) =>
      reference.registry === registry &&
      reference.repository === repository &&
      reference.tag !== undefined,
  )
}

async function openRoots(
  store: DiskStore,
  roots: readonly LayoutRoot[],
  wanted: Platform | undefined,
): Promise<ArchivedImage[]> {
  const images: ArchivedImage[] = []
  for (const { descriptor, names } of roots)
    images.push({ image: await openImage(store, descriptor, wanted), names })
  return images
}

/** The images of one platform in place of their indexes. */
async function chooseRoots(
  store: DiskStore,
  roots: readonly LayoutRoot[],
  wanted: Platform,
): Promise<LayoutRoot[]> {
  const chosen: LayoutRoot[] = []
  for (const { descriptor, names } of roots) {
    const { mediaType, digest, size } = (await openImage(store, descriptor, wanted)).descriptor
    chosen.push({ descriptor: { mediaType, digest, size }, names })
  }
  return chosen
}
