// Writes one tar entry's headers: ustar, with a pax header before it for what ustar cannot hold. Equal entries give equal
// bytes; nothing of the host or the moment gets in.

import { isUtf8 } from 'node:buffer'
import { encodeName } from './name-bytes.ts'
import { formatPaxRecord } from './pax-records.ts'
import { type TarEntry, typeFlags } from './tar-entry.ts'
import {
  blockSize,
  encodeHeader,
  type HeaderFields,
  largestId,
  largestSize,
  paddedSize,
} from './tar-header.ts'

const nameBytes = 100
const prefixBytes = 155

/** The header blocks of an entry whose data, `entry.size` bytes and padding, the caller writes behind them. */
export function formatTarHeader(entry: TarEntry): Buffer {
  const fullName = encodeName(entry.type === 'directory' ? `${entry.path}/` : entry.path)
  const split = splitName(fullName)
  const linkName = encodeName(entry.linkTarget)
  const records = paxRecordsOf(entry, split === undefined ? fullName : undefined, linkName)
  const fields: HeaderFields = {
    name: split?.name ?? fullName.subarray(0, nameBytes),
    ...(split?.prefix === undefined ? {} : { prefix: split.prefix }),
    linkName: linkName.subarray(0, nameBytes),
    mode: entry.mode,
    uid: within(entry.uid, largestId),
    gid: within(entry.gid, largestId),
    size: within(entry.size, largestSize),
    mtime: within(entry.mtimeSeconds, largestSize),
    typeFlag: typeFlags[entry.type],
    deviceMajor: within(entry.deviceMajor, largestId),
    deviceMinor: within(entry.deviceMinor, largestId),
  }
  const paxSize = records.length === 0 ? 0 : blockSize + paddedSize(records.length)
  const blocks = Buffer.alloc(paxSize + blockSize)
  if (paxSize > 0) writePaxHeader(blocks, fullName, records)
  encodeHeader(blocks, paxSize, fields)
  return blocks
}

/** 0 where the number is in the pax header, which readers prefer. */
function within(value: number, largest: number): number {
  return value >= 0 && value <= largest ? value : 0
}

/** undefined where ustar's two fields cannot hold the name. */
function splitName(full: Buffer): { name: Buffer; prefix?: Buffer } | undefined {
  if (full.length <= nameBytes) return { name: full }
  // The slash between the two is not stored; the last one of a directory must not become it.
  const slash = full.lastIndexOf(0x2f, Math.min(prefixBytes, full.length - 2))
  if (slash <= 0 || full.length - slash - 1 > nameBytes) return undefined
  return { name: full.subarray(slash + 1), prefix: full.subarray(0, slash) }
}

/** Records sorted by key; none where ustar says it all. */
function paxRecordsOf(entry: TarEntry, longName: Buffer | undefined, linkName: Buffer): Buffer {
  const longLink = linkName.length > nameBytes ? linkName : undefined
  const records: [string, string | Buffer][] = []
  if (entry.deviceMajor > largestId) records.push(['SCHILY.devmajor', `${entry.deviceMajor}`])
  if (entry.deviceMinor > largestId) records.push(['SCHILY.devminor', `${entry.deviceMinor}`])
  for (const name of [...entry.xattrs.keys()].toSorted())
    records.push([`SCHILY.xattr.${name}`, entry.xattrs.get(name) ?? ''])
  if (entry.gid > largestId) records.push(['gid', `${entry.gid}`])
  // pax headers are UTF-8 unless they say that they are bytes.
  if ([longName, longLink].some(bytes => bytes !== undefined && !isUtf8(bytes)))
    records.push(['hdrcharset', 'BINARY'])
  if (longLink !== undefined) records.push(['linkpath', longLink])
  if (entry.mtimeSeconds < 0 || entry.mtimeSeconds > largestSize)
    records.push(['mtime', `${entry.mtimeSeconds}`])
  if (longName !== undefined) records.push(['path', longName])
  if (entry.size > largestSize) records.push(['size', `${entry.size}`])
  if (entry.uid > largestId) records.push(['uid', `${entry.uid}`])
  return Buffer.concat(records.map(([key, value]) => formatPaxRecord(key, value)))
}

function writePaxHeader(blocks: Buffer, fullName: Buffer, records: Buffer): void {
  encodeHeader(blocks, 0, {
    name: Buffer.concat([Buffer.from('PaxHeaders/'), fullName.subarray(-80)]).subarray(
      0,
      nameBytes,
    ),
    linkName: Buffer.alloc(0),
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: records.length,
    mtime: 0,
    typeFlag: 'x',
    deviceMajor: 0,
    deviceMinor: 0,
  })
  records.copy(blocks, blockSize)
}

/** Two blocks of zeros. */
export const endOfArchive: Buffer = Buffer.alloc(2 * blockSize)
