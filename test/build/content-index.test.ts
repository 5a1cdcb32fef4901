// What is known of files by their numbers: found again, never believed where it could be wrong.

import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { memoryIndex, openContentIndex } from '../../src/build/content-index.ts'
import { type ContentRecords, contentRecords } from '../../src/build/content-records.ts'
import type { SourceEntry } from '../../src/build/source-entry.ts'
import { sourceTree } from '../../src/build/source-tree.ts'
import { makeScratch } from '../helpers/scratch.ts'

const entryOf = (more: Partial<SourceEntry> = {}): SourceEntry => ({
  name: 'f',
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  sizeBytes: 5 * 2 ** 32 + 7,
  mtimeSeconds: 1_700_000_000,
  mtimeNanoseconds: 999_999_999,
  ctimeSeconds: 1_700_000_001,
  ctimeNanoseconds: 5,
  links: 1,
  inodeHigh: 3,
  inodeLow: 4_000_000_000,
  dev: 65_024,
  deviceMajor: 0,
  deviceMinor: 0,
  ...more,
})

const reopened = (records: ContentRecords): ContentRecords => contentRecords(bytesOf(records))

const bytesOf = (records: ContentRecords): Buffer => Buffer.concat([...records.format()])

const content = (letter: string): { digest: string; hasXattrs: boolean } => ({
  digest: letter.repeat(32),
  hasXattrs: letter === '\xff',
})

for (const [what, more] of Object.entries({
  size: { sizeBytes: 7 },
  inode: { inodeLow: 1 },
  'upper half of the inode': { inodeHigh: 0 },
  'modification time': { mtimeSeconds: -1 },
  'modification time in nanoseconds': { mtimeNanoseconds: 0 },
  'change time': { ctimeSeconds: 0 },
  'change time in nanoseconds': { ctimeNanoseconds: 6 },
  mode: { mode: 0o755 },
  'file system': { dev: 1 },
}))
  test(`a file with another ${what} is another file`, t => {
    const records = contentRecords()
    records.add(entryOf(), content('a'), true)
    t.is(records.find(entryOf(more)), undefined)
    records.add(entryOf(more), content('b'), true)
    t.is(records.find(entryOf(more))?.digest, 'b'.repeat(32))
    t.is(records.find(entryOf())?.digest, 'a'.repeat(32))
    const again = reopened(records)
    t.is(again.find(entryOf(more))?.digest, 'b'.repeat(32))
    t.is(again.find(entryOf())?.digest, 'a'.repeat(32))
  })

test('every record of a large table is found again, and bytes of digests stay as they are', t => {
  const records = contentRecords()
  const letterOf = (index: number): string => String.fromCharCode(index % 256)
  const count = 70_000
  for (let index = 0; index < count; index++)
    records.add(entryOf({ inodeLow: index }), content(letterOf(index)), true)
  for (const table of [records, reopened(records)]) {
    const wrong = Array.from({ length: count }, (_, index) => index).filter(index => {
      const found = table.find(entryOf({ inodeLow: index }))
      return (
        found?.digest !== letterOf(index).repeat(32) || found.hasXattrs !== (index % 256 === 255)
      )
    })
    t.deepEqual(wrong, [])
  }
})

test('what is not to be kept is not written', t => {
  const records = contentRecords()
  records.add(entryOf(), content('a'), false)
  t.false(records.hasNews())
  t.is(reopened(records).find(entryOf()), undefined)
})

test('what nobody uses is forgotten in the end, what somebody uses is not', t => {
  let records = contentRecords()
  records.add(entryOf(), content('a'), true)
  records.add(entryOf({ inodeLow: 1 }), content('b'), true)
  for (let round = 0; round < 50; round++) {
    records = reopened(records)
    records.find(entryOf())
  }
  t.truthy(records.find(entryOf()))
  t.is(records.find(entryOf({ inodeLow: 1 })), undefined)
})

