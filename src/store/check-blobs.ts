// Reads every blob of a store: bytes that are not what the name says, files that no digest names, modes that let others
// write.

import { chmodSync, createReadStream, lstatSync, mkdirSync, renameSync, type Stats } from 'node:fs'
import path from 'node:path'
import { mapConcurrent } from '../core/concurrency.ts'
import { namesIn } from '../core/directory-names.ts'
import { hasErrno } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { createDigester, hexOf } from '../oci/digest.ts'
import type { LayoutPaths } from './layout-paths.ts'
import { type StoreFinding, storeFinding } from './store-finding.ts'

export interface CheckBlobsOptions {
  /** Put damaged blobs aside, into `damaged/` of the store, and take rights away that nobody should have. */
  readonly repair: boolean
  readonly signal?: AbortSignal | undefined
}

export interface BlobsRead {
  readonly findings: readonly StoreFinding[]
  /** Blobs whose bytes are wrong, by hex: what they are in words. */
  readonly damaged: ReadonlyMap<string, string>
  readonly blobs: number
  readonly bytes: number
}

/** Blobs read at once; a disk of today wants more than one. */
const readsInFlight = 4

const blobForm = /^[0-9a-f]{64}$/

/** @throws CANCELLED */
export async function checkBlobs(
  paths: LayoutPaths,
  options: CheckBlobsOptions,
): Promise<BlobsRead> {
  const findings: StoreFinding[] = []
  const damaged = new Map<string, string>()
  let bytes = 0
  let blobs = 0
  await mapConcurrent(namesIn(paths.blobs), readsInFlight, async name => {
    const file = path.join(paths.blobs, name)
    const found = lstatSync(file, { throwIfNoEntry: false })
    if (found === undefined) return
    const misplaced = misplacedFinding(file, found)
    if (misplaced !== undefined) {
      findings.push(misplaced)
      return
    }
    findings.push(...checkModes(file, found, { wanted: 0o444, ...options }))
    const { actual, size } = await digestFile(file, options.signal)
    blobs++
    bytes += size
    if (actual === undefined || actual === name) return
    damaged.set(name, `its ${size} bytes are sha256:${actual}`)
    if (options.repair) putAside(paths, name)
  })
  return { findings, damaged, blobs, bytes }
}

/** Finding about a file or directory that users other than its owner may write, or that its owner may not read. */
export function checkModes(
  file: string,
  { mode }: Pick<Stats, 'mode'>,
  { wanted, repair }: { readonly wanted: number; readonly repair: boolean },
): StoreFinding[] {
  const wrong = mode & 0o7022
  if (wrong === 0 && (mode & 0o400) !== 0) return []
  if (repair) chmodSync(file, wanted)
  const text = (mode & 0o7777).toString(8).padStart(4, '0')
  return [
    storeFinding({
      rule: 'permission',
      subject: file,
      message:
        wrong === 0
          ? `has the mode ${text}: its owner cannot read it`
          : `has the mode ${text}: others may write it, or it gives rights away`,
      hint: `chmod ${wanted.toString(8)}, or let kauri fsck --rebuild do it`,
      repaired: repair,
    }),
  ]
}

function misplacedFinding(subject: string, found: Stats): StoreFinding | undefined {
  const isNamed = blobForm.test(path.basename(subject))
  if (isNamed && found.isFile()) return undefined
  return storeFinding({
    rule: 'blob-name',
    subject,
    message: isNamed ? 'is no file' : 'is not named by a digest: no tool finds it',
    hint: isNamed
      ? 'put the blob itself in its place, or move this away and let kauri fsck tell who needs it'
      : 'move it away; no image needs it',
  })
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
    // A disk that cannot be read is what somebody runs this for.
    if (hasErrno(error, 'EIO')) return { actual: 'unreadable', size }
    throw error
  }
}

function putAside(paths: LayoutPaths, hex: string): void {
  const directory = path.join(paths.root, 'damaged')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  renameSync(path.join(paths.blobs, hex), path.join(directory, hex))
}
