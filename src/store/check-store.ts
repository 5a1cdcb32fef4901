// Looks for everything that is wrong with a store: blobs whose bytes are not what their names say, images with parts
// missing, records of what is gone. Where repair is asked for, damaged blobs are put aside, what can be had again is, and
// what is derived and wrong goes.

import { sweepTemporaries } from '../core/atomic-file.ts'
import { namesIn } from '../core/directory-names.ts'
import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type BlobsRead, type CheckBlobsOptions, checkBlobs } from './check-blobs.ts'
import { checkImages, checkNames, type ImagesRead, type LostBlob } from './check-images.ts'
import { checkLayout, isStore } from './check-layout.ts'
import type { DiskStore } from './disk-store.ts'
import { sweepIngest } from './ingest-directories.ts'
import { sweepLayerRecords } from './layer-records.ts'
import { type LayoutEntry, readLayoutEntries } from './layout-index.ts'
import { lockForSweep } from './layout-lock.ts'
import { type LayoutPaths, layoutPaths } from './layout-paths.ts'
import { type StoreFinding, storeFinding } from './store-finding.ts'

export interface CheckStoreOptions extends CheckBlobsOptions {
  /** Tries to have a blob again, with repair only; true where it is stored now. */
  readonly restore?: (lost: LostBlob) => Promise<boolean>
}

export interface StoreCheck {
  readonly findings: readonly StoreFinding[]
  readonly blobs: number
  readonly bytes: number
  readonly images: number
  /** Digests of blobs that were lost and are there again. */
  readonly restored: readonly string[]
  /** Images that are not whole even so. */
  readonly broken: readonly Descriptor[]
}

/** Reads every blob and follows every image. @throws LOCK_BUSY, CANCELLED */
export async function checkStore(
  store: DiskStore,
  options: CheckStoreOptions,
): Promise<StoreCheck> {
  const paths = layoutPaths(store.root)
  if (!isStore(paths))
    return { findings: [], blobs: 0, bytes: 0, images: 0, restored: [], broken: [] }
  sweepIngest(paths)
  sweepTemporaries(paths.index)
  const layout = await checkLayout(store, paths, options)
  const read = await checkBlobs(paths, options)
  const entries = await entriesIfReadable(paths)
  const images = await checkImages(store, entries, {
    damaged: read.damaged,
    signal: options.signal,
  })
  const restored = await restoreBlobs(images, options)
  return {
    findings: [
      ...layout,
      ...read.findings,
      ...damagedFindings({ read, images, restored, repair: options.repair }),
      ...images.findings,
      ...incompleteFindings(images, restored),
      ...checkNames(entries, paths.index),
      ...(await checkRecords(paths, options)),
    ],
    blobs: read.blobs,
    bytes: read.bytes,
    images: entries.filter(({ descriptor }) => descriptor !== undefined).length,
    restored: [...restored],
    broken: brokenImages(images, restored),
  }
}

/** None of an index that is a finding already. */
async function entriesIfReadable(paths: LayoutPaths): Promise<readonly LayoutEntry[]> {
  try {
    return await readLayoutEntries(paths)
  } catch (error) {
    if (error instanceof KauriError && error.code === 'STORE_INVALID') return []
    throw error
  }
}

async function restoreBlobs(
  { lost }: ImagesRead,
  { repair, restore }: CheckStoreOptions,
): Promise<ReadonlySet<string>> {
  const restored = new Set<string>()
  if (!repair || restore === undefined) return restored
  for (const [digest, blob] of lost) if (await restore(blob)) restored.add(digest)
  return restored
}

interface Damage {
  readonly read: BlobsRead
  readonly images: ImagesRead
  readonly restored: ReadonlySet<string>
  readonly repair: boolean
}

function damagedFindings({ read, images, restored, repair }: Damage): StoreFinding[] {
  return [...read.damaged].map(([hex, what]) => {
    const digest = `sha256:${hex}`
    const users = images.users.get(hex) ?? []
    const use = users.length === 0 ? 'no image needs it' : `needed by ${users.join(', ')}`
    const again = restored.has(digest) ? '; it is there again' : ''
    return storeFinding({
      rule: 'blob-damaged',
      subject: digest,
      message: `is damaged: ${what}; ${use}${again}`,
      images: users,
      hint:
        users.length === 0
          ? 'kauri fsck --rebuild puts it aside'
          : 'kauri fsck --rebuild puts it aside and looks for the same bytes, with --pull also in registries; else pull, load or build the image again',
      repaired: repair,
    })
  })
}

function brokenImages({ lost }: ImagesRead, restored: ReadonlySet<string>): Descriptor[] {
  const unrestored = [...lost].filter(([digest]) => !restored.has(digest))
  return unrestored.flatMap(([, { images }]) => [...images.values()].map(user => user.descriptor))
}

function incompleteFindings({ lost }: ImagesRead, restored: ReadonlySet<string>): StoreFinding[] {
  return [...lost.values()].flatMap(({ descriptor, trouble, images }) =>
    [...images.keys()].map(name =>
      storeFinding({
        rule: 'image-incomplete',
        subject: name,
        message: `${descriptor.digest} ${trouble}`,
        images: [name],
        hint: `pull, load or build ${name} again, or remove it with kauri rmi ${name}`,
        repaired: restored.has(descriptor.digest),
      }),
    ),
  )
}

/** Records of packings whose blobs are gone: nobody believes them, but they say that something was removed by hand. */
async function checkRecords(
  paths: LayoutPaths,
  { repair, signal }: CheckStoreOptions,
): Promise<StoreFinding[]> {
  using _ = await lockForSweep(paths, signal)
  const stored = new Set(namesIn(paths.blobs))
  const dangling = await sweepLayerRecords(paths, {
    isStored: hex => stored.has(hex),
    dryRun: !repair,
  })
  return dangling.map(file =>
    storeFinding({
      rule: 'record-dangling',
      severity: 'note',
      subject: file,
      message: 'tells of a blob that is gone',
      hint: 'kauri fsck --rebuild and kauri gc remove it',
      repaired: repair,
    }),
  )
}

/** True where somebody must do something about it. */
export function isUnrepaired({ severity, repaired }: StoreFinding): boolean {
  return severity === 'error' && !repaired
}
