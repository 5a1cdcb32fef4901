import { execFileSync } from 'node:child_process'
import { truncateSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { type ArchiveLimits, defaultArchiveLimits } from '../../src/layer/layer.ts'
import type { TarEntry } from '../../src/layer/tar-entry.ts'
import { TarReader } from '../../src/layer/tar-reader.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { paxEntry, rawEntry, tarOf } from '../helpers/tar.ts'

interface ReadEntry extends Pick<TarEntry, 'path' | 'type' | 'size'> {
  readonly entry: TarEntry
  /** The whole file, holes filled. */
  readonly content: Buffer
  /** Bytes that were stored. */
  readonly storedBytes: number
}

function readTar(
  tar: Buffer,
  {
    pieceBytes = tar.length,
    limits = {},
  }: { pieceBytes?: number; limits?: Partial<ArchiveLimits> } = {},
): ReadEntry[] {
  const entries: ReadEntry[] = []
  let content = Buffer.alloc(0)
  let storedBytes = 0
  const reader = new TarReader(
    {
      onEntry: entry => {
        content = Buffer.alloc(entry.size)
        storedBytes = 0
      },
      onData: (bytes, offset) => {
        bytes.copy(content, offset)
        storedBytes += bytes.length
      },
      onEntryEnd: entry => {
        const { path, type, size } = entry
        entries.push({ path, type, size, entry, content, storedBytes })
      },
    },
    { archive: 'test.tar', limits: { ...defaultArchiveLimits, ...limits } },
  )
  for (let at = 0; at < tar.length; at += pieceBytes)
    reader.write(tar.subarray(at, at + pieceBytes))
  reader.end()
  return entries
}

const sample = tarOf(
  { name: './', type: '5' },
  { name: './a', body: 'content' },
  { name: 'empty', body: '' },
  { name: 'dir/', type: '5' },
  { name: 'dir/link', type: '2', link: '../a' },
  { name: 'dir/hard', type: '1', link: './a' },
  { name: 'dir/block', body: 'x'.repeat(512) },
  paxEntry({ path: 'dir/é', size: '3', uid: '3000000', mtime: '-1.5' }),
  { name: 'short', body: 'abc', size: 0 },
  { name: 'null', type: '3', major: 1, minor: 3 },
  { name: 'fifo', type: '6' },
)

const sampleEntries = [
  { path: '.', type: 'directory', size: 0 },
  { path: 'a', type: 'file', size: 7 },
  { path: 'empty', type: 'file', size: 0 },
  { path: 'dir', type: 'directory', size: 0 },
  { path: 'dir/link', type: 'symlink', size: 0 },
  { path: 'dir/hard', type: 'link', size: 0 },
  { path: 'dir/block', type: 'file', size: 512 },
  { path: 'dir/é', type: 'file', size: 3 },
  { path: 'null', type: 'character', size: 0 },
  { path: 'fifo', type: 'fifo', size: 0 },
] as const

for (const pieceBytes of [1, 7, 511, 512, 513, 100_000])
  test(`pieces of ${pieceBytes} bytes are read alike`, t => {
    const entries = readTar(sample, { pieceBytes })
    t.deepEqual(
      entries.map(({ path, type, size }) => ({ path, type, size })),
      [...sampleEntries],
    )
    t.is(entries[1]?.content.toString(), 'content')
    t.is(entries[4]?.entry.linkTarget, '../a')
    t.is(entries[5]?.entry.linkTarget, 'a')
    t.is(entries[7]?.content.toString(), 'abc')
    t.like(entries[7]?.entry, { uid: 3_000_000, mtimeSeconds: -2, mtimeNanoseconds: 500_000_000 })
    t.like(entries[8]?.entry, { deviceMajor: 1, deviceMinor: 3 })
  })

test('an archive that is cut short is refused wherever the cut is', t => {
  const end = sample.length - 1024
  for (let cut = 1; cut < end; cut += 97) {
    if (cut % 512 === 0) continue
    const error = t.throws(() => readTar(sample.subarray(0, cut)), { code: 'ARCHIVE_INVALID' })
    t.regex(error?.message ?? '', /cut short \(at byte \d+/)
  }
})

test('a cut says which entry it is in', t => {
  const tar = tarOf({ name: 'etc/big', body: 'x'.repeat(5000) })
  const error = t.throws(() => readTar(tar.subarray(0, 2000)))
  t.is(error?.message, 'test.tar: the archive is cut short (at byte 2000, entry "etc/big")')
})

test('an archive without its two blocks of zeros is whole, as long as no entry is cut', t => {
  t.is(readTar(sample.subarray(0, -1024)).length, sampleEntries.length)
})

test('what follows the end of the archive is padding', t => {
  t.is(readTar(Buffer.concat([sample, Buffer.from('anything')])).length, sampleEntries.length)
})

test('an extended header without an entry is a cut', t => {
  t.throws(() => readTar(paxEntry({ path: 'a' })), { message: /cut short/ })
})

const broken: readonly { readonly title: string; readonly tar: Buffer; readonly why: RegExp }[] = [
  { title: 'nothing', tar: Buffer.alloc(0), why: /nothing in it/ },
  { title: 'a text', tar: Buffer.from('hello '.repeat(200)), why: /checksum/ },
  {
    title: 'one block of zeros between entries',
    tar: Buffer.concat([rawEntry({ name: 'a' }), Buffer.alloc(512), rawEntry({ name: 'b' })]),
    why: /follows a single block of zeros/,
  },
  { title: 'an unknown type', tar: tarOf({ name: 'a', type: 'Z' }), why: /unknown type "Z"/ },
  {
    title: 'the rest of another volume',
    tar: tarOf({ name: 'a', type: 'M' }),
    why: /unknown type/,
  },
  { title: 'no name', tar: tarOf({ name: '' }), why: /empty name/ },
  {
    title: 'an empty pax size',
    tar: tarOf(paxEntry({ size: '-1' }), { name: 'a' }),
    why: /no number/,
  },
  { title: 'a link to nothing', tar: tarOf({ name: 'a', type: '2' }), why: /no target/ },
  {
    title: 'a name with NUL',
    tar: tarOf(paxEntry({ path: 'a\0b' }), { name: 'a' }),
    why: /NUL/,
  },
  {
    title: 'a hard link out of the root',
    tar: tarOf({ name: 'a', type: '1', link: '../../etc/shadow' }),
    why: /leads out of the root/,
  },
  {
    title: 'a broken pax record',
    tar: tarOf({ name: 'x', type: 'x', body: '99 a=b\n' }),
    why: /wrong length/,
  },
  {
    title: 'a broken xattr name',
    tar: tarOf(paxEntry({ 'LIBARCHIVE.xattr.%zz': '' }), { name: 'a' }),
    why: /no name of an extended attribute/,
  },
]

for (const { title, tar, why } of broken)
  test(`refused: ${title}`, t => {
    t.throws(() => readTar(tar), { code: 'ARCHIVE_INVALID', message: why })
  })

const limited: readonly {
  readonly title: string
  readonly tar: Buffer
  readonly limits: Partial<ArchiveLimits>
}[] = [
  { title: 'entries', tar: tarOf({ name: 'a' }, { name: 'b' }), limits: { maxEntries: 1 } },
  { title: 'bytes of a path', tar: tarOf({ name: 'ééé' }), limits: { maxPathBytes: 5 } },
  { title: 'depth', tar: tarOf({ name: 'a/b/c' }), limits: { maxDepth: 2 } },
  {
    title: 'bytes of an extended header',
    tar: tarOf(paxEntry({ comment: 'x'.repeat(600) }), { name: 'a' }),
    limits: { maxHeaderBytes: 512 },
  },
  {
    title: 'bytes in all',
    tar: tarOf({ name: 'a', body: 'x'.repeat(100) }),
    limits: { maxTotalBytes: 99 },
  },
  {
    title: 'bytes of holes',
    tar: tarOf(
      paxEntry({ 'GNU.sparse.numblocks': '0', 'GNU.sparse.map': '', 'GNU.sparse.size': '1000000' }),
      { name: 'a' },
    ),
    limits: { maxTotalBytes: 99_999 },
  },
]

for (const { title, tar, limits } of limited)
  test(`too much is refused: ${title}`, t => {
    t.notThrows(() => readTar(tar))
    t.throws(() => readTar(tar, { limits }), { code: 'ARCHIVE_INVALID' })
  })

test('an extended header that claims a terabyte is refused before it is read', t => {
  const tar = rawEntry({ name: 'x', type: 'x', size: 2 ** 32 })
  t.throws(() => readTar(tar), {
    message: /extended headers of an entry are 4294967296 bytes long/,
  })
})

test('a row of extended headers is limited as a whole', t => {
  const row = Array.from({ length: 5 }, () => paxEntry({ comment: 'x'.repeat(400_000) }))
  t.throws(() => readTar(tarOf(...row, { name: 'a' })), { message: /extended headers of an entry/ })
  const apart = row.flatMap(pax => [pax, rawEntry({ name: 'a' })])
  t.is(readTar(tarOf(...apart)).length, 5)
})

test('records for all entries are limited', t => {
  const records = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`key${i}`, 'x']))
  t.throws(() => readTar(tarOf(paxEntry(records, 'g'), { name: 'a' })), {
    message: /more than 100 records/,
  })
})

