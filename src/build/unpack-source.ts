// Unpacks an archive that ADD names below the target, which becomes a directory; owners are the archive's unless the step
// says otherwise, and its modes are kept whatever the step says.

import { closeSync, constants } from 'node:fs'
import { applyTar } from '../layer/apply-tar.ts'
import { decompress } from '../layer/decompress.ts'
import { native } from '../native/native.ts'
import { changedSource } from './copy-source.ts'
import type { CopyTarget } from './copy-target.ts'
import { hashLargeFile } from './hash-file.ts'
import { isArchive, readFrom } from './source-archive.ts'
import type { ReadableSource } from './source-digest.ts'
import type { SourceEntry } from './source-entry.ts'
import type { SourceMatch } from './source-patterns.ts'
import { baseOf, parentOf } from './source-tree.ts'
import { targetTree } from './target-tree.ts'

/** False where the match is no archive. @throws ARCHIVE_INVALID; PROCESS_FAILED where it changed since its digest was taken */
export async function unpackSource(
  source: ReadableSource,
  { path: file }: SourceMatch,
  to: CopyTarget,
): Promise<boolean> {
  const { tree, signal } = source
  const entry = tree.find(file)
  if (entry?.type !== 'file') return false
  const directoryFd = tree.open(parentOf(file))
  let fd: number | undefined
  try {
    fd = native().openAt(directoryFd, baseOf(file), constants.O_RDONLY | constants.O_NONBLOCK)
    if (!(await isArchive(fd, signal))) return false
    await unpack(fd, `/${file}`, { to, signal })
    if (!(await isUnchanged(source, entry, { fd, file }))) throw changedSource(source, file)
    return true
  } finally {
    if (fd !== undefined) closeSync(fd)
    closeSync(directoryFd)
  }
}

async function unpack(
  fd: number,
  name: string,
  { to, signal }: { readonly to: CopyTarget; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const place = targetTree(to.rootFd)
  const directory = place.follow(to.target.slice(1))
  place.makeDirectories(directory, { mode: 0o755, owner: to.owner })
  // The archive sees the target as its root, also where its links are absolute.
  const intoFd = place.open(directory)
  try {
    const { bytes } = await decompress(readFrom(fd), { name, signal })
    const ownership = to.owner ?? 'archive'
    await applyTar(bytes, intoFd, { name, whiteouts: 'ordinary', ownership, signal })
  } finally {
    closeSync(intoFd)
  }
}

async function isUnchanged(
  { tree, contents, mayChange, signal }: ReadableSource,
  entry: SourceEntry,
  { fd, file }: { readonly fd: number; readonly file: string },
): Promise<boolean> {
  if (!mayChange) return true
  const known = contents.find(entry)
  if (known === undefined) return false
  if (!contents.isFirm(entry)) return (await hashLargeFile(fd, signal)) === known.digest
  const now = tree.find(file)
  return now !== undefined && contents.find(now)?.digest === known.digest
}
