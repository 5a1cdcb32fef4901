import {
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import test from 'ava'
import { applyWhilePassing } from '../../src/layer/apply-tar.ts'
import type { TarEntry } from '../../src/layer/tar-entry.ts'
import { oPath } from '../../src/native/in-root.ts'
import { native } from '../../src/native/native.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import {
  applyTo,
  collect,
  inPieces,
  listTree,
  openBelow,
  type RawEntry,
  tarOf,
} from '../helpers/tar.ts'

const asRoot = testWith({ root: true })

test('an archive says what it held', async t => {
  using scratch = makeScratch()
  const tar = tarOf(
    { name: 'a/', type: '5', mtime: 50 },
    { name: 'a/file', body: 'content', mtime: 70 },
    { name: 'a/link', type: '2', link: 'file', mtime: 60 },
  )
  t.deepEqual(await applyTo(scratch.path, tar), { entries: 3, bytes: 7, newestMtimeSeconds: 70 })
})

test('directories get their times after all that is in them, also where they come first', async t => {
  using scratch = makeScratch()
  const tar = tarOf(
    { name: './', type: '5', mode: 0o710, mtime: 10 },
    { name: 'a/', type: '5', mode: 0o500, mtime: 20 },
    { name: 'a/b/', type: '5', mtime: 30 },
    { name: 'a/b/c', body: 'x', mtime: 40 },
  )
  await applyTo(scratch.path, tar)
  t.deepEqual(
    ['.', 'a', 'a/b', 'a/b/c'].map(name => native().statFile(scratch.at(name)).mtimeSeconds),
    [10, 20, 30, 40],
  )
  t.is(lstatSync(scratch.path).mode & 0o7777, 0o710)
  t.is(lstatSync(scratch.at('a')).mode & 0o7777, 0o500)
})

test('a directory that no entry announces is made, and looks the same each time', async t => {
  using scratch = makeScratch()
  await applyTo(scratch.path, tarOf({ name: 'x/y/z', body: '', mtime: 77 }))
  t.like(native().statFile(scratch.at('x', 'y')), { mode: 0o040755, mtimeSeconds: 77 })
})

test('a later announcement of such a directory counts', async t => {
  using scratch = makeScratch()
  const tar = tarOf({ name: 'x/y', body: '' }, { name: 'x', type: '5', mode: 0o711, mtime: 5 })
  await applyTo(scratch.path, tar)
  t.like(native().statFile(scratch.at('x')), { mode: 0o040711, mtimeSeconds: 5 })
})

const replacements: readonly {
  readonly title: string
  readonly entries: readonly RawEntry[]
  readonly want: string
}[] = [
  {
    title: 'file by file',
    entries: [
      { name: 'x', body: 'first one' },
      { name: 'x', body: '2' },
    ],
    want: 'file 2',
  },
  {
    title: 'directory with contents by file',
    entries: [
      { name: 'x', type: '5' },
      { name: 'x/y/z', body: '' },
      { name: 'x', body: '2' },
    ],
    want: 'file 2',
  },
  {
    title: 'file by directory',
    entries: [
      { name: 'x', body: '1' },
      { name: 'x', type: '5' },
    ],
    want: 'directory',
  },
  {
    title: 'link by directory',
    entries: [
      { name: 'd', type: '5' },
      { name: 'x', type: '2', link: 'd' },
      { name: 'x', type: '5' },
    ],
    want: 'directory',
  },
  {
    title: 'link by file',
    entries: [
      { name: 'd', body: 'd' },
      { name: 'x', type: '2', link: 'd' },
      { name: 'x', body: '2' },
    ],
    want: 'file 2',
  },
  {
    title: 'file by link',
    entries: [
      { name: 'x', body: '1' },
      { name: 'x', type: '2', link: 'd' },
    ],
    want: 'link d',
  },
  {
    title: 'file by fifo',
    entries: [
      { name: 'x', body: '1' },
      { name: 'x', type: '6' },
    ],
    want: 'other',
  },
  {
    title: 'file by hard link',
    entries: [
      { name: 'd', body: 'd' },
      { name: 'x', body: '1' },
      { name: 'x', type: '1', link: 'd' },
    ],
    want: 'file d',
  },
  {
    title: 'file by a hard link to itself',
    entries: [
      { name: 'x', body: '1' },
      { name: 'x', type: '1', link: './x' },
    ],
    want: 'file 1',
  },
]

