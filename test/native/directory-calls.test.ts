import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { type NativeCalls, native, scanFields, scanWidth } from '../../src/native/native.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

interface OpenDirectory extends Disposable {
  readonly fd: number
}

function openDirectory(directory: string): OpenDirectory {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}

const refusedNames: readonly { readonly title: string; readonly name: string }[] = [
  { title: 'an empty name', name: '' },
  { title: 'the directory itself', name: '.' },
  { title: 'the directory above', name: '..' },
  { title: 'a path', name: 'a/b' },
  { title: 'an absolute path', name: '/etc' },
  { title: 'a NUL byte', name: 'a\0b' },
]

for (const { title, name } of refusedNames)
  test(`calls on a name refuse ${title}`, t => {
    using scratch = makeScratch()
    using directory = openDirectory(scratch.path)
    const calls = native()
    const attempts: readonly (() => unknown)[] = [
      () => calls.openAt(directory.fd, name, constants.O_RDONLY),
      () => calls.statAt(directory.fd, name),
      () => calls.makeDirectoryAt(directory.fd, name, 0o755),
      () => calls.makeSymlinkAt('target', directory.fd, name),
      () => calls.unlinkAt(directory.fd, name),
      () => calls.removeTreeAt(directory.fd, name),
      () => calls.setModeAt(directory.fd, name, 0o777),
      () => calls.setXattrAt(directory.fd, name, 'user.x', Buffer.from('1')),
      () => calls.makeLinkAt(directory.fd, name, directory.fd, 'new'),
      () => calls.renameAt(directory.fd, 'old', directory.fd, name),
    ]
    for (const attempt of attempts) t.throws(attempt, { code: 'EINVAL' })
  })

test('a name of 255 bytes is taken and one of 256 is refused', t => {
  using scratch = makeScratch()
  using directory = openDirectory(scratch.path)
  const longest = `${'é'.repeat(127)}x`
  native().makeDirectoryAt(directory.fd, longest, 0o755)
  t.deepEqual(readdirSync(scratch.path), [longest])
  t.throws(() => native().makeDirectoryAt(directory.fd, `${longest}y`, 0o755), {
    code: 'ENAMETOOLONG',
  })
  t.throws(() => native().makeDirectoryAt(directory.fd, '€'.repeat(5000), 0o755), {
    code: 'ENAMETOOLONG',
  })
})

test('a negative descriptor does not mean the working directory', t => {
  t.throws(() => native().statAt(-100, 'package.json'), { code: 'EBADF' })
})

test('errors look like those of node:fs', t => {
  using scratch = makeScratch()
  using directory = openDirectory(scratch.path)
  const error = t.throws(() => native().openAt(directory.fd, 'missing', constants.O_RDONLY))
  t.like(error, {
    code: 'ENOENT',
    errno: -2,
    syscall: 'openat',
    path: 'missing',
    message: "ENOENT: No such file or directory, openat 'missing'",
  })
})

test('arguments of a wrong type are a TypeError', t => {
  t.throws(() => native().statFile(7 as unknown as string), { instanceOf: TypeError })
  t.throws(() => native().dataExtents('7' as unknown as number), { instanceOf: TypeError })
  t.throws(() => (native().statFile as () => unknown)(), { instanceOf: TypeError })
})

test('openAt does not follow a link', t => {
  using scratch = makeScratch()
  using directory = openDirectory(scratch.path)
  symlinkSync('/etc/passwd', scratch.at('link'))
  t.throws(() => native().openAt(directory.fd, 'link', constants.O_RDONLY), { code: 'ELOOP' })
})

test('statAt tells apart nothing and a link that leads nowhere', t => {
  using scratch = makeScratch()
  using directory = openDirectory(scratch.path)
  symlinkSync('nowhere', scratch.at('link'))
  t.is(native().statAt(directory.fd, 'missing'), undefined)
  t.is((native().statAt(directory.fd, 'link')?.mode ?? 0) & constants.S_IFMT, constants.S_IFLNK)
})

test('names that are no UTF-8 come back as they went in', t => {
  using scratch = makeScratch()
  using directory = openDirectory(scratch.path)
  const bytes = Buffer.from([
    0x61, 0xff, 0xc3, 0xa9, 0xed, 0xa0, 0x80, 0xf0, 0x9f, 0x98, 0x80, 0xef, 0xbf, 0xbd,
  ])
  writeFileSync(Buffer.concat([Buffer.from(scratch.at('')), Buffer.from('/'), bytes]), 'content')
  const { names } = native().scanDirectory(directory.fd)
  t.deepEqual(names, ['a\udcffé\udced\udca0\udc80😀\ufffd'])
  const fd = native().openAt(directory.fd, names[0] ?? '', constants.O_RDONLY)
  t.is(readFileSync(fd, 'utf8'), 'content')
  closeSync(fd)
  native().makeSymlinkAt('to\udcfe', directory.fd, 'link')
  t.is(native().readLinkAt(directory.fd, 'link'), 'to\udcfe')
  t.deepEqual(readlinkSync(scratch.at('link'), 'buffer'), Buffer.from('to\xfe', 'latin1'))
})

