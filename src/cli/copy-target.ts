// Where `kauri copy` writes to. Each target gets the image under its name at the end, and nothing half before.

import path from 'node:path'
import { openScratchDirectory } from '../build/scratch-directory.ts'
import { KauriError } from '../core/errors.ts'
import { inStep } from '../core/events.ts'
import { writeArchive } from '../image/archive-output.ts'
import { dockerArchive } from '../image/docker-archive.ts'
import { mountCandidates } from '../image/mount-candidates.ts'
import { type LayoutRoot, ociArchive } from '../image/oci-archive.ts'
import { addToOciDirectory } from '../image/oci-directory.ts'
import { openImage } from '../image/open-image.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Platform } from '../oci/platform.ts'
import { parseReference, type Reference } from '../oci/reference.ts'
import { pushImage } from '../registry/push-image.ts'
import type { Registries } from '../registry/registry.ts'
import { copyBlobs } from '../store/copy-image.ts'
import { type DiskStore, diskStore } from '../store/disk-store.ts'
import { stagedStore } from '../store/staged-store.ts'
import type { CommandContext } from './command.ts'
import type { CopyLocation } from './copy-location.ts'
import type { CopySource } from './copy-source.ts'
import { openStore } from './open-store.ts'

export interface CopyTargetParts {
  readonly context: CommandContext
  readonly registries: Registries
  /** Of a docker-archive, which holds one. */
  readonly platform: Platform | undefined
  /** Copies what refers to the image, too, between registries. */
  readonly withReferrers: boolean
}

type Kind<K extends CopyLocation['kind']> = Extract<CopyLocation, { kind: K }>

/** Copies the image; the result is what the target's name stands for. @throws DISK_FULL, REGISTRY_FAILED, CANCELLED … */
export async function copyTo(
  location: CopyLocation,
  source: CopySource,
  parts: CopyTargetParts,
): Promise<Descriptor> {
  switch (location.kind) {
    case 'store':
      return await copyToStore(parseReference(location.name), source, parts)
    case 'registry':
      return await copyToRegistry(location.reference, source, parts)
    case 'oci-directory':
    case 'oci-archive':
      return await copyToLayout(location, source, parts)
    case 'docker-archive':
      return await copyToDockerArchive(location, source, parts)
    default:
      return location satisfies never
  }
}

async function copyToStore(
  reference: Reference,
  { blobs, descriptor }: CopySource,
  { context }: CopyTargetParts,
): Promise<Descriptor> {
  const { emit, signal } = context
  await using staged = stagedStore(openStore(context))
  await copyBlobs(blobs, staged, descriptor, { emit, signal })
  await staged.tagImage(reference, descriptor)
  return descriptor
}

async function copyToRegistry(
  reference: Reference,
  source: CopySource,
  { context, registries, withReferrers }: CopyTargetParts,
): Promise<Descriptor> {
  const { emit, signal } = context
  const mountFrom = mountSources(reference, source)
  const options = { registries, emit, signal, mountFrom }
  const pushed = await pushImage(source.blobs, source.descriptor, reference, options)
  if (withReferrers && source.repository !== undefined) {
    const { copyReferrers } = await import('../registry/copy-referrers.ts')
    const from = registries.repository(source.repository)
    const to = registries.repository(reference)
    await copyReferrers(from, to, pushed, { emit, signal, mountFrom })
  }
  return pushed
}

/** A registry that has the blobs takes them from itself. */
function mountSources(
  target: Reference,
  { repository, disk }: CopySource,
): ((digest: Digest) => Promise<readonly string[]>) | undefined {
  if (repository?.registry === target.registry && repository.repository !== target.repository)
    return async () => [repository.repository]
  return disk === undefined ? undefined : mountCandidates(disk, target)
}

async function copyToLayout(
  location: Kind<'oci-directory' | 'oci-archive'>,
  { blobs, descriptor }: CopySource,
  { context }: CopyTargetParts,
): Promise<Descriptor> {
  const { emit, signal } = context
  const { path: file, label } = location
  const roots: LayoutRoot[] = [
    { descriptor, names: [], labels: label === undefined ? [] : [label] },
  ]
  await inStep(emit, { id: file, title: `write ${file}` }, async () => {
    if (location.kind === 'oci-directory')
      await addToOciDirectory(blobs, roots, { directory: file, signal })
    else await writeArchive(file, ociArchive(blobs, roots), signal)
  })
  return descriptor
}

async function copyToDockerArchive(
  { path: file, label }: Kind<'docker-archive'>,
  source: CopySource,
  { context, platform }: CopyTargetParts,
): Promise<Descriptor> {
  const { dataRoot, emit, signal } = context
  const names = label === undefined ? [] : [namedTag(label)]
  const write = async (store: DiskStore): Promise<Descriptor> => {
    const image = await openImage(store, source.descriptor, platform)
    await inStep(emit, { id: file, title: `write ${file}` }, () =>
      writeArchive(file, dockerArchive(store, [{ image, names }], signal), signal),
    )
    return image.descriptor
  }
  if (source.disk !== undefined) return await write(source.disk)
  // The lengths of the tars come first in the archive, so the layers are unpacked from disk.
  await using scratch = await openScratchDirectory(dataRoot)
  const store = diskStore(path.join(scratch.path, 'oci'))
  await copyBlobs(source.blobs, store, source.descriptor, { platform, emit, signal })
  return await write(store)
}

function namedTag(label: string): Reference {
  const reference = parseReference(label)
  if (reference.digest === undefined) return reference
  throw new KauriError('USAGE', `an archive names images by tags, not as ${label}`)
}
