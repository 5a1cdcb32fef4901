import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import test from 'ava'
import type { BuildEvent } from '../../src/core/events.ts'
import type { PackOptions, PackSource } from '../../src/layer/layer.ts'
import { packTree } from '../../src/layer/pack-tree.ts'
import { native } from '../../src/native/native.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { applyTo, collect, listTree, openBelow } from '../helpers/tar.ts'

const asRoot = testWith({ root: true })

/** One of everything that a layer holds, with names in an awkward order. */
function makeTree(scratch: Scratch, name = 'tree'): string {
  const root = scratch.at(name)
  const at = (file: string): string => `${root}/${file}`
  for (const directory of ['', 'etc', 'usr', 'usr/bin', 'a', 'tmp', `long-${'d'.repeat(90)}`])
    mkdirSync(at(directory))
  writeFileSync(at('etc/hosts'), '127.0.0.1 localhost\n')
  writeFileSync(at('etc/empty'), '')
  writeFileSync(at('a.b'), 'sorts after a/x by components')
  writeFileSync(at('a/x'), 'x'.repeat(512))
  writeFileSync(at(`long-${'d'.repeat(90)}/${'f'.repeat(90)}`), 'fits the prefix')
  writeFileSync(at(`long-${'d'.repeat(90)}/${'g'.repeat(200)}`), 'needs a pax path')
  writeFileSync(at('usr/bin/program'), Buffer.alloc(3_000_000, 'program'), { mode: 0o755 })
  linkSync(at('usr/bin/program'), at('usr/bin/again'))
  symlinkSync('../nowhere', at('usr/link'))
  symlinkSync(`/${'t'.repeat(150)}`, at('usr/long-link'))
  chmodSync(at('usr/bin/program'), 0o6755)
  chmodSync(at('tmp'), 0o1777)
  native().setTimes(at('etc/hosts'), 1_600_000_000, 999_999_999)
  native().setTimes(at('etc/empty'), -12_345, 500)
  native().setTimes(at('usr/link'), 1_600_000_001, 0)
  return root
}

async function pack(source: PackSource | string, options?: PackOptions): Promise<Buffer> {
  const packed = typeof source === 'string' ? { kind: 'tree' as const, path: source } : source
  return collect(packTree(packed, options))
}

/** What `tar -tvf` or another tar program says of the archive. */
function listWith(program: string, args: readonly string[], tar: Buffer): string {
  return execFileSync(program, [...args], {
    input: tar,
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' },
  })
}

/** mtimes of a tree change when it is unpacked; whole seconds are what a layer keeps. */
async function roundTrip(scratch: Scratch, tar: Buffer): Promise<string> {
  const target = scratch.at('unpacked')
  mkdirSync(target)
  await applyTo(target, tar)
  return target
}

test('a tree comes back as it was packed', async t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  const unpacked = await roundTrip(scratch, await pack(root))
  t.deepEqual(listTree(unpacked), listTree(root))
  t.is(native().statFile(`${unpacked}/etc/hosts`).mtimeNanoseconds, 0)
  t.is(native().statFile(unpacked).mtimeSeconds, native().statFile(root).mtimeSeconds)
})

asRoot('devices, owners, attributes and capabilities come back', async t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  const calls = native()
  calls.mknod(`${root}/null`, 0o020666, 1, 3)
  calls.mknod(`${root}/disk`, 0o060660, 259, 1_000_000)
  calls.mknod(`${root}/fifo`, 0o010622, 0, 0)
  linkSync(`${root}/null`, `${root}/null-again`)
  execFileSync('chown', [
    '-h',
    '1000:3000000000',
    `${root}/etc/hosts`,
    `${root}/usr/link`,
    `${root}/a`,
  ])
  calls.setXattr(`${root}/etc/hosts`, 'user.comment', Buffer.from([0, 10, 255]))
  calls.setXattr(`${root}/etc/hosts`, 'user.empty', Buffer.alloc(0))
  calls.setXattr(`${root}/a`, 'trusted.kauri', Buffer.from('directory'))
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
  calls.setXattr(`${root}/usr/bin/program`, 'security.capability', capability)
  const unpacked = await roundTrip(scratch, await pack(root))
  t.deepEqual(listTree(unpacked), listTree(root))
  t.regex(listTree(unpacked)['usr/bin/again'] ?? '', /security\.capability=0100000200200000/)
  t.is(listTree(unpacked)['usr/bin/program'], 'link to usr/bin/again')
})

