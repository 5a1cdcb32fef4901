// Names what a step copies of a source: one digest over names, types, permission bits, owners where they are kept, contents,
// link targets, devices, extended attributes and which names are one file. Never over times, and never over the name of a
// directory whose contents are copied.

import { createHash } from 'node:crypto'
import { closeSync, constants } from 'node:fs'
import { mapConcurrent } from '../core/concurrency.ts'
import { cancelled } from '../core/process.ts'
import { createPause } from '../layer/time-slice.ts'
import { native } from '../native/native.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import type { ContentIndex, FileContent } from './content-index.ts'
import { hashLargeFile, hashSmallFile, hashText, smallFileBytes } from './hash-file.ts'
import type { SourceEntry } from './source-entry.ts'
import type { SourceMatch } from './source-patterns.ts'
import { baseOf, explainDenied, joinPath, parentOf, type SourceTree } from './source-tree.ts'
import { type WalkedDirectory, type WalkRules, walkSource } from './source-walk.ts'
import { readDirectoryXattrs, readSourceXattrs, type SourceXattr } from './source-xattrs.ts'

/** A tree to read from. */
export interface ReadableSource {
  readonly tree: SourceTree
  /** What is known of its files. */
  readonly contents: ContentIndex
  /** False for snapshots, which nobody writes to. */
  readonly mayChange: boolean
  readonly signal?: AbortSignal | undefined
}

const largeReadsInFlight = 4

/** The digest of what a match stands for, undefined where it is missing. Reads what the index does not know. @throws CANCELLED */
export async function digestSource(
  source: ReadableSource,
  match: SourceMatch,
  rules: WalkRules,
): Promise<Digest | undefined> {
  const entry = source.tree.find(match.path)
  if (entry === undefined) return undefined
  for (;;) {
    const sum = createSum(source)
    if (entry.type === 'directory')
      await addTree(sum, walkSource(source.tree, match.path, rules), rules)
    else addSingle(sum, { ...entry, name: baseOf(match.path) }, match)
    if (sum.large.length === 0) return sum.digest()
    // Large files are read several at a time; then everything is known.
    await mapConcurrent(sum.large, largeReadsInFlight, file => readLarge(source, file))
  }
}

/** A regular file whose content is not known. */
interface UnreadFile {
  readonly directory: string
  readonly entry: SourceEntry
}

interface Sum {
  readonly source: ReadableSource
  /** Each field ends with NUL, which no name has; a content's digest has 32 characters. */
  add(text: string): void
  readonly large: UnreadFile[]
  /** Paths of files with several names, by inode. */
  readonly firstNames: Map<string, string>
  digest(): Digest
}

function createSum(source: ReadableSource): Sum {
  const sha256 = createHash('sha256')
  let waiting = source.tree.keepsOwners ? 'owners\0' : 'root\0'
  // Names that are no UTF-8 have lone surrogates, which only this encoding tells apart.
  const flush = (): void => {
    sha256.update(waiting, 'utf16le')
    waiting = ''
  }
  return {
    source,
    large: [],
    firstNames: new Map(),
    add(text) {
      waiting += text
      if (waiting.length > 64 * 1024) flush()
    },
    digest() {
      flush()
      return parseDigest(`sha256:${sha256.digest('hex')}`)
    },
  }
}

async function addTree(
  sum: Sum,
  directories: Iterable<WalkedDirectory>,
  rules: WalkRules,
): Promise<void> {
  const { tree, signal } = sum.source
  const pause = createPause()
  for (const directory of directories) {
    if (signal?.aborted) throw cancelled(signal)
    const fd = tree.open(directory.path)
    try {
      if (directory.relative === '' && rules.directory === 'contents') sum.add('contents\0')
      else addDirectory(sum, directory, fd)
      for (const entry of directory.files) {
        const shown = joinPath(directory.relative, entry.name)
        addFile(sum, entry, { fd, directory: directory.path, shown })
        const turn = pause()
        if (turn === undefined) continue
        await turn
        if (signal?.aborted) throw cancelled(signal)
      }
    } finally {
      closeSync(fd)
    }
  }
}

function addSingle(sum: Sum, entry: SourceEntry, { path, name }: SourceMatch): void {
  const directory = parentOf(path)
  const fd = sum.source.tree.open(directory)
  try {
    addFile(sum, entry, { fd, directory, shown: name })
  } finally {
    closeSync(fd)
  }
}