test('the pax size decides where the next header is (CVE-2025-62518)', t => {
  const hidden = tarOf({ name: 'hidden', body: 'smuggled' }).subarray(0, 1024)
  const tar = tarOf(
    paxEntry({ size: `${hidden.length}` }),
    { name: 'a', body: hidden, size: 0 },
    { name: 'b' },
  )
  t.deepEqual(
    readTar(tar).map(({ path }) => path),
    ['a', 'b'],
  )
})

test('the size of what has no data counts for nothing', t => {
  const tar = tarOf(
    { name: 'd', type: '5', size: 4096 },
    { name: 'l', type: '1', link: 'd', size: 99 },
    { name: 'b' },
  )
  t.deepEqual(
    readTar(tar).map(({ path, size }) => [path, size]),
    [
      ['d', 0],
      ['l', 0],
      ['b', 0],
    ],
  )
})

test("a v7 directory is known by its slash, a newer file's slash means nothing", t => {
  const tar = tarOf(
    { name: 'd/', type: '\0' },
    { name: 'f/', type: '0' },
    { name: 'g', type: '\0' },
  )
  t.deepEqual(
    readTar(tar).map(({ path, type }) => [path, type]),
    [
      ['d', 'directory'],
      ['f', 'file'],
      ['g', 'file'],
    ],
  )
})

