// Makes one entry of the header blocks it takes: GNU's long names, pax records, global ones, and the header itself.
// Where they disagree, the pax size rules (a reader that takes the header's would find hidden entries in the data,
// CVE-2025-62518), and GNU's long names win over pax ones, as in Go's and thereby docker's reader.

import { decodeName } from './name-bytes.ts'
import { type PaxRecords, parsePaxNumber, parsePaxRecords, parsePaxTime } from './pax-records.ts'
import { type PaxSparse, readPaxSparse } from './sparse-map.ts'
import { noXattrs, type TarEntry, type TarEntryType } from './tar-entry.ts'
import { HeaderError, type RawHeader } from './tar-header.ts'
import { cleanTarPath } from './tar-path.ts'

/** Headers that tell something of the entry behind them. */
export type ExtensionKind = 'pax' | 'pax-global' | 'long-name' | 'long-link' | 'skip'

const extensionKinds: Readonly<Record<string, ExtensionKind>> = {
  x: 'pax',
  X: 'pax',
  g: 'pax-global',
  L: 'long-name',
  K: 'long-link',
  // A GNU volume label, and Solaris access lists, which name users of another host.
  V: 'skip',
  A: 'skip',
}

const entryTypes: Readonly<Record<string, TarEntryType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  D: 'directory',
  '6': 'fifo',
}

/** An entry and how its bytes follow. */
export interface AssembledEntry {
  readonly entry: TarEntry
  readonly depth: number
  /** Bytes of data behind the header. */
  readonly storedSize: number
  /** How those become the file; `discard` for data that belongs to no file. */
  readonly body: PaxSparse | { readonly kind: 'plain' | 'old-sparse' | 'discard' }
}

/** Gathers the extensions of one entry after the other. */
export interface EntryAssembly {
  /** The kind of extension that a header starts, or undefined for an entry's own. */
  extensionOf(header: RawHeader): ExtensionKind | undefined
  /** Takes the body of an extension header. @throws HeaderError */
  addExtension(kind: ExtensionKind, body: Buffer): void
  /** Makes the entry of its header and the extensions before it. @throws HeaderError */
  assemble(header: RawHeader): AssembledEntry
  /** True while an extension waits for its entry. */
  isPending(): boolean
}

/** For one archive: records for all entries are kept in it. */
export function createEntryAssembly(): EntryAssembly {
  let globals: PaxRecords = []
  let locals: PaxRecords = []
  let longName: string | undefined
  let longLink: string | undefined
  let pending = false
  return {
    extensionOf: header => extensionKinds[header.typeFlag],
    isPending: () => pending,
    addExtension: (kind, body) => {
      if (kind === 'skip') return
      if (kind === 'pax-global') {
        globals = mergeGlobals(globals, parsePaxRecords(body))
        return
      }
      pending = true
      if (kind === 'pax') locals = [...locals, ...parsePaxRecords(body)]
      else if (kind === 'long-name') longName = untilNul(body)
      else longLink = untilNul(body)
    },
    assemble: header => {
      const records = globals.length === 0 ? locals : [...globals, ...locals]
      const names = { name: longName, link: longLink }
      locals = []
      longName = undefined
      longLink = undefined
      pending = false
      return assembleEntry(header, records, names)
    },
  }
}

/** Every entry reads all of them; real archives have one or two. */
const mostGlobals = 100

/** Later records replace earlier ones of the same key. */
function mergeGlobals(before: PaxRecords, added: PaxRecords): PaxRecords {
  const merged = [...new Map([...before, ...added])]
  if (merged.length > mostGlobals)
    throw new HeaderError(`there are more than ${mostGlobals} records for all entries`)
  return merged
}

function untilNul(body: Buffer): string {
  const end = body.indexOf(0)
  return decodeName(end < 0 ? body : body.subarray(0, end))
}

interface LongNames {
  readonly name: string | undefined
  readonly link: string | undefined
}

