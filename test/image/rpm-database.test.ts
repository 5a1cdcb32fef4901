// The database of rpm in its three forms, made here byte by byte as rpm and Berkeley DB lay them out. The reader was held
// against what rpm 4.18 and db5.3_load write.

import { DatabaseSync } from 'node:sqlite'
import test from 'ava'
import { parseRpmDatabase } from '../../src/image/rpm-database.ts'
import { parseRpmHeader } from '../../src/image/rpm-header.ts'

interface Told {
  readonly name: string
  readonly version: string
  readonly release: string
  readonly epoch?: number
}

/** A header with these tags, and `more` bytes of something else before them. */
function headerOf({ name, version, release, epoch }: Told, more = 0): Buffer {
  const values: [number, number, Buffer][] = [
    [1004, 6, Buffer.from(`${'x'.repeat(more)}\0`)],
    [1000, 6, Buffer.from(`${name}\0`)],
    [1001, 6, Buffer.from(`${version}\0`)],
    [1002, 6, Buffer.from(`${release}\0`)],
  ]
  if (epoch !== undefined) {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(epoch)
    values.push([1003, 4, bytes])
  }
  const head = Buffer.alloc(8 + values.length * 16)
  let offset = 0
  for (const [at, [tag, type, bytes]] of values.entries()) {
    for (const [field, value] of [tag, type, offset, 1].entries())
      head.writeUInt32BE(value, 8 + at * 16 + field * 4)
    offset += bytes.length
  }
  head.writeUInt32BE(values.length, 0)
  head.writeUInt32BE(offset, 4)
  return Buffer.concat([head, ...values.map(([, , bytes]) => bytes)])
}

const headers = [
  headerOf({ name: 'bash', version: '5.2', release: '1.fc40' }, 10_000),
  headerOf({ name: 'vim', version: '9.1', release: '2', epoch: 2 }),
  headerOf({ name: 'gpg-pubkey', version: 'a', release: 'b' }),
]
const packages = [
  { name: 'bash', version: '5.2-1.fc40' },
  { name: 'vim', version: '2:9.1-2' },
]

function sqliteOf(schema: string, rows: readonly Buffer[]): Buffer {
  const database = new DatabaseSync(':memory:')
  database.exec(schema)
  for (const row of rows) database.prepare('INSERT INTO Packages (blob) VALUES (?)').run(row)
  return Buffer.from(database.serialize())
}

const table = 'CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)'

function ndbOf(blobs: readonly Buffer[]): Buffer {
  const file = Buffer.alloc(4096)
  file.write('RpmP', 0)
  file.writeUInt32LE(1, 12)
  const parts: Buffer[] = [file]
  let block = 4096 / 16
  for (const [at, blob] of blobs.entries()) {
    const slot = 32 + at * 16
    file.write('Slot', slot)
    file.writeUInt32LE(at + 1, slot + 4)
    file.writeUInt32LE(block, slot + 8)
    const head = Buffer.alloc(16)
    head.write('BlbS', 0)
    head.writeUInt32LE(at + 1, 4)
    head.writeUInt32LE(blob.length, 12)
    const padded = Buffer.alloc(Math.ceil((blob.length + 12) / 16) * 16)
    blob.copy(padded)
    parts.push(head, padded)
    block += 1 + padded.length / 16
  }
  return Buffer.concat(parts)
}

const pageBytes = 4096

function berkeleyOf(blobs: readonly Buffer[]): Buffer {
  const meta = Buffer.alloc(pageBytes)
  meta.writeUInt32LE(0x061561, 12)
  meta.writeUInt32LE(pageBytes, 20)
  const list = Buffer.alloc(pageBytes)
  list[25] = 13
  list.writeUInt16LE(blobs.length * 2, 20)
  const pages = [meta, list]
  for (const [at, blob] of blobs.entries()) {
    const [key, value] = [pageBytes - 20 * (at + 1), pageBytes - 20 * (at + 1) + 8]
    list.writeUInt16LE(key, 26 + at * 4)
    list.writeUInt16LE(value, 28 + at * 4)
    list[key] = 1
    list[value] = 3
    list.writeUInt32LE(pages.length, value + 4)
    list.writeUInt32LE(blob.length, value + 8)
    const room = pageBytes - 26
    for (let from = 0; from < blob.length; from += room) {
      const part = blob.subarray(from, from + room)
      const page = Buffer.alloc(pageBytes)
      page[25] = 7
      page.writeUInt16LE(part.length, 22)
      page.writeUInt32LE(from + room < blob.length ? pages.length + 1 : 0, 16)
      part.copy(page, 26)
      pages.push(page)
    }
  }
  return Buffer.concat(pages)
}

const forms: readonly [string, Buffer][] = [
  ['SQLite', sqliteOf(table, headers)],
  ['rpm’s own', ndbOf(headers)],
  ['Berkeley DB', berkeleyOf(headers)],
]
for (const [name, database] of forms) {
  test(`a database of ${name} tells names and versions, and no keys`, t => {
    t.deepEqual(parseRpmDatabase(database), packages)
  })

  test(`a damaged database of ${name} ends in an error or tells less, and never hangs`, t => {
    for (let seed = 1; seed < 400; seed++) {
      const damaged = Buffer.from(database)
      // Places all over the file, most of them in the heads of its parts.
      for (let times = 0; times < 8; times++) {
        const at = (seed * 7919 + times * 104_729) % (times < 4 ? 128 : damaged.length)
        damaged[at] = (seed * 31 + times * 17) % 256
      }
      const cut = damaged.subarray(0, seed % 5 === 0 ? (seed * 613) % damaged.length : undefined)
      try {
        t.true(parseRpmDatabase(cut).length < 100)
      } catch (error) {
        t.like(error, { code: 'ARCHIVE_INVALID' })
      }
    }
  })
}

test('a view that never ends is not asked for packages', t => {
  const endless = `CREATE VIEW Packages AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i AS blob FROM n`
  t.throws(() => parseRpmDatabase(sqliteOf(endless, [])), { code: 'ARCHIVE_INVALID' })
})

test('pages that lead in a circle end', t => {
  const database = berkeleyOf([headers[0] ?? Buffer.alloc(0)])
  database.writeUInt32LE(2, 2 * pageBytes + 16)
  t.notThrows(() => parseRpmDatabase(database))
})

test('what is no header is no package', t => {
  const whole = headerOf({ name: 'a', version: '1', release: '1' })
  t.is(parseRpmHeader(Buffer.alloc(0)), undefined)
  t.is(parseRpmHeader(whole.subarray(0, -1)), undefined)
  t.is(parseRpmHeader(Buffer.alloc(64, 0xff)), undefined)
  t.deepEqual(parseRpmHeader(whole), { name: 'a', version: '1-1' })
})
