// Reads the database of rpm in the three forms that distributions of today and yesterday have: SQLite (rpmdb.sqlite), rpm's
// own (Packages.db) and Berkeley DB's hash (Packages). They come out of images, so nothing in them is believed.

import { DatabaseSync } from 'node:sqlite'
import { KauriError } from '../core/errors.ts'
import { parseRpmHeader, type RpmPackage } from './rpm-header.ts'

/** Every installed package; the signing keys that rpm keeps among them are left out. @throws ARCHIVE_INVALID */
export function parseRpmDatabase(database: Buffer): RpmPackage[] {
  const packages: RpmPackage[] = []
  let headerBytes = 0
  for (const header of headersOf(database)) {
    headerBytes += header.length
    if (headerBytes > database.length)
      throw new KauriError('ARCHIVE_INVALID', 'the rpm database names the same bytes many times')
    const found = parseRpmHeader(header)
    if (found !== undefined && found.name !== 'gpg-pubkey') packages.push(found)
  }
  return packages
}

function headersOf(database: Buffer): Iterable<Buffer> {
  if (database.toString('latin1', 0, 15) === 'SQLite format 3') return sqliteHeaders(database)
  if (database.length >= 32 && database.readUInt32LE(0) === ndbMagic) return ndbHeaders(database)
  if (database.length >= 512 && database.readUInt32LE(12) === hashMagic)
    return berkeleyHeaders(database)
  throw new KauriError('ARCHIVE_INVALID', 'the rpm database has a form that is not known here')
}

/** A schema from outside may hold views that never end, so that only a plain table is asked, with nothing of it trusted. */
function sqliteHeaders(bytes: Buffer): Buffer[] {
  const database = new DatabaseSync(':memory:')
  try {
    const copy = Buffer.from(bytes)
    // The file says that it has a write-ahead log, which an image's has not, and which memory cannot have.
    copy.set([1, 1], journalModeAt)
    database.deserialize(copy)
    database.enableDefensive(true)
    database.exec('PRAGMA trusted_schema=OFF; PRAGMA query_only=ON')
    const table = database
      .prepare("SELECT sql FROM sqlite_schema WHERE name = 'Packages' AND type = 'table'")
      .get()
    const isPlain =
      typeof table?.['sql'] === 'string' && !/GENERATED|VIRTUAL| AS /i.test(table['sql'])
    if (!isPlain) throw new Error('it has no table of packages')
    const rows = database.prepare('SELECT blob FROM Packages').all()
    return rows.flatMap(({ blob }) => (blob instanceof Uint8Array ? [Buffer.from(blob)] : []))
  } catch (error) {
    throw new KauriError('ARCHIVE_INVALID', 'the rpm database cannot be read', { cause: error })
  } finally {
    database.close()
  }
}

/** Which version of the file format may write, and which may read (sqlite.org/fileformat2.html section 1.3). */
const journalModeAt = 18

/** `RpmP`, `Slot` and `BlbS`, little-endian. */
const ndbMagic = 0x506d7052
const slotMagic = 0x746f6c53
const blobMagic = 0x53626c42
const slotBytes = 16
const ndbPageBytes = 4096
const blockBytes = 16
/** The first two slots are the file's own head. */
const headSlots = 2

/** Slots say where the blobs are, in blocks of 16 bytes; each blob has a head of one block. */
function* ndbHeaders(database: Buffer): Generator<Buffer> {
  const end = Math.min(database.readUInt32LE(12) * ndbPageBytes, database.length - slotBytes)
  for (let at = headSlots * slotBytes; at < end; at += slotBytes) {
    const index = database.readUInt32LE(at + 4)
    if (database.readUInt32LE(at) !== slotMagic || index === 0) continue
    const blob = database.readUInt32LE(at + 8) * blockBytes
    if (blob + blockBytes > database.length) continue
    if (database.readUInt32LE(blob) !== blobMagic || database.readUInt32LE(blob + 4) !== index)
      continue
    const start = blob + blockBytes
    yield database.subarray(start, start + database.readUInt32LE(blob + 12))
  }
}

const hashMagic = 0x061561
const pageHeadBytes = 26
const hashPages = new Set([2, 13])
const overflowPage = 7
/** A value that lies on pages of its own. */
const offPage = 3

/** Each page of the hash lists keys and values in turn; a header is longer than what fits on one, and lies elsewhere. */
function* berkeleyHeaders(database: Buffer): Generator<Buffer> {
  const pageBytes = database.readUInt32LE(20)
  if (pageBytes < 512 || pageBytes > 65_536) return
  const pages = Math.floor(database.length / pageBytes)
  for (let number = 1; number < pages; number++) {
    const page = database.subarray(number * pageBytes, (number + 1) * pageBytes)
    if (!hashPages.has(page[25] ?? 0)) continue
    const entries = Math.min(page.readUInt16LE(20), (pageBytes - pageHeadBytes) / 2)
    for (let entry = 1; entry < entries; entry += 2) {
      const at = page.readUInt16LE(pageHeadBytes + entry * 2)
      if (at + 12 > pageBytes || page[at] !== offPage) continue
      const [first, length] = [page.readUInt32LE(at + 4), page.readUInt32LE(at + 8)]
      yield overflowValue(database, { pageBytes, first, length })
    }
  }
}

function overflowValue(
  database: Buffer,
  { pageBytes, first, length }: { pageBytes: number; first: number; length: number },
): Buffer {
  const parts: Buffer[] = []
  const wanted = Math.min(length, database.length)
  let got = 0
  for (let number = first; number !== 0 && got < wanted; ) {
    const start = number * pageBytes
    const page = database.subarray(start, start + pageBytes)
    if (page.length < pageBytes || page[25] !== overflowPage) break
    const part = page.subarray(pageHeadBytes, pageHeadBytes + page.readUInt16LE(22))
    // A page without bytes could lead on for ever.
    if (part.length === 0) break
    parts.push(part)
    got += part.length
    number = page.readUInt32LE(16)
  }
  return Buffer.concat(parts).subarray(0, wanted)
}