asRoot('access lists come back', async t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  // Version 2, then tag, permissions and id of each: owner rw, user 1234 r, group r, mask r, others none.
  const list = Buffer.from(
    '0200000001000600ffffffff02000400d204000004000400ffffffff10000400ffffffff20000000ffffffff',
    'hex',
  )
  native().setXattr(`${root}/etc/hosts`, 'system.posix_acl_access', list)
  native().setXattr(`${root}/a`, 'system.posix_acl_default', list)
  const unpacked = await roundTrip(scratch, await pack(root))
  t.deepEqual(listTree(unpacked), listTree(root))
  t.regex(listTree(unpacked)['etc/hosts'] ?? '', /^100640 .*system\.posix_acl_access=02/)
})

test('equal trees in different places give equal bytes', async t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  mkdirSync(scratch.at('elsewhere', 'deep'), { recursive: true })
  execFileSync('cp', ['-a', root, scratch.at('elsewhere', 'deep', 'copy')])
  t.true((await pack(root)).equals(await pack(scratch.at('elsewhere', 'deep', 'copy'))))
})

test('the bytes are the same with chunks that are used again', async t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  t.true((await pack(root)).equals(await pack(root, { reuseChunks: true })))
})

test('entries are in the order of bytes, each directory before what is in it', async t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  writeFileSync(`${root}/é`, '')
  writeFileSync(`${root}/Z`, '')
  const listing = listWith('tar', ['-tf', '-', '--quoting-style=literal'], await pack(root))
  const names = listing.split('\n').filter(name => name !== '')
  t.deepEqual(
    names.filter(name => !name.startsWith('long-')),
    [
      './',
      'Z',
      'a/',
      'a/x',
      'a.b',
      'etc/',
      'etc/empty',
      'etc/hosts',
      'tmp/',
      'usr/',
      'usr/bin/',
      'usr/bin/again',
      'usr/bin/program',
      'usr/link',
      'usr/long-link',
      'é',
    ],
  )
})

test('the first of several hard links is the file', async t => {
  using scratch = makeScratch()
  const listing = listWith('tar', ['-tvf', '-'], await pack(makeTree(scratch)))
  t.regex(listing, /^-rwsr-sr-x .* 3000000 .* usr\/bin\/again$/m)
  t.regex(listing, /^hrwsr-sr-x .* usr\/bin\/program link to usr\/bin\/again$/m)
})

test('later times are set back, earlier ones stay', async t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  const tar = await pack(root, { clampMtime: 1_500_000_000 })
  const unpacked = await roundTrip(scratch, tar)
  t.is(native().statFile(`${unpacked}/etc/hosts`).mtimeSeconds, 1_500_000_000)
  t.is(native().statFile(`${unpacked}/etc/empty`).mtimeSeconds, -12_345)
  t.is(native().statFile(unpacked).mtimeSeconds, 1_500_000_000)
})

test('what is excluded is left out with all below it', async t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  const asked: string[] = []
  const tar = await pack(root, {
    exclude: path => {
      asked.push(path)
      return path === 'usr' || path.startsWith('long-') || path === 'etc/empty'
    },
  })
  const unpacked = await roundTrip(scratch, tar)
  t.deepEqual(Object.keys(listTree(unpacked)), ['a', 'a/x', 'a.b', 'etc', 'etc/hosts', 'tmp'])
  t.false(asked.some(path => path.startsWith('usr/')))
})

test('nothing of the host gets in: no user names, no fractions, no access times', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('tree'))
  writeFileSync(scratch.at('tree', 'file'), 'x')
  utimesSync(scratch.at('tree', 'file'), 1, 1_600_000_000.5)
  const tar = await pack(scratch.at('tree'))
  // Two headers, one block of data, the end.
  t.is(tar.length, 5 * 512)
  t.is(tar.toString('latin1', 512 + 265, 512 + 329).replaceAll('\0', ''), '')
})

