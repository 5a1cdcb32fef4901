// Tars made by hand, for what no tar program writes, and what is needed to look at tars and trees.

import { createHash } from 'node:crypto'
import { closeSync, constants, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { type AppliedTar, type ApplyOptions, applyTar } from '../../src/layer/apply-tar.ts'
import { formatPaxRecord } from '../../src/layer/pax-records.ts'
import { endOfArchive } from '../../src/layer/tar-format.ts'
import { blockSize, encodeHeader, paddedSize } from '../../src/layer/tar-header.ts'
import { native, scanFields, scanWidth } from '../../src/native/native.ts'

export interface RawEntry {
  readonly name: string
  /** The letter in the header: `0` file, `1` hard link, `2` symbolic link, `3` `4` devices, `5` directory, `6` fifo … */
  readonly type?: string
  readonly link?: string
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: number
  readonly body?: string | Buffer
  /** What the header says; by default the length of the body. */
  readonly size?: number
  readonly major?: number
  readonly minor?: number
  /** Records of a pax header before the entry. */
  readonly pax?: Readonly<Record<string, string | Buffer>>
}

/** One entry with its headers and padding. */
export function rawEntry(entry: RawEntry): Buffer {
  const body = Buffer.from(entry.body ?? '')
  const header = Buffer.alloc(blockSize)
  encodeHeader(header, 0, {
    name: Buffer.from(entry.name).subarray(0, 100),
    linkName: Buffer.from(entry.link ?? '').subarray(0, 100),
    mode: entry.mode ?? (entry.type === '5' ? 0o755 : 0o644),
    uid: entry.uid ?? 0,
    gid: entry.gid ?? 0,
    size: entry.size ?? body.length,
    mtime: entry.mtime ?? 1_000_000_000,
    typeFlag: entry.type ?? '0',
    deviceMajor: entry.major ?? 0,
    deviceMinor: entry.minor ?? 0,
  })
  const pax = entry.pax === undefined ? Buffer.alloc(0) : paxEntry(entry.pax)
  return Buffer.concat([pax, header, body, Buffer.alloc(paddedSize(body.length) - body.length)])
}

/** A pax header, of type `x` or for all entries behind it `g`. */
export function paxEntry(records: Readonly<Record<string, string | Buffer>>, type = 'x'): Buffer {
  const body = Buffer.concat(
    Object.entries(records).map(([key, value]) => formatPaxRecord(key, value)),
  )
  return rawEntry({ name: 'pax', type, body })
}

/** A whole archive. */
export function tarOf(...entries: readonly (RawEntry | Buffer)[]): Buffer {
  const parts = entries.map(entry => (Buffer.isBuffer(entry) ? entry : rawEntry(entry)))
  return Buffer.concat([...parts, endOfArchive])
}

/** The bytes in pieces of one size. */
export async function* inPieces(
  bytes: Uint8Array,
  size: number = 64 * 1024,
): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield Buffer.from(bytes.subarray(at, at + size))
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

/** Applies an archive to a directory. */
export async function applyTo(
  directory: string,
  tar: Uint8Array | AsyncIterable<Uint8Array>,
  options: Partial<ApplyOptions> = {},
): Promise<AppliedTar> {
  const fd = openSync(directory, constants.O_DIRECTORY)
  try {
    const source = tar instanceof Uint8Array ? inPieces(tar) : tar
    return await applyTar(source, fd, { whiteouts: 'ordinary', ownership: 'archive', ...options })
  } finally {
    closeSync(fd)
  }
}

/** Everything that a layer keeps of an entry, as one line. */
export type TreeListing = Readonly<Record<string, string>>

/** A tree as a record from path to description; hard links name the first of them. */
export function listTree(root: string): TreeListing {
  const listing: Record<string, string> = {}
  const first = new Map<string, string>()
  const visit = (directory: string, relative: string): void => {
    const fd = openSync(directory, constants.O_DIRECTORY)
    const { names, stats } = native().scanDirectory(fd)
    for (const [index, name] of names.entries()) {
      const field = (key: keyof typeof scanFields): number =>
        stats[index * scanWidth + scanFields[key]] ?? 0
      const inside = relative === '' ? name : `${relative}/${name}`
      const inode = `${field('inodeHigh')}:${field('inodeLow')}`
      const type = field('mode') & constants.S_IFMT
      const isLink = type !== constants.S_IFDIR && first.has(inode)
      listing[inside] = isLink
        ? `link to ${first.get(inode)}`
        : [
            field('mode').toString(8),
            `${field('uid')}:${field('gid')}`,
            type === constants.S_IFDIR ? '-' : field('size'),
            `${field('mtimeSeconds')}`,
            `${field('deviceMajor')},${field('deviceMinor')}`,
            contentOf(fd, name, type),
            ...xattrsOf(fd, name),
          ].join(' ')
      if (!isLink) first.set(inode, inside)
      if (type === constants.S_IFDIR) visit(path.join(directory, name), inside)
    }
    closeSync(fd)
  }
  visit(root, '')
  return listing
}

function contentOf(directoryFd: number, name: string, type: number): string {
  if (type === constants.S_IFLNK) return `-> ${native().readLinkAt(directoryFd, name)}`
  if (type !== constants.S_IFREG) return '-'
  const fd = native().openAt(directoryFd, name, constants.O_RDONLY)
  try {
    return createHash('sha256').update(readFileSync(fd)).digest('hex').slice(0, 16)
  } finally {
    closeSync(fd)
  }
}

function xattrsOf(directoryFd: number, name: string): string[] {
  return native()
    .listXattrsAt(directoryFd, name)
    .toSorted()
    .map(xattr => `${xattr}=${native().getXattrAt(directoryFd, name, xattr).toString('hex')}`)
}

/** What this process has open below a directory. */
export function openBelow(directory: string): string[] {
  return readdirSync('/proc/self/fd')
    .map(fd => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`)
      } catch {
        // Another test's, closed meanwhile.
        return ''
      }
    })
    .filter(target => target.startsWith(directory))
}