for (const { title, entries, want } of replacements)
  test(`the later of two entries counts: ${title}`, async t => {
    using scratch = makeScratch()
    await applyTo(scratch.path, tarOf(...entries))
    const stat = lstatSync(scratch.at('x'))
    const found = stat.isFile()
      ? `file ${readFileSync(scratch.at('x'), 'utf8')}`
      : stat.isSymbolicLink()
        ? `link ${readlinkSync(scratch.at('x'))}`
        : stat.isDirectory()
          ? 'directory'
          : 'other'
    t.is(found, want)
  })

test('what replaces a file does not write into its other names', async t => {
  using scratch = makeScratch()
  const tar = tarOf(
    { name: 'a', body: 'a' },
    { name: 'b', type: '1', link: 'a' },
    { name: 'b', body: 'changed' },
  )
  await applyTo(scratch.path, tar)
  t.is(readFileSync(scratch.at('a'), 'utf8'), 'a')
})

test('a directory that was replaced is found anew, not where it was', async t => {
  using scratch = makeScratch()
  const tar = tarOf(
    { name: 'a/', type: '5', mtime: 1 },
    { name: 'a/sub/', type: '5', mode: 0o700, mtime: 2 },
    { name: 'a/sub/x', body: 'x' },
    { name: 'real/', type: '5' },
    { name: 'real/sub/', type: '5', mode: 0o755, mtime: 3 },
    { name: 'a', type: '2', link: 'real' },
    { name: 'a/sub/y', body: 'y' },
  )
  await applyTo(scratch.path, tar)
  t.deepEqual(readdirSync(scratch.at('real', 'sub')), ['y'])
  t.is(readlinkSync(scratch.at('a')), 'real')
  // What was said of the old a/sub is not said of what the link leads to.
  t.like(native().statFile(scratch.at('real', 'sub')), { mode: 0o040755, mtimeSeconds: 3 })
})

for (const directories of ['replace', 'follow', 'keep'] as const)
  test(`existing directories and links to them: ${directories}`, async t => {
    using scratch = makeScratch()
    mkdirSync(scratch.at('usr', 'bin'), { recursive: true })
    mkdirSync(scratch.at('etc'), { mode: 0o700 })
    writeFileSync(scratch.at('etc', 'old'), '')
    symlinkSync('usr/bin', scratch.at('bin'))
    symlinkSync('nowhere', scratch.at('dangling'))
    const tar = tarOf(
      { name: 'bin/', type: '5', mode: 0o711 },
      { name: 'bin/sh', body: 'sh' },
      { name: 'etc/', type: '5', mode: 0o755 },
      { name: 'dangling/', type: '5' },
    )
    await applyTo(scratch.path, tar, { directories })
    const isLink = directories !== 'replace'
    t.is(lstatSync(scratch.at('bin')).isSymbolicLink(), isLink)
    t.is(readFileSync(scratch.at(isLink ? 'usr/bin/sh' : 'bin/sh'), 'utf8'), 'sh')
    t.is(lstatSync(scratch.at('etc')).mode & 0o777, directories === 'keep' ? 0o700 : 0o755)
    t.deepEqual(readdirSync(scratch.at('etc')), ['old'])
    t.true(lstatSync(scratch.at('dangling')).isDirectory())
  })

test('an archive goes below a target, through links of the tree', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('root', 'data'), { recursive: true })
  symlinkSync('/data', scratch.at('root', 'opt'))
  const tar = tarOf(
    { name: './', type: '5', mode: 0o750 },
    { name: 'a', body: 'x' },
    { name: 'b', type: '1', link: 'a' },
    { name: 'c', type: '2', link: '/etc/hosts' },
  )
  await applyTo(scratch.at('root'), tar, { target: '/opt/app' })
  t.deepEqual(readdirSync(scratch.at('root', 'data', 'app')), ['a', 'b', 'c'])
  t.is(lstatSync(scratch.at('root', 'data', 'app')).mode & 0o777, 0o750)
  t.is(lstatSync(scratch.at('root', 'data', 'app', 'a')).nlink, 2)
  t.is(readlinkSync(scratch.at('root', 'data', 'app', 'c')), '/etc/hosts')
})

