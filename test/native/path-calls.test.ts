import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import test from 'ava'
import { native } from '../../src/native/native.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

test('data extents of a sparse file leave out its holes', t => {
  using scratch = makeScratch()
  const fd = openSync(scratch.at('sparse'), 'w+')
  writeSync(fd, Buffer.alloc(4096, 1), 0, 4096, 1024 * 1024)
  ftruncateSync(fd, 4 * 1024 * 1024)
  t.deepEqual(native().dataExtents(fd), [1024 * 1024, 4096])
  closeSync(fd)
})

test('data extents of a file that is one hole are none', t => {
  using scratch = makeScratch()
  const fd = openSync(scratch.at('hole'), 'w+')
  ftruncateSync(fd, 1024 * 1024)
  t.deepEqual(native().dataExtents(fd), [])
  closeSync(fd)
})

test('an exclusive lock keeps others out until it is closed, shared ones do not', t => {
  using scratch = makeScratch()
  const [a, b] = [openSync(scratch.at('lock'), 'w'), openSync(scratch.at('lock'), 'w')]
  t.true(native().tryLock(a, 'shared'))
  t.true(native().tryLock(b, 'shared'))
  t.false(native().tryLock(b, 'exclusive'))
  closeSync(a)
  t.true(native().tryLock(b, 'exclusive'))
  const c = openSync(scratch.at('lock'), 'r')
  t.false(native().tryLock(c, 'shared'))
  closeSync(b)
  t.true(native().tryLock(c, 'shared'))
  closeSync(c)
})

test('a lock and a sync of a closed descriptor are EBADF', t => {
  using scratch = makeScratch()
  const fd = openSync(scratch.at('file'), 'w')
  closeSync(fd)
  t.throws(() => native().tryLock(fd, 'shared'), { code: 'EBADF' })
  t.throws(() => native().syncFileSystem(fd), { code: 'EBADF' })
})

test('cloneFile shares the blocks or says that it cannot', t => {
  using scratch = makeScratch()
  const source = openSync(scratch.at('source'), 'w+')
  const target = openSync(scratch.at('target'), 'w+')
  writeSync(source, 'content')
  if (native().cloneFile(source, target))
    t.is(readFileSync(scratch.at('target'), 'utf8'), 'content')
  else t.is(readFileSync(scratch.at('target'), 'utf8'), '')
  native().syncFileSystem(source)
  closeSync(source)
  closeSync(target)
})

testWith({ root: true })('mknod makes a whiteout', t => {
  using scratch = makeScratch()
  native().mknod(scratch.at('gone'), 0o020000, 0, 0)
  t.like(native().statFile(scratch.at('gone')), { mode: 0o020000, rdev: 0 })
  const error = t.throws(() => native().mknod(scratch.at('gone'), 0o020000, 0, 0))
  t.like(error, { code: 'EEXIST', path: scratch.at('gone') })
})
