// What the contents of files are, by what lstat(2) says of them: as long as inode, size and times stay, nothing is read
// again.

import type { SourceEntry } from './source-entry.ts'

/** The content of a regular file. */
export interface FileContent {
  /** SHA-256 of its bytes, hexadecimal. */
  readonly digest: string
  /** It has extended attributes that travel with it. */
  readonly hasXattrs: boolean
}

export interface ContentIndex {
  find(entry: SourceEntry): FileContent | undefined
  /** Remembers what was read after the entry was listed. */
  keep(entry: SourceEntry, content: FileContent): void
  /** False where the file could have changed since it was read without its times telling. */
  isFirm(entry: SourceEntry): boolean
  /** Writes what is new. */
  save(): Promise<void>
}

/** An index that is forgotten with the process. */
export function memoryIndex(): ContentIndex {
  const known = new Map<string, FileContent>()
  return {
    find: entry => known.get(stampOf(entry)),
    keep: (entry, content) => known.set(stampOf(entry), content),
    isFirm: () => false,
    save: async () => {},
  }
}

function stampOf(entry: SourceEntry): string {
  const { dev, inodeHigh, inodeLow, sizeBytes, mode } = entry
  const { mtimeSeconds, mtimeNanoseconds, ctimeSeconds, ctimeNanoseconds } = entry
  const times = [mtimeSeconds, mtimeNanoseconds, ctimeSeconds, ctimeNanoseconds]
  return [dev, inodeHigh, inodeLow, sizeBytes, mode, ...times].join(' ')
}

/** The index of the context that a descriptor stands for. */
export function openContentIndex(_dataRoot: string, _rootFd: number): ContentIndex {
  return memoryIndex()
}