test('global records stand for all entries until others replace them', t => {
  const tar = tarOf(
    paxEntry({ uid: '7', comment: 'x' }, 'g'),
    { name: 'a' },
    paxEntry({ uid: '8' }),
    { name: 'b' },
    { name: 'c' },
    paxEntry({ uid: '9' }, 'g'),
    { name: 'd' },
  )
  t.deepEqual(
    readTar(tar).map(({ entry }) => entry.uid),
    [7, 8, 7, 9],
  )
})

test("GNU's long names win over pax ones, as in docker's reader", t => {
  const tar = tarOf(
    { name: '././@LongLink', type: 'L', body: 'gnu\0' },
    paxEntry({ path: 'pax' }),
    { name: 'a' },
  )
  t.is(readTar(tar)[0]?.path, 'gnu')
})

test('extended attributes come as SCHILY bytes or as LIBARCHIVE base64', t => {
  const value = Buffer.from([1, 0, 0, 2, 10])
  const tar = tarOf(
    paxEntry({
      'SCHILY.xattr.security.capability': value,
      'LIBARCHIVE.xattr.user.%C3%A9': value.toString('base64'),
      'LIBARCHIVE.xattr.security.capability': 'AAAA',
    }),
    { name: 'a' },
    { name: 'b' },
  )
  const [a, b] = readTar(tar)
  t.deepEqual(Object.fromEntries(a?.entry.xattrs ?? []), {
    'security.capability': value,
    'user.é': value,
  })
  t.is(b?.entry.xattrs.size, 0)
})

/** A small generator with a seed (xorshift), so that a failure can be repeated. */
function random(seed: number): (limit: number) => number {
  let state = seed
  return limit => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
}

/** Puts right checksums where the bytes would be headers, so that changes get behind the first check. */
function signAll(tar: Buffer): void {
  for (let at = 0; at + 512 <= tar.length; at += 512) {
    if (!tar.subarray(at + 257, at + 262).equals(Buffer.from('ustar'))) continue
    tar.write('        ', at + 148)
    const sum = tar.subarray(at, at + 512).reduce((total, byte) => total + byte, 0)
    tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148)
  }
}

test('changed archives are read or refused, and nothing else happens', t => {
  const next = random(42)
  const ignore = { onEntry: () => {}, onData: () => {}, onEntryEnd: () => {} }
  const options = { archive: 'fuzz', limits: { ...defaultArchiveLimits, maxTotalBytes: 1e9 } }
  const seed = Buffer.concat([
    sample.subarray(0, -1024),
    tarOf(
      paxEntry({ 'GNU.sparse.map': '0,1', 'GNU.sparse.numblocks': '1', 'GNU.sparse.size': '9' }),
      { name: 'sparse', body: 'a' },
      { name: 'long', type: 'L', body: 'name\0' },
      { name: 'x', body: 'y' },
    ),
  ])
  let refused = 0
  for (let round = 0; round < 5000; round++) {
    const tar = Buffer.from(seed)
    for (let i = 0; i <= next(6); i++)
      tar[next(tar.length)] = next(3) === 0 ? 0x30 + next(8) : next(256)
    signAll(tar)
    const reader = new TarReader(ignore, options)
    try {
      reader.write(tar.subarray(0, next(tar.length)))
      reader.end()
    } catch (error) {
      refused++
      if (!(error instanceof KauriError) || error.code !== 'ARCHIVE_INVALID') throw error
    }
  }
  t.true(refused > 1000 && refused < 5000)
})

const badMaps = [
  { title: 'overlapping', map: '0,2,1,1' },
  { title: 'out of order', map: '5,1,0,2' },
  { title: 'beyond the end', map: '0,2,99,1' },
  { title: 'shorter than the data', map: '0,1,2,1' },
] as const

