// What the contents of files are, by what lstat(2) says of them: as long as inode, size and times stay, nothing is read
// again. For each context one file below <dataRoot>/cache/contexts. A file that changed so shortly before it was read that
// another change would not show in its times is not kept (git's racy entries), and neither is anything on a file system
// whose times are not the kernel's own.

import { readdirSync, readFileSync, readlinkSync, rmSync, statfsSync, statSync } from 'node:fs'
import path from 'node:path'
import { writeCacheRecord } from '../core/atomic-file.ts'
import { hasErrno } from '../core/errors.ts'
import { digestOf, hexOf } from '../oci/digest.ts'
import { type ContentRecords, contentRecords, type FileContent } from './content-records.ts'
import type { SourceEntry } from './source-entry.ts'

export type { FileContent } from './content-records.ts'

export interface ContentIndex {
  /** What was read when the entry's numbers were the same. */
  find(entry: SourceEntry): FileContent | undefined
  /** Remembers what was read after the entry was listed. */
  keep(entry: SourceEntry, content: FileContent): void
  /** False where the file could have changed since it was read without its numbers telling. */
  isFirm(entry: SourceEntry): boolean
  /** Writes what is new; other errors than a full disk are the next build's loss only. @throws DISK_FULL */
  save(): Promise<void>
}

/** An index that is forgotten with the process. */
export function memoryIndex(): ContentIndex {
  const records = contentRecords()
  return {
    find: entry => records.find(entry),
    keep: (entry, content) => records.add(entry, content, false),
    isFirm: () => false,
    save: async () => {},
  }
}

/** Coarser than the kernel's clock ticks; and where times have no fraction, than whole seconds. */
const marginMs = { fraction: 100, whole: 2000 } as const

/** Magic numbers of statfs(2): ext, xfs, btrfs, tmpfs, overlayfs, zfs, f2fs, bcachefs. */
const firmFileSystems: ReadonlySet<number> = new Set([
  0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1, 0xf2f5_2010, 0xca45_1a4e,
])

/** The index of the directory that a descriptor stands for; `nowMs` is when reading begins. */
export function openContentIndex(
  dataRoot: string,
  rootFd: number,
  nowMs: number = Date.now(),
): ContentIndex {
  const self = `/proc/self/fd/${rootFd}`
  const directory = readlinkSync(self)
  const { dev } = statSync(self)
  const hasFirmTimes = firmFileSystems.has(statfsSync(self).type)
  // A context that was unpacked for this build alone is never seen again.
  const isKept = hasFirmTimes && !directory.startsWith(`${path.resolve(dataRoot)}/`)
  const file = path.join(dataRoot, 'cache', 'contexts', hexOf(digestOf(directory)))
  const records = isKept ? readRecords(file) : contentRecords()
  // What is read from now on is as it was before, where its inode last changed well before: a later change shows.
  const isFirm = ({ dev: on, ctimeSeconds, ctimeNanoseconds }: SourceEntry): boolean => {
    const margin = ctimeNanoseconds === 0 ? marginMs.whole : marginMs.fraction
    return (
      hasFirmTimes && on === dev && ctimeSeconds * 1000 + ctimeNanoseconds / 1e6 < nowMs - margin
    )
  }
  return {
    find: entry => records.find(entry),
    keep: (entry, content) => records.add(entry, content, isKept && isFirm(entry)),
    isFirm,
    async save() {
      if (!isKept || !records.hasNews()) return
      await writeCacheRecord(file, records.format(), 0o600)
      sweepOld(path.dirname(file))
    },
  }
}

function readRecords(file: string): ContentRecords {
  try {
    return contentRecords(readFileSync(file))
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return contentRecords()
    throw error
  }
}

const mostIndexes = 64

/** The indexes that were written longest ago go. */
function sweepOld(directory: string): void {
  const names = readdirSync(directory)
  if (names.length <= mostIndexes) return
  const byAge = names
    .map(name => ({
      name,
      mtimeMs: statSync(path.join(directory, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
    }))
    .toSorted((a, b) => b.mtimeMs - a.mtimeMs)
  for (const { name } of byAge.slice(mostIndexes))
    rmSync(path.join(directory, name), { force: true })
}