function assembleEntry(header: RawHeader, records: PaxRecords, long: LongNames): AssembledEntry {
  const type = typeOf(header, long.name)
  const pax = new Map(records)
  const text = (key: string): string | undefined => {
    const value = pax.get(key)
    return value === undefined || value.length === 0 ? undefined : decodeName(value)
  }
  const number = (key: string, fallback: number): number => {
    const value = text(key)
    return value === undefined ? notNegative(key, fallback) : parsePaxNumber(key, value)
  }
  const sparse = records.length === 0 ? undefined : readPaxSparse(records)
  // The size of what is only a header counts for nothing, as in GNU tar, Go and Python.
  const hasData = type === 'file' || header.typeFlag === 'D'
  const storedSize = hasData ? number('size', header.size) : 0
  const { path, depth } = pathOf(long.name ?? sparse?.name ?? text('path') ?? header.name)
  const mtime = text('mtime')
  const { seconds, nanoseconds } =
    mtime === undefined ? { seconds: header.mtime, nanoseconds: 0 } : parsePaxTime(mtime)
  const entry: TarEntry = {
    path,
    type,
    mode: header.mode,
    uid: number('uid', header.uid),
    gid: number('gid', header.gid),
    size: type === 'file' ? storedSize : 0,
    mtimeSeconds: seconds,
    mtimeNanoseconds: nanoseconds,
    linkTarget: linkTargetOf(type, long.link ?? text('linkpath') ?? header.linkName),
    deviceMajor: number('SCHILY.devmajor', header.deviceMajor),
    deviceMinor: number('SCHILY.devminor', header.deviceMinor),
    xattrs: xattrsOf(records),
  }
  return { entry, depth, storedSize, body: bodyOf(header, type, sparse) }
}

function typeOf({ typeFlag, name }: RawHeader, longName: string | undefined): TarEntryType {
  const type = entryTypes[typeFlag]
  if (type === undefined)
    throw new HeaderError(`an entry is of the unknown type ${JSON.stringify(typeFlag)}`)
  // Writers before ustar knew no directories but by the slash.
  return typeFlag === '\0' && (longName ?? name).endsWith('/') ? 'directory' : type
}

function bodyOf(
  header: RawHeader,
  type: TarEntryType,
  sparse: PaxSparse | undefined,
): AssembledEntry['body'] {
  if (type !== 'file') return { kind: 'discard' }
  if (header.typeFlag !== 'S') return sparse ?? { kind: 'plain' }
  if (!header.isGnu) throw new HeaderError('a sparse file has a form that is not known here')
  return { kind: 'old-sparse' }
}

function notNegative(key: string, value: number): number {
  if (value < 0) throw new HeaderError(`the field ${key} of a header is negative`)
  return value
}

function pathOf(text: string): { path: string; depth: number } {
  const clean = cleanTarPath(text)
  if (clean.kind === 'refused')
    throw new HeaderError(`${clean.why}: ${JSON.stringify(text.slice(0, 300))}`)
  return clean
}

function linkTargetOf(type: TarEntryType, text: string): string {
  if (type === 'link') return pathOf(text).path
  if (type !== 'symlink') return ''
  if (text === '' || text.includes('\0')) throw new HeaderError('a symbolic link has no target')
  return text
}

const schilyPrefix = 'SCHILY.xattr.'
const libarchivePrefix = 'LIBARCHIVE.xattr.'

/** SCHILY.xattr.* hold the bytes; LIBARCHIVE.xattr.* hold them as base64 under a percent-encoded name. */
function xattrsOf(records: PaxRecords): ReadonlyMap<string, Buffer> {
  let xattrs: Map<string, Buffer> | undefined
  for (const [key, value] of records) {
    if (key.startsWith(libarchivePrefix)) {
      xattrs ??= new Map()
      const name = percentDecoded(key.slice(libarchivePrefix.length))
      if (!xattrs.has(name)) xattrs.set(name, Buffer.from(value.toString('latin1'), 'base64'))
    }
  }
  for (const [key, value] of records) {
    if (key.startsWith(schilyPrefix)) {
      xattrs ??= new Map()
      xattrs.set(key.slice(schilyPrefix.length), value)
    }
  }
  return xattrs ?? noXattrs
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new HeaderError(`"${text.slice(0, 100)}" is no name of an extended attribute`)
  }
}