test('a scan is sorted by bytes and has what lstat has', t => {
  using scratch = makeScratch()
  using directory = openDirectory(scratch.path)
  for (const name of ['b', 'B', 'é', 'a.b', 'a']) writeFileSync(scratch.at(name), name.repeat(1000))
  mkdirSync(scratch.at('a-dir'), { mode: 0o700 })
  symlinkSync('b', scratch.at('z'))
  native().setTimes(scratch.at('b'), -5, 123_456_789)
  const { names, stats } = native().scanDirectory(directory.fd)
  t.deepEqual(names, ['B', 'a', 'a-dir', 'a.b', 'b', 'z', 'é'])
  t.is(stats.length, names.length * scanWidth)
  for (const [index, name] of names.entries()) {
    const field = (key: keyof typeof scanFields): number =>
      stats[index * scanWidth + scanFields[key]] ?? Number.NaN
    const want = native().statFile(scratch.at(name))
    t.deepEqual(
      {
        mode: field('mode'),
        uid: field('uid'),
        gid: field('gid'),
        size: field('size'),
        nlink: field('nlink'),
        ino: field('inodeHigh') * 2 ** 32 + field('inodeLow'),
        dev: field('dev'),
        blocks: field('blocks'),
        mtimeSeconds: field('mtimeSeconds'),
        mtimeNanoseconds: field('mtimeNanoseconds'),
        hasXattrs: field('hasXattrs'),
      },
      {
        mode: want.mode,
        uid: want.uid,
        gid: want.gid,
        size: want.size,
        nlink: want.nlink,
        ino: want.ino,
        dev: want.dev,
        blocks: want.blocks,
        mtimeSeconds: want.mtimeSeconds,
        mtimeNanoseconds: want.mtimeNanoseconds,
        hasXattrs: 0,
      },
    )
  }
  t.is(native().statFile(scratch.at('b')).mtimeSeconds, -5)
})

test('a scan of an empty directory is empty', t => {
  using scratch = makeScratch()
  using directory = openDirectory(scratch.path)
  t.deepEqual(native().scanDirectory(directory.fd), { names: [], stats: new Float64Array() })
})

test('hard links, renames, modes and times work by name', t => {
  using scratch = makeScratch()
  using directory = openDirectory(scratch.path)
  const calls = native()
  writeFileSync(scratch.at('file'), 'x')
  calls.makeLinkAt(directory.fd, 'file', directory.fd, 'again')
  t.is(statSync(scratch.at('again')).nlink, 2)
  calls.renameAt(directory.fd, 'again', directory.fd, 'other')
  calls.setModeAt(directory.fd, 'other', 0o4711)
  calls.setTimesAt(directory.fd, 'other', 1_000_000_000, 5)
  const { mode, mtimeSeconds, mtimeNanoseconds } = calls.statFile(scratch.at('file'))
  t.deepEqual(
    { mode, mtimeSeconds, mtimeNanoseconds },
    { mode: 0o104711, mtimeSeconds: 1_000_000_000, mtimeNanoseconds: 5 },
  )
  symlinkSync('file', scratch.at('link'))
  t.throws(() => calls.setModeAt(directory.fd, 'link', 0o777), { code: 'EOPNOTSUPP' })
})

testWith({ root: true })('finishFile keeps set-id bits through a change of owner', t => {
  using scratch = makeScratch()
  const fd = openSync(scratch.at('program'), 'w', 0o600)
  native().finishFile(fd, 1234, 2345, 0o6755, -1, 999_999_999)
  closeSync(fd)
  const stat = native().statFile(scratch.at('program'))
  t.like(stat, {
    uid: 1234,
    gid: 2345,
    mode: 0o106755,
    mtimeSeconds: -1,
    mtimeNanoseconds: 999_999_999,
  })
})