for (const { title, map } of badMaps)
  test(`a sparse map that is ${title} is refused`, t => {
    const pax = { 'GNU.sparse.map': map, 'GNU.sparse.numblocks': '2', 'GNU.sparse.size': '50' }
    t.throws(() => readTar(tarOf(paxEntry(pax), { name: 'a', body: 'abc' })), {
      code: 'ARCHIVE_INVALID',
      message: /map of a sparse file/,
    })
  })

test('a sparse map in the data that never ends is refused', t => {
  const pax = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9' }
  const tar = tarOf(paxEntry(pax), { name: 'a', body: `1000000\n${'1\n'.repeat(1000)}` })
  t.throws(() => readTar(tar), { message: /map of a sparse file is cut short/ })
  const long = tarOf(paxEntry(pax), { name: 'a', body: `9999999\n${'1\n'.repeat(600_000)}` })
  t.throws(() => readTar(long), { message: /longer than 1048576 bytes/ })
})

/** A file with data at its start, in its middle and at its end, and holes between. */
function makeSparse(scratch: Scratch, extents: number): Buffer {
  const size = 200 * 4096
  const content = Buffer.alloc(size)
  writeFileSync(scratch.at('sparse'), '')
  truncateSync(scratch.at('sparse'), size)
  const script = ['import os', "fd = os.open('sparse', os.O_WRONLY)"]
  for (let i = 0; i < extents; i++) {
    const offset = i * 2 * 4096
    content.fill(65 + (i % 26), offset, offset + 4096)
    script.push(`os.pwrite(fd, b'${String.fromCodePoint(65 + (i % 26))}' * 4096, ${offset})`)
  }
  execFileSync('python3', ['-c', script.join('\n')], { cwd: scratch.path })
  return content
}

const sparseForms = [
  ['gnu', ['--format=gnu']],
  ['pax 0.0', ['--format=posix', '--sparse-version=0.0']],
  ['pax 0.1', ['--format=posix', '--sparse-version=0.1']],
  ['pax 1.0', ['--format=posix', '--sparse-version=1.0']],
] as const

for (const [form, options] of sparseForms)
  for (const extents of [0, 1, 3, 60])
    testWith({ programs: ['tar', 'python3'] })(
      `a sparse file of GNU tar is read: ${form}, ${extents} extents`,
      t => {
        using scratch = makeScratch()
        const content = makeSparse(scratch, extents)
        const tar = execFileSync('tar', ['-cS', ...options, 'sparse'], { cwd: scratch.path })
        const [entry] = readTar(tar, { pieceBytes: 1000 })
        t.is(entry?.path, 'sparse')
        t.is(entry?.size, content.length)
        t.true(entry?.content.equals(content))
        t.true((entry?.storedBytes ?? Infinity) <= Math.max(extents, 1) * 4096)
      },
    )

const longName = `${'d'.repeat(120)}/${'f'.repeat(200)}`

for (const format of ['v7', 'oldgnu', 'gnu', 'ustar', 'posix'])
  testWith({ programs: ['tar'] })(`an archive of GNU tar is read: ${format}`, t => {
    using scratch = makeScratch()
    const name = format === 'v7' || format === 'ustar' ? 'a-file' : longName
    const target = format === 'v7' || format === 'ustar' ? 'target' : 't'.repeat(300)
    execFileSync(
      'sh',
      [
        '-c',
        'mkdir -p "$(dirname "$1")" && echo content > "$1" && ln -s "$2" link && touch -d @-100 "$1"',
        'sh',
        name,
        target,
      ],
      {
        cwd: scratch.path,
      },
    )
    const ids = format === 'v7' || format === 'ustar' ? '1000' : '5000000'
    const times = format === 'v7' || format === 'ustar' ? ['--mtime=@100'] : []
    const tar = execFileSync(
      'tar',
      ['-c', `--format=${format}`, `--owner=:${ids}`, `--group=:${ids}`, ...times, name, 'link'],
      {
        cwd: scratch.path,
      },
    )
    const [file, link] = readTar(tar)
    t.like(file, { path: name, type: 'file', size: 8 })
    t.is(file?.content.toString(), 'content\n')
    t.like(file?.entry, {
      uid: Number(ids),
      gid: Number(ids),
      mtimeSeconds: times.length === 0 ? -100 : 100,
    })
    t.is(link?.entry.linkTarget, target)
  })

testWith({ programs: ['tar'] })('a GNU volume label is passed over', t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('a'), 'x')
  const tar = execFileSync('tar', ['-c', '-V', 'label', 'a'], { cwd: scratch.path })
  t.deepEqual(
    readTar(tar).map(({ path }) => path),
    ['a'],
  )
})