test('a sparse file is packed with its holes as zeros', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('tree'))
  const file = scratch.at('tree', 'sparse')
  writeFileSync(file, 'start')
  truncateSync(file, 5_000_000)
  appendFileSync(file, 'end')
  truncateSync(file, 6_000_000)
  const unpacked = await roundTrip(scratch, await pack(scratch.at('tree')))
  t.true(readFileSync(`${unpacked}/sparse`).equals(readFileSync(file)))
})

test('a file of more than 8 GiB gets a pax size', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('tree'))
  writeFileSync(scratch.at('tree', 'huge'), '')
  truncateSync(scratch.at('tree', 'huge'), 9 * 1024 ** 3)
  const chunks = packTree({ kind: 'tree', path: scratch.at('tree') })
  const { value } = await chunks.next()
  await chunks.return()
  t.regex((value ?? Buffer.alloc(0)).toString('latin1', 0, 4096), /size=9663676416\n/)
})

test('a name that is no UTF-8 is kept, also where it is too long for ustar', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('tree'))
  const short = Buffer.concat([Buffer.from(scratch.at('tree', 'x')), Buffer.from([0xff])])
  const long = Buffer.concat([
    Buffer.from(scratch.at('tree', 'y'.repeat(150))),
    Buffer.from([0xfe]),
  ])
  writeFileSync(short, 'short')
  writeFileSync(long, 'long')
  const tar = await pack(scratch.at('tree'))
  const unpacked = await roundTrip(scratch, tar)
  t.deepEqual(listTree(unpacked), listTree(scratch.at('tree')))
  t.deepEqual(Object.keys(listTree(unpacked)), ['x\udcff', `${'y'.repeat(150)}\udcfe`])
  mkdirSync(scratch.at('gnu'))
  execFileSync('tar', ['-x', '-C', scratch.at('gnu')], { input: tar })
  t.deepEqual(listTree(scratch.at('gnu')), listTree(scratch.at('tree')))
})

test('a socket is left out, with a warning', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('tree'))
  const server = createServer().listen(scratch.at('tree', 'socket'))
  const events: BuildEvent[] = []
  const tar = await pack(scratch.at('tree'), { emit: event => events.push(event) })
  server.close()
  t.is(tar.length, 3 * 512)
  t.deepEqual(events, [{ kind: 'warning', message: 'the socket socket is left out of the layer' }])
})

for (const change of ['grows', 'shrinks'] as const)
  test(`a file that ${change} while it is packed is an error`, async t => {
    using scratch = makeScratch()
    mkdirSync(scratch.at('tree'))
    const file = scratch.at('tree', 'file')
    writeFileSync(file, Buffer.alloc(3_000_000, 1))
    const chunks = packTree({ kind: 'tree', path: scratch.at('tree') })
    await chunks.next()
    truncateSync(file, change === 'grows' ? 3_000_001 : 2_000_000)
    await t.throwsAsync(collect(chunks), {
      code: 'SNAPSHOT_INVALID',
      message: /^file changed its size/,
    })
  })

test('an abort ends the packing', async t => {
  using scratch = makeScratch()
  const controller = new AbortController()
  const chunks = packTree({ kind: 'tree', path: makeTree(scratch) }, { signal: controller.signal })
  await chunks.next()
  controller.abort()
  await t.throwsAsync(chunks.next(), { code: 'CANCELLED' })
})

test('a real file with the name of a whiteout is refused', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('tree'))
  writeFileSync(scratch.at('tree', '.wh.x'), '')
  await t.throwsAsync(pack(scratch.at('tree')), {
    code: 'UNSUPPORTED',
    message: /\.wh\.x cannot go into a layer/,
  })
})

asRoot('a device 0:0 in a whole tree is refused', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('tree'))
  native().mknod(scratch.at('tree', 'x'), 0o020000, 0, 0)
  await t.throwsAsync(pack(scratch.at('tree')), { code: 'UNSUPPORTED' })
})