function addDirectory(sum: Sum, { relative, entry, isImplied }: WalkedDirectory, fd: number): void {
  const kind = isImplied ? 'parent' : 'directory'
  sum.add(`${kind}\0${relative}\0${entry.mode}\0${ownerOf(sum, entry)}\0`)
  addXattrs(sum, readDirectoryXattrs(fd))
}

/** Where a file of the source is, and how the digest calls it. */
interface FilePlace {
  readonly fd: number
  readonly directory: string
  readonly shown: string
}

function addFile(sum: Sum, entry: SourceEntry, place: FilePlace): void {
  const { type, mode, name } = entry
  const { fd, shown } = place
  const owner = ownerOf(sum, entry)
  if (type === 'file') {
    const first = entry.links > 1 ? firstNameOf(sum, entry, shown) : ''
    const { digest, hasXattrs } = contentOf(sum, entry, place)
    sum.add(`file\0${shown}\0${owner}\0${mode}\0${first}\0${digest}\0`)
    if (hasXattrs) addXattrs(sum, readSourceXattrs(fd, name))
  } else if (type === 'link') {
    sum.add(`link\0${shown}\0${owner}\0${linkOf(sum, entry, fd)}\0`)
  } else {
    const device = `${entry.deviceMajor}:${entry.deviceMinor}`
    sum.add(`${type}\0${shown}\0${owner}\0${mode}\0${type === 'fifo' ? '' : device}\0`)
    addXattrs(sum, readSourceXattrs(fd, name))
  }
}

function ownerOf({ source }: Sum, { uid, gid }: SourceEntry): string {
  return source.tree.keepsOwners ? `${uid}:${gid}` : ''
}

function addXattrs(sum: Sum, xattrs: readonly SourceXattr[]): void {
  for (const { name, value } of xattrs) sum.add(`xattr\0${name}\0${value.toString('hex')}\0`)
}

function firstNameOf({ firstNames }: Sum, entry: SourceEntry, shown: string): string {
  const inode = inodeOf(entry)
  const first = firstNames.get(inode)
  if (first === undefined) firstNames.set(inode, shown)
  return first ?? ''
}

/** Tells files with several names apart. */
export function inodeOf({ dev, inodeHigh, inodeLow }: SourceEntry): string {
  return `${dev}:${inodeHigh}:${inodeLow}`
}

/** Files that are too large to be read at once are put off; what stands for them then is thrown away. */
function contentOf(
  { source, large }: Sum,
  entry: SourceEntry,
  { fd, directory }: FilePlace,
): FileContent {
  const known = source.contents.find(entry)
  if (known !== undefined) return known
  const digest =
    entry.sizeBytes > smallFileBytes
      ? undefined
      : readOrExplain(source, joinPath(directory, entry.name), () => hashSmallFile(fd, entry.name))
  if (digest === undefined) {
    large.push({ directory, entry })
    return { digest: '', hasXattrs: false }
  }
  const content = { digest, hasXattrs: readSourceXattrs(fd, entry.name).length > 0 }
  source.contents.keep(entry, content)
  return content
}

/** What a link says is its content. */
function linkOf({ source: { contents } }: Sum, entry: SourceEntry, fd: number): string {
  const known = contents.find(entry)
  if (known !== undefined) return known.digest
  const digest = hashText(native().readLinkAt(fd, entry.name))
  contents.keep(entry, { digest, hasXattrs: false })
  return digest
}

const readFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY

async function readLarge(source: ReadableSource, { directory, entry }: UnreadFile): Promise<void> {
  const { tree, contents, signal } = source
  const fd = tree.open(directory)
  let file: number | undefined
  try {
    file = readOrExplain(source, joinPath(directory, entry.name), () =>
      native().openAt(fd, entry.name, readFlags),
    )
    const hasXattrs = readSourceXattrs(fd, entry.name).length > 0
    contents.keep(entry, { digest: await hashLargeFile(file, signal), hasXattrs })
  } finally {
    if (file !== undefined) closeSync(file)
    closeSync(fd)
  }
}

function readOrExplain<T>({ tree }: ReadableSource, shown: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw explainDenied(error, joinPath(tree.name, shown))
  }
}
