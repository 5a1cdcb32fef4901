import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import test from 'ava'
import {
  existsInRoot,
  makeDirectoriesInRoot,
  openPlace,
  readTextInRoot,
  writeFileInRoot,
} from '../../src/native/in-root.ts'
import { native } from '../../src/native/native.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

interface Root extends Disposable {
  readonly scratch: Scratch
  readonly fd: number
}

function makeRoot(): Root {
  const scratch = makeScratch()
  mkdirSync(scratch.at('root'))
  const fd = openSync(scratch.at('root'), constants.O_DIRECTORY)
  return {
    scratch,
    fd,
    [Symbol.dispose]: () => {
      closeSync(fd)
      scratch[Symbol.dispose]()
    },
  }
}

test('a file is written through a link of the tree, inside the root', t => {
  using root = makeRoot()
  const { scratch, fd } = root
  mkdirSync(scratch.at('outside'))
  mkdirSync(scratch.at('root', 'real'))
  symlinkSync('../../../real', scratch.at('root', 'directory'))
  writeFileInRoot(fd, '/directory/file', 'text', { mode: 0o640, mtimeSeconds: 86_400 })
  t.is(readFileSync(scratch.at('root', 'real', 'file'), 'utf8'), 'text')
  t.like(native().statFile(scratch.at('root', 'real', 'file')), {
    mode: 0o100640,
    mtimeSeconds: 86_400,
    mtimeNanoseconds: 0,
  })
  t.deepEqual(readdirSync(scratch.at('root', 'real')), ['file'])
})

test('a file that is a link is replaced, not written through (CVE-2018-15664 class)', t => {
  using root = makeRoot()
  const { scratch, fd } = root
  writeFileSync(scratch.at('host-file'), 'host')
  symlinkSync(scratch.at('host-file'), scratch.at('root', 'file'))
  writeFileInRoot(fd, 'file', 'image', { mode: 0o644 })
  t.is(readFileSync(scratch.at('host-file'), 'utf8'), 'host')
  t.true(lstatSync(scratch.at('root', 'file')).isFile())
})

test('a write that fails leaves no temporary file', t => {
  using root = makeRoot()
  mkdirSync(root.scratch.at('root', 'directory'))
  t.throws(() => writeFileInRoot(root.fd, 'directory', 'text', { mode: 0o644 }), { code: 'EISDIR' })
  t.throws(() => writeFileInRoot(root.fd, '/', 'text', { mode: 0o644 }))
  t.deepEqual(readdirSync(root.scratch.at('root')), ['directory'])
})

test('text is read through links inside the root only', t => {
  using root = makeRoot()
  const { scratch, fd } = root
  mkdirSync(scratch.at('root', 'etc'))
  symlinkSync('/etc/real', scratch.at('root', 'etc', 'link'))
  symlinkSync('loop', scratch.at('root', 'loop'))
  writeFileSync(scratch.at('root', 'etc', 'real'), 'inside')
  t.is(readTextInRoot(fd, '/etc/link'), 'inside')
  t.is(readTextInRoot(fd, '/etc/missing'), undefined)
  t.is(readTextInRoot(fd, '/etc/real/below'), undefined)
  t.is(readTextInRoot(fd, '/loop'), undefined)
  t.throws(() => readTextInRoot(fd, '/etc'), { code: 'UNSUPPORTED' })
})

test('what is no file is not opened: no fifo waits for a writer, no device is used', t => {
  using root = makeRoot()
  const kinds = { fifo: constants.S_IFIFO, socket: constants.S_IFSOCK }
  for (const [name, kind] of Object.entries(kinds)) {
    native().makeNodeAt(root.fd, name, kind | 0o600, 0, 0)
    // To open a socket would be ENXIO.
    t.throws(() => readTextInRoot(root.fd, name), { code: 'UNSUPPORTED' })
  }
})

test('text longer than allowed is refused before it is read', t => {
  using root = makeRoot()
  writeFileSync(root.scratch.at('root', 'huge'), '')
  truncateSync(root.scratch.at('root', 'huge'), 2 ** 40)
  t.throws(() => readTextInRoot(root.fd, 'huge'), { code: 'UNSUPPORTED' })
})

test('directories are made with their mode and existing ones are left alone', t => {
  using root = makeRoot()
  const { scratch, fd } = root
  mkdirSync(scratch.at('root', 'a'), { mode: 0o700 })
  symlinkSync('/a', scratch.at('root', 'link'))
  makeDirectoriesInRoot(fd, '/link/b/c', { mode: 0o1777 })
  t.is(lstatSync(scratch.at('root', 'a')).mode & 0o7777, 0o700)
  t.is(lstatSync(scratch.at('root', 'a', 'b')).mode & 0o7777, 0o1777)
  t.true(existsInRoot(fd, 'a/b/c'))
  t.false(existsInRoot(fd, 'a/b/d'))
})

test('a place names the last component below its real directory', t => {
  using root = makeRoot()
  const { scratch, fd } = root
  mkdirSync(scratch.at('root', 'a'))
  symlinkSync('a', scratch.at('root', 'link'))
  using place = openPlace(fd, 'link/new')
  native().makeDirectoryAt(place.directoryFd, place.name, 0o755)
  t.deepEqual(readdirSync(scratch.at('root', 'a')), ['new'])
  t.throws(() => openPlace(fd, 'missing/new'), { code: 'ENOENT' })
})