testWith({ root: true, programs: ['python3', 'tar'] })(
  'GNU tar and Python unpack what kauri packs',
  async t => {
    using scratch = makeScratch()
    const root = makeTree(scratch)
    native().mknod(`${root}/null`, 0o020666, 1, 3)
    native().setXattr(`${root}/etc/hosts`, 'user.comment', Buffer.from([1, 2, 3]))
    const tar = await pack(root)
    mkdirSync(scratch.at('gnu'))
    execFileSync('tar', ['-x', '--xattrs', '--numeric-owner', '-p', '-C', scratch.at('gnu')], {
      input: tar,
    })
    t.deepEqual(listTree(scratch.at('gnu')), listTree(root))
    mkdirSync(scratch.at('python'))
    writeFileSync(scratch.at('x.tar'), tar)
    const script =
      'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2], numeric_owner=True)'
    execFileSync('python3', ['-c', script, scratch.at('x.tar'), scratch.at('python')])
    // Python knows neither extended attributes nor times of links.
    native().removeXattr(`${root}/etc/hosts`, 'user.comment')
    for (const tree of [scratch.at('python'), root])
      for (const link of ['link', 'long-link']) native().setTimes(`${tree}/usr/${link}`, 1, 0)
    t.deepEqual(listTree(scratch.at('python')), listTree(root))
  },
)

testWith({ programs: ['tar'] })('kauri unpacks what GNU tar packs', async t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  native().setXattr(`${root}/etc/hosts`, 'user.comment', Buffer.from([1, 2, 3]))
  for (const [index, options] of [['--format=gnu'], ['--format=posix', '--xattrs']].entries()) {
    const tar = execFileSync('tar', ['-c', ...options, '-C', root, '.'], { maxBuffer: 1e8 })
    mkdirSync(scratch.at(`target-${index}`))
    await applyTo(scratch.at(`target-${index}`), tar)
    if (index === 1) t.deepEqual(listTree(scratch.at(`target-${index}`)), listTree(root))
    else
      t.deepEqual(Object.keys(listTree(scratch.at(`target-${index}`))), Object.keys(listTree(root)))
  }
})

asRoot('an overlay upper directory becomes whiteouts and opaque directories', async t => {
  using scratch = makeScratch()
  for (const name of ['lower', 'upper', 'work']) mkdirSync(scratch.at(name))
  for (const name of ['kept', 'gone', 'replaced']) mkdirSync(scratch.at('lower', name))
  for (const name of ['kept/a', 'kept/b', 'gone/a', 'replaced/a', 'file'])
    writeFileSync(scratch.at('lower', name), 'lower')
  const fd = native().mountOverlayDetached({
    lower: [scratch.at('lower')],
    upper: scratch.at('upper'),
    work: scratch.at('work'),
  })
  const tree = `/proc/self/fd/${fd}`
  execFileSync('sh', [
    '-ec',
    'cd "$1"; rm -r gone kept/a file replaced; mkdir replaced; echo new > replaced/new; echo new > kept/c',
    'sh',
    `/proc/${process.pid}/fd/${fd}`,
  ])
  native().setXattr(`${tree}/kept`, 'user.kept', Buffer.from('1'))
  const tar = await pack(
    { kind: 'overlay-upper', path: scratch.at('upper') },
    { clampMtime: 1_500_000_000 },
  )
  const listing = listWith('tar', ['-tvf', '-'], tar)
  t.deepEqual(
    listing
      .split('\n')
      .filter(Boolean)
      .map(line => line.replace(/^(\S+) .* (\S+)$/, '$1 $2')),
    [
      '---------- .wh.file',
      '---------- .wh.gone',
      'drwxr-xr-x kept/',
      '---------- kept/.wh.a',
      '-rw-r--r-- kept/c',
      'drwxr-xr-x replaced/',
      '---------- replaced/.wh..wh..opq',
      '-rw-r--r-- replaced/new',
    ],
  )
  t.true(tar.includes('SCHILY.xattr.user.kept=1'))
  t.false(tar.includes('overlay.'))
  // Applied onto what was below, it gives the merged tree.
  execFileSync('cp', ['-a', scratch.at('lower'), scratch.at('whole')])
  await applyTo(scratch.at('whole'), tar, { whiteouts: 'delete' })
  t.deepEqual(Object.keys(listTree(scratch.at('whole'))), Object.keys(listTree(tree)))
  // Applied as an upper directory, it is the same upper directory.
  mkdirSync(scratch.at('upper-again'))
  await applyTo(scratch.at('upper-again'), tar, { whiteouts: 'overlay' })
  const again = await pack(
    { kind: 'overlay-upper', path: scratch.at('upper-again') },
    { clampMtime: 1_500_000_000 },
  )
  t.true(again.equals(tar))
  closeSync(fd)
})