test('entries are renamed and left out, and hard links find what was renamed', async t => {
  using scratch = makeScratch()
  const seen: [string, string][] = []
  const tar = tarOf(
    { name: './etc/', type: '5' },
    { name: './etc/conf', body: 'new' },
    { name: './etc/same', type: '1', link: './etc/conf' },
    { name: './usr/share/doc/x', body: 'skipped' },
    { name: './usr/bin/x', body: 'program' },
  )
  const outcome = await applyTo(scratch.path, tar, {
    rename: ({ path }: TarEntry) =>
      path === 'etc/conf' ? 'etc/conf.new' : path.startsWith('usr/share/doc/') ? undefined : path,
    onEntry: (entry, path) => seen.push([entry.path, path]),
  })
  t.deepEqual(outcome, { entries: 4, bytes: 10, newestMtimeSeconds: 1_000_000_000 })
  t.deepEqual(seen, [
    ['etc', 'etc'],
    ['etc/conf', 'etc/conf.new'],
    ['etc/same', 'etc/same'],
    ['usr/bin/x', 'usr/bin/x'],
  ])
  t.deepEqual(readdirSync(scratch.at('etc')), ['conf.new', 'same'])
  t.deepEqual(readdirSync(scratch.at('usr')), ['bin'])
})

test('what rename makes of a path is no way out either', async t => {
  using scratch = makeScratch()
  const tar = tarOf({ name: 'a', body: 'x' })
  mkdirSync(scratch.at('root'))
  await t.throwsAsync(applyTo(scratch.at('root'), tar, { rename: () => '../escaped' }), {
    code: 'ARCHIVE_INVALID',
  })
  t.deepEqual(readdirSync(scratch.path), ['root'])
})

asRoot("everything becomes root's where the caller says so", async t => {
  using scratch = makeScratch()
  const entries: RawEntry[] = [
    { name: 'd/', type: '5', uid: 5, gid: 6 },
    { name: 'd/f', body: 'x', uid: 7, gid: 8, mode: 0o4755 },
    { name: 'd/l', type: '2', link: 'f', uid: 9, gid: 9 },
  ]
  for (const ownership of ['archive', 'root'] as const) {
    mkdirSync(scratch.at(ownership))
    await applyTo(scratch.at(ownership), tarOf(...entries), { ownership })
  }
  const owners = (directory: string): number[] =>
    ['d', 'd/f', 'd/l'].map(name => lstatSync(scratch.at(directory, name)).uid)
  t.deepEqual(owners('archive'), [5, 7, 9])
  t.deepEqual(owners('root'), [0, 0, 0])
  t.is(lstatSync(scratch.at('archive', 'd/f')).mode & 0o7777, 0o4755)
})

test('a sparse file keeps its holes', async t => {
  using scratch = makeScratch()
  const tar = tarOf({
    name: 'x',
    body: 'ab',
    pax: {
      'GNU.sparse.map': '1000000,1,2000000,1',
      'GNU.sparse.numblocks': '2',
      'GNU.sparse.size': '9000000',
      'GNU.sparse.name': 'sparse',
    },
  })
  t.is((await applyTo(scratch.path, tar)).bytes, 9_000_000)
  const stat = native().statFile(scratch.at('sparse'))
  t.is(stat.size, 9_000_000)
  t.true(stat.blocks * 512 < 100_000)
  const content = readFileSync(scratch.at('sparse'))
  t.is(String.fromCodePoint(content[1_000_000] ?? 0, content[2_000_000] ?? 0), 'ab')
})

const layer = tarOf(
  { name: 'etc/.wh.gone', body: '' },
  { name: 'etc/', type: '5' },
  { name: 'etc/new', body: 'new' },
  { name: 'opaque/', type: '5' },
  { name: 'opaque/new', body: 'new' },
  { name: 'opaque/.wh..wh..opq', body: '' },
  { name: 'was-dir', body: 'now a file' },
  { name: '.wh.never-there', body: '' },
)

