// Looks for everything that is wrong with a store: blobs whose bytes are not what their names say, images with parts
// missing, records and temporary files that nobody needs. What is derived is removed where repair is asked for; damaged
// blobs are put aside, so that the same bytes can be had again by pulling, loading or building.

import { createReadStream, mkdirSync, renameSync, statSync } from 'node:fs'
import path from 'node:path'
import { mapConcurrent } from '../core/concurrency.ts'
import { namesIn } from '../core/directory-names.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester, hexOf } from '../oci/digest.ts'
import { formatFamiliar } from '../oci/reference.ts'
import { sweepIngest } from './blob-batch.ts'
import { childrenOf } from './children.ts'
import type { DiskStore } from './disk-store.ts'
import { sweepLayerRecords } from './layer-records.ts'
import { lockForSweep } from './layout-lock.ts'
import { type LayoutPaths, layoutPaths } from './layout-paths.ts'
import type { StoredImage } from './layout-reader.ts'

/** One thing that is wrong. */
export interface StoreFinding {
  readonly rule: 'index-unreadable' | 'blob-damaged' | 'image-incomplete' | 'blob-name'
  /** A digest, a file or an image's name. */
  readonly subject: string
  readonly message: string
  readonly repaired: boolean
}

export interface CheckStoreOptions {
  /** Put damaged blobs aside, into `damaged/` of the store. */
  readonly repair: boolean
  readonly signal?: AbortSignal | undefined
  /** Called with the bytes of each blob that was read. */
  readonly onBytes?: (bytes: number) => void
}

export interface StoreCheck {
  readonly findings: readonly StoreFinding[]
  readonly blobs: number
  readonly bytes: number
  readonly images: number
}

/** Blobs read at once; a disk of today wants more than one. */
const readsInFlight = 4

const blobForm = /^[0-9a-f]{64}$/

/** Reads every blob and follows every image. @throws LOCK_BUSY, CANCELLED */
export async function checkStore(
  store: DiskStore,
  options: CheckStoreOptions,
): Promise<StoreCheck> {
  const paths = layoutPaths(store.root)
  if (statSync(paths.marker, { throwIfNoEntry: false }) === undefined)
    return { findings: [], blobs: 0, bytes: 0, images: 0 }
  sweepIngest(paths)
  const { damaged, ...read } = await checkBlobs(paths, options)
  const images = await listImages(store)
  const findings = [...read.findings, ...images.findings]
  for (const image of images.found)
    findings.push(...(await checkImage(store, image, { damaged, signal: options.signal })))
  if (options.repair) {
    using _ = await lockForSweep(paths, options.signal)
    const stored = new Set(namesIn(paths.blobs))
    await sweepLayerRecords(paths, { isStored: hex => stored.has(hex) })
  }
  return { findings, blobs: read.blobs, bytes: read.bytes, images: images.found.length }
}

interface BlobsRead {
  readonly findings: readonly StoreFinding[]
  /** Hex of the blobs whose bytes are wrong. */
  readonly damaged: ReadonlySet<string>
  readonly blobs: number
  readonly bytes: number
}

async function checkBlobs(paths: LayoutPaths, options: CheckStoreOptions): Promise<BlobsRead> {
  const findings: StoreFinding[] = []
  const damaged = new Set<string>()
  let bytes = 0
  const names = namesIn(paths.blobs)
  for (const name of names.filter(each => !blobForm.test(each)))
    findings.push({
      rule: 'blob-name',
      subject: path.join(paths.blobs, name),
      message: 'is not named by a digest: no tool finds it',
      repaired: false,
    })
  const blobs = names.filter(name => blobForm.test(name))
  await mapConcurrent(blobs, readsInFlight, async hex => {
    const { actual, size } = await digestFile(path.join(paths.blobs, hex), options.signal)
    bytes += size
    options.onBytes?.(size)
    if (actual === undefined || actual === hex) return
    damaged.add(hex)
    if (options.repair) putAside(paths, hex)
    findings.push({
      rule: 'blob-damaged',
      subject: `sha256:${hex}`,
      message: `its ${size} bytes are sha256:${actual}`,
      repaired: options.repair,
    })
  })
  return { findings, damaged, blobs: blobs.length, bytes }
}

/** `actual` is undefined for a blob that was collected meanwhile. */
async function digestFile(
  file: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly actual: string | undefined; readonly size: number }> {
  const digester = createDigester()
  let size = 0
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 512 * 1024 })) {
      if (signal?.aborted) throw cancelled(signal)
      size += chunk.length
      digester.update(chunk)
    }
    return { actual: hexOf(digester.digest()), size }
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return { actual: undefined, size: 0 }
    throw error
  }
}

function putAside(paths: LayoutPaths, hex: string): void {
  const directory = path.join(paths.root, 'damaged')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  renameSync(path.join(paths.blobs, hex), path.join(directory, hex))
}

interface Listed {
  readonly found: readonly StoredImage[]
  readonly findings: readonly StoreFinding[]
}

async function listImages(store: DiskStore): Promise<Listed> {
  try {
    return { found: await store.listEntries(), findings: [] }
  } catch (error) {
    if (!(error instanceof KauriError) || error.code !== 'STORE_INVALID') throw error
    const finding: StoreFinding = {
      rule: 'index-unreadable',
      subject: layoutPaths(store.root).index,
      message: error.message,
      repaired: false,
    }
    return { found: [], findings: [finding] }
  }
}

interface ImageContext {
  readonly damaged: ReadonlySet<string>
  readonly signal: AbortSignal | undefined
}

/** Everything that the image refers to is there, has the size that is said, and was not found damaged. */
async function checkImage(
  store: DiskStore,
  { descriptor, reference }: StoredImage,
  { damaged, signal }: ImageContext,
): Promise<StoreFinding[]> {
  const name = reference === undefined ? descriptor.digest : formatFamiliar(reference)
  const findings: StoreFinding[] = []
  const tell = (message: string): void => {
    findings.push({ rule: 'image-incomplete', subject: name, message, repaired: false })
  }
  const seen = new Set<string>()
  const waiting = [{ descriptor, optional: false }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (signal?.aborted) throw cancelled(signal)
    if (seen.has(next.descriptor.digest)) continue
    seen.add(next.descriptor.digest)
    const trouble = troubleOf(store, next.descriptor, damaged)
    if (trouble === 'is missing' && next.optional) continue
    if (trouble !== undefined) tell(`${next.descriptor.digest} ${trouble}`)
    else waiting.push(...(await children(store, next.descriptor, tell)))
  }
  return findings
}

function troubleOf(
  store: DiskStore,
  { digest, size }: Descriptor,
  damaged: ReadonlySet<string>,
): string | undefined {
  if (damaged.has(hexOf(digest))) return 'is damaged'
  const found = statSync(store.blobPath(digest), { throwIfNoEntry: false })
  if (found === undefined) return 'is missing'
  return found.size === size ? undefined : `has ${found.size} bytes, not ${size}`
}

async function children(
  store: DiskStore,
  descriptor: Descriptor,
  tell: (message: string) => void,
): Promise<readonly { descriptor: Descriptor; optional: boolean }[]> {
  try {
    return await childrenOf(store, descriptor).then(found => [...found])
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    tell(error.message)
    return []
  }
}