asRoot('upper directories of several steps become one change', async t => {
  using scratch = makeScratch()
  for (const name of ['1', '2', '3']) mkdirSync(scratch.at(name))
  const make = (upper: string, files: readonly string[]): void => {
    for (const file of files) {
      const target = scratch.at(upper, file)
      mkdirSync(target.slice(0, target.lastIndexOf('/')), { recursive: true })
      writeFileSync(target, upper)
    }
  }
  make('1', [
    'etc/one',
    'etc/both',
    'hidden/deep',
    'opaque/below',
    'becomes-file/x',
    'removed',
    'turned',
  ])
  make('2', ['etc/two', 'etc/both', 'opaque/inside', 'turned/inside'])
  native().setXattr(scratch.at('2', 'opaque'), 'trusted.overlay.opaque', Buffer.from('y'))
  make('3', ['becomes-file', 'é/x'])
  native().mknod(scratch.at('3', 'hidden'), 0o020000, 0, 0)
  native().mknod(scratch.at('3', 'removed'), 0o020000, 0, 0)
  const paths = ['3', '2', '1'].map(name => scratch.at(name))
  const tar = await pack({ kind: 'overlay-uppers', paths }, { clampMtime: 1 })
  const listing = listWith('tar', ['-tf', '-', '--quoting-style=literal'], tar)
    .split('\n')
    .filter(Boolean)
  t.deepEqual(listing, [
    'becomes-file',
    'etc/',
    'etc/both',
    'etc/one',
    'etc/two',
    '.wh.hidden',
    'opaque/',
    'opaque/.wh..wh..opq',
    'opaque/inside',
    '.wh.removed',
    'turned/',
    'turned/.wh..wh..opq',
    'turned/inside',
    'é/',
    'é/x',
  ])
  t.is(listWith('tar', ['-xOf', '-', 'etc/both'], tar), '2')
  const single = await pack({ kind: 'overlay-uppers', paths: [scratch.at('1')] })
  t.true(single.equals(await pack({ kind: 'overlay-upper', path: scratch.at('1') })))
})

asRoot('an upper directory with a redirect is refused', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('upper', 'd'), { recursive: true })
  native().setXattr(scratch.at('upper', 'd'), 'trusted.overlay.redirect', Buffer.from('/etc'))
  await t.throwsAsync(pack({ kind: 'overlay-upper', path: scratch.at('upper') }), {
    code: 'UNSUPPORTED',
    message: /redirect_dir/,
  })
})

test('a tree that turns into links while it is walked shows nothing outside (CVE-2018-15664)', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('tree', 'a', 'b'), { recursive: true })
  mkdirSync(scratch.at('outside', 'b'), { recursive: true })
  writeFileSync(scratch.at('outside', 'b', 'secret'), 'host')
  writeFileSync(scratch.at('tree', 'a', 'big'), Buffer.alloc(2_000_000))
  writeFileSync(scratch.at('tree', 'a', 'z'), 'z')
  const chunks = packTree({ kind: 'tree', path: scratch.at('tree') })
  const first = await chunks.next()
  renameSync(scratch.at('tree', 'a'), scratch.at('tree', 'moved'))
  symlinkSync(scratch.at('outside'), scratch.at('tree', 'a'))
  const rest = await collect(chunks)
  t.false(Buffer.concat([first.value ?? Buffer.alloc(0), rest]).includes('secret'))
})

test('no descriptor stays open, whole or broken off', async t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  const open = (): string[] => openBelow(scratch.path)
  await pack(root)
  t.deepEqual(open(), [])
  const chunks = packTree({ kind: 'tree', path: root })
  await chunks.next()
  await chunks.return()
  t.deepEqual(open(), [])
})