test('a layer on a whole tree removes what its whiteouts say, and nothing that it wrote', async t => {
  using scratch = makeScratch()
  for (const name of ['etc/gone/deep', 'opaque/old/deep', 'was-dir/x'])
    mkdirSync(scratch.at(name), { recursive: true })
  for (const name of ['etc/kept', 'etc/gone/x', 'opaque/old/x']) writeFileSync(scratch.at(name), '')
  await applyTo(scratch.path, layer, { whiteouts: 'delete' })
  t.deepEqual(Object.keys(listTree(scratch.path)), [
    'etc',
    'etc/kept',
    'etc/new',
    'opaque',
    'opaque/new',
    'was-dir',
  ])
})

asRoot('a layer in an upper directory becomes overlay marks that hide the same', async t => {
  using scratch = makeScratch()
  for (const name of ['lower', 'upper', 'work']) mkdirSync(scratch.at(name))
  for (const name of ['etc/gone/deep', 'opaque/old/deep', 'was-dir/x'])
    mkdirSync(scratch.at('lower', name), { recursive: true })
  for (const name of ['etc/kept', 'etc/gone/x', 'opaque/old/x'])
    writeFileSync(scratch.at('lower', name), '')
  await applyTo(scratch.at('upper'), layer, { whiteouts: 'overlay' })
  t.is(native().getXattr(scratch.at('upper', 'opaque'), 'trusted.overlay.opaque').toString(), 'y')
  const fd = native().mountOverlayDetached({ lower: [scratch.at('upper'), scratch.at('lower')] })
  const merged = Object.keys(listTree(`/proc/self/fd/${fd}`))
  closeSync(fd)
  t.deepEqual(merged, ['etc', 'etc/kept', 'etc/new', 'opaque', 'opaque/new', 'was-dir'])
})

for (const order of ['before', 'after'] as const)
  asRoot(`a directory with a whiteout ${order} it hides the one below`, async t => {
    using scratch = makeScratch()
    for (const name of ['lower', 'upper', 'whole'])
      mkdirSync(scratch.at(name, 'd'), { recursive: true })
    for (const name of ['lower', 'whole']) writeFileSync(scratch.at(name, 'd', 'old'), '')
    native().removeTreeAt(openSync(scratch.at('upper'), oPath), 'd')
    const whiteout = { name: '.wh.d', body: '' }
    const directory = [
      { name: 'd/', type: '5' },
      { name: 'd/new', body: '' },
    ]
    const tar = tarOf(...(order === 'before' ? [whiteout, ...directory] : [...directory, whiteout]))
    await applyTo(scratch.at('upper'), tar, { whiteouts: 'overlay' })
    const fd = native().mountOverlayDetached({ lower: [scratch.at('upper'), scratch.at('lower')] })
    t.deepEqual(Object.keys(listTree(`/proc/self/fd/${fd}`)), ['d', 'd/new'])
    closeSync(fd)
    await applyTo(scratch.at('whole'), tar, { whiteouts: 'delete' })
    if (order === 'after') t.deepEqual(Object.keys(listTree(scratch.at('whole'))), ['d', 'd/new'])
  })

asRoot('directories that a layer does not list look as in the tree below', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('below', 'real', 'private'), { recursive: true })
  mkdirSync(scratch.at('upper'))
  native().setXattr(scratch.at('below', 'real'), 'user.x', Buffer.from('1'))
  const fd = openSync(scratch.at('below', 'real', 'private'), constants.O_DIRECTORY)
  native().finishFile(fd, 12, 34, 0o2710, 5, 6)
  closeSync(fd)
  const below = openSync(scratch.at('below'), oPath)
  await applyTo(scratch.at('upper'), tarOf({ name: 'real/private/new', body: '' }), {
    whiteouts: 'overlay',
    below,
  })
  closeSync(below)
  t.like(native().statFile(scratch.at('upper', 'real', 'private')), {
    mode: 0o042710,
    uid: 12,
    gid: 34,
    mtimeSeconds: 5,
    mtimeNanoseconds: 6,
  })
  t.deepEqual(native().listXattrs(scratch.at('upper', 'real')), ['user.x'])
})