testWith({ root: true })('device nodes and owners are made by name', t => {
  using scratch = makeScratch()
  using directory = openDirectory(scratch.path)
  native().makeNodeAt(directory.fd, 'zero', constants.S_IFCHR | 0o600, 1, 5)
  native().setOwnerAt(directory.fd, 'zero', 7, 8)
  const { names, stats } = native().scanDirectory(directory.fd)
  t.deepEqual(names, ['zero'])
  t.is(stats[scanFields.deviceMajor], 1)
  t.is(stats[scanFields.deviceMinor], 5)
  t.is(stats[scanFields.uid], 7)
  t.is(stats[scanFields.gid], 8)
})

/** Makes `depth` directories inside each other, by descriptor: their path is longer than any call takes. */
function makeDeep(directory: string, depth: number): void {
  const calls = native()
  let fd = openSync(directory, constants.O_DIRECTORY)
  for (let level = 0; level < depth; level++) {
    calls.makeDirectoryAt(fd, 'deeper', 0o755)
    closeSync(calls.openAt(fd, 'file', constants.O_CREAT | constants.O_WRONLY, 0o644))
    const next = calls.openAt(fd, 'deeper', constants.O_DIRECTORY)
    closeSync(fd)
    fd = next
  }
  closeSync(fd)
}

test('a tree deeper than there are descriptors or bytes in a path is removed', t => {
  using scratch = makeScratch()
  using directory = openDirectory(scratch.path)
  for (const name of ['keep', 'top']) mkdirSync(scratch.at(name))
  symlinkSync(scratch.at('keep'), scratch.at('top', 'link'))
  makeDeep(scratch.at('top'), 2000)
  native().removeTreeAt(directory.fd, 'top')
  native().removeTreeAt(directory.fd, 'top')
  t.deepEqual(readdirSync(scratch.path), ['keep'])
})

test('removing a link removes the link', t => {
  using scratch = makeScratch()
  using directory = openDirectory(scratch.path)
  mkdirSync(scratch.at('keep'))
  writeFileSync(scratch.at('keep', 'file'), '')
  symlinkSync('keep', scratch.at('link'))
  native().removeTreeAt(directory.fd, 'link')
  t.true(existsSync(scratch.at('keep', 'file')))
  t.throws(() => lstatSync(scratch.at('link')), { code: 'ENOENT' })
})

const escapes: readonly { readonly title: string; readonly link: string; readonly path: string }[] =
  [
    { title: 'an absolute link', link: '/etc', path: 'link/hostname' },
    { title: 'a link upwards', link: '../../../../../../etc', path: 'link/hostname' },
    { title: 'dots in the path', link: 'nowhere', path: '../../../../../etc/hostname' },
    { title: 'an absolute path', link: 'nowhere', path: '/etc/hostname' },
  ]

for (const { title, link, path: inside } of escapes)
  test(`openInRoot stays inside the root: ${title}`, t => {
    using scratch = makeScratch()
    mkdirSync(scratch.at('root', 'etc'), { recursive: true })
    writeFileSync(scratch.at('root', 'etc', 'hostname'), 'inside')
    symlinkSync(link, scratch.at('root', 'link'))
    using root = openDirectory(scratch.at('root'))
    const fd = native().openInRoot(root.fd, inside, constants.O_RDONLY)
    t.is(readFileSync(fd, 'utf8'), 'inside')
    closeSync(fd)
  })

test('openInRoot does not go through the magic links of /proc (CVE-2019-14271 class)', t => {
  using root = openDirectory('/')
  t.throws(() => native().openInRoot(root.fd, '/proc/self/root/etc', constants.O_RDONLY), {
    code: 'ELOOP',
  })
})

test('extended attributes are those of the name itself', t => {
  using scratch = makeScratch()
  using directory = openDirectory(scratch.path)
  const calls: NativeCalls = native()
  writeFileSync(scratch.at('file'), '')
  symlinkSync('file', scratch.at('link'))
  const value = Buffer.from([0, 1, 255])
  calls.setXattrAt(directory.fd, 'file', 'user.kauri', value)
  t.deepEqual(calls.listXattrs(scratch.at('file')), ['user.kauri'])
  t.deepEqual(calls.getXattrAt(directory.fd, 'file', 'user.kauri'), value)
  t.deepEqual(calls.listXattrsAt(directory.fd, 'link'), [])
  t.throws(() => calls.setXattrAt(directory.fd, 'link', 'user.kauri', value), { code: 'EPERM' })
  t.is(calls.scanDirectory(directory.fd).stats[scanFields.hasXattrs], 1)
  calls.removeXattr(path.join(scratch.path, 'file'), 'user.kauri')
  t.deepEqual(calls.listXattrsAt(directory.fd, 'file'), [])
  t.throws(() => calls.getXattr(scratch.at('file'), 'user.kauri'), { code: 'ENODATA' })
})