test('a file that is not whole, or changed in any byte, is an empty table', t => {
  const records = contentRecords()
  records.add(entryOf(), content('a'), true)
  const whole = bytesOf(records)
  t.truthy(contentRecords(Buffer.from(whole)).find(entryOf()))
  for (let at = 0; at < whole.length; at++) {
    const broken = Buffer.from(whole)
    broken[at] = (broken[at] ?? 0) ^ 1
    t.is(contentRecords(broken).find(entryOf()), undefined, String(at))
  }
  for (const size of [0, 4, 39, 40, whole.length - 1])
    t.is(contentRecords(whole.subarray(0, size)).find(entryOf()), undefined)
})

/** A directory whose files were made long ago: this checkout's. */
const settled = path.join(import.meta.dirname, '..', '..', 'src', 'core')

test('files that settled are known to the next build', async t => {
  using scratch = makeScratch()
  const fd = openSync(settled, constants.O_DIRECTORY)
  try {
    const [entry] = sourceTree(fd, { name: '', keepsOwners: false }).list('')
    if (entry === undefined) throw new Error('the directory is empty')
    const first = openContentIndex(scratch.path, fd)
    if (!first.isFirm(entry)) {
      t.pass('the checkout is on a file system without firm times')
      return
    }
    first.keep(entry, content('a'))
    await first.save()
    t.is(openContentIndex(scratch.path, fd).find(entry)?.digest, 'a'.repeat(32))
  } finally {
    closeSync(fd)
  }
})

test('a file that changed just before it was read is not kept', async t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('f'), 'new')
  const fd = openSync(scratch.path, constants.O_DIRECTORY)
  try {
    const [entry] = sourceTree(fd, { name: '', keepsOwners: false }).list('')
    if (entry === undefined) throw new Error('the directory is empty')
    const dataRoot = scratch.at('data')
    const changedMs = entry.ctimeSeconds * 1000 + entry.ctimeNanoseconds / 1e6
    const index = openContentIndex(dataRoot, fd, changedMs + 50)
    index.keep(entry, content('a'))
    t.false(index.isFirm(entry))
    t.truthy(index.find(entry))
    await index.save()
    t.false(existsSync(path.join(dataRoot, 'cache', 'contexts')))
    t.is(openContentIndex(dataRoot, fd).find(entry), undefined)
    // Times without a fraction may be those of a file system that has only seconds.
    const later = openContentIndex(dataRoot, fd, entry.ctimeSeconds * 1000 + 1500)
    t.false(later.isFirm({ ...entry, ctimeNanoseconds: 0 }))
  } finally {
    closeSync(fd)
  }
})

test('a broken index on disk is as none, and is replaced', async t => {
  using scratch = makeScratch()
  const fd = openSync(settled, constants.O_DIRECTORY)
  try {
    const [entry] = sourceTree(fd, { name: '', keepsOwners: false }).list('')
    if (entry === undefined) throw new Error('the directory is empty')
    const first = openContentIndex(scratch.path, fd)
    if (!first.isFirm(entry)) {
      t.pass('the checkout is on a file system without firm times')
      return
    }
    first.keep(entry, content('a'))
    await first.save()
    const directory = scratch.at('cache', 'contexts')
    const file = path.join(directory, readdirSync(directory)[0] ?? '')
    writeFileSync(file, readFileSync(file).subarray(3))
    const second = openContentIndex(scratch.path, fd)
    t.is(second.find(entry), undefined)
    second.keep(entry, content('b'))
    await second.save()
    t.is(openContentIndex(scratch.path, fd).find(entry)?.digest, 'b'.repeat(32))
  } finally {
    closeSync(fd)
  }
})

test('an index in memory finds what it was told', async t => {
  const index = memoryIndex()
  index.keep(entryOf(), content('a'))
  t.truthy(index.find(entryOf()))
  await t.notThrowsAsync(index.save())
})