test("older docker's own notes are passed over", async t => {
  using scratch = makeScratch()
  const tar = tarOf(
    { name: '.wh..wh.plnk/', type: '5' },
    { name: '.wh..wh.plnk/1.2', body: 'x' },
    { name: '.wh..wh.aufs', body: '' },
    { name: 'a', body: '' },
  )
  await applyTo(scratch.path, tar, { whiteouts: 'delete' })
  t.deepEqual(readdirSync(scratch.path), ['a'])
})

test('in a plain archive the names of whiteouts are names', async t => {
  using scratch = makeScratch()
  await applyTo(scratch.path, tarOf({ name: '.wh.x', body: 'a' }, { name: 'x', body: 'b' }))
  t.deepEqual(readdirSync(scratch.path), ['.wh.x', 'x'])
})

test('bytes pass on as they came, applied already, and the outcome comes last', async t => {
  using scratch = makeScratch()
  const tar = tarOf({ name: 'a', body: 'x'.repeat(2000) }, { name: 'b', body: '' })
  const padded = Buffer.concat([tar, Buffer.alloc(8192, 7)])
  const fd = openSync(scratch.path, oPath)
  const passing = applyWhilePassing(inPieces(padded, 1000), fd, {
    whiteouts: 'ordinary',
    ownership: 'archive',
  })
  const chunks: Buffer[] = []
  for (;;) {
    const next = await passing.next()
    if (next.done) {
      t.is(next.value.entries, 2)
      break
    }
    chunks.push(next.value)
    if (chunks.length === 3) t.is(lstatSync(scratch.at('a')).size, 2000)
  }
  closeSync(fd)
  t.true(Buffer.concat(chunks).equals(padded))
})

test('an abort ends it between chunks', async t => {
  using scratch = makeScratch()
  const controller = new AbortController()
  async function* source(): AsyncGenerator<Buffer> {
    for await (const piece of inPieces(tarOf({ name: 'a', body: 'x'.repeat(5000) }), 512)) {
      yield piece
      controller.abort()
    }
  }
  await t.throwsAsync(applyTo(scratch.path, source(), { signal: controller.signal }), {
    code: 'CANCELLED',
  })
})

test('several archives go onto one tree at the same time', async t => {
  using scratch = makeScratch()
  const archives = Array.from({ length: 8 }, (_, archive) =>
    tarOf(
      { name: 'usr/', type: '5' },
      { name: 'usr/share/', type: '5' },
      ...Array.from({ length: 50 }, (_unused, file) => ({
        name: `usr/share/${archive}-${file}`,
        body: 'x'.repeat(file * 40),
      })),
    ),
  )
  await Promise.all(
    archives.map(tar => applyTo(scratch.path, inPieces(tar, 700), { directories: 'keep' })),
  )
  t.is(readdirSync(scratch.at('usr', 'share')).length, 400)
})

test('no descriptor stays open after a failure', async t => {
  using scratch = makeScratch()
  const tar = tarOf({ name: 'a/b/c', body: 'x'.repeat(3000) }).subarray(0, 2000)
  await t.throwsAsync(applyTo(scratch.path, tar), { code: 'ARCHIVE_INVALID' })
  t.deepEqual(openBelow(scratch.path), [])
})

test('errors of the source pass unchanged', async t => {
  using scratch = makeScratch()
  async function* failing(): AsyncGenerator<Buffer> {
    yield tarOf({ name: 'a' }).subarray(0, 512)
    throw new RangeError('from the network')
  }
  await t.throwsAsync(applyTo(scratch.path, failing()), { instanceOf: RangeError })
})

test('a hard link to what was on the tree before stays inside it', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('root', 'etc'), { recursive: true })
  writeFileSync(scratch.at('root', 'etc', 'old'), 'old')
  linkSync(scratch.at('root', 'etc', 'old'), scratch.at('outside'))
  await applyTo(scratch.at('root'), tarOf({ name: 'new', type: '1', link: '/etc/old' }))
  t.is(readFileSync(scratch.at('root', 'new'), 'utf8'), 'old')
  t.is((await collect(inPieces(Buffer.from('x')))).length, 1)
})
