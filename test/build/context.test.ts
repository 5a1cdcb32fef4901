// What steps read from contexts: listing, digest and copy.

import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import plainTest from 'ava'
import { digestContextSource } from '../../src/build/context-digest.ts'
import { openContextSource } from '../../src/build/context-scan.ts'
import { copyEntries, rootOwner } from '../../src/build/copy-entries.ts'
import type { KauriError } from '../../src/core/errors.ts'
import { native } from '../../src/native/native.ts'
import { guestPath } from '../../src/plan/plan.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })

function makeTree(scratch: Scratch, name = 'tree'): string {
  const root = scratch.at(name)
  mkdirSync(`${root}/etc/deep`, { recursive: true })
  writeFileSync(`${root}/etc/a`, 'first\n')
  writeFileSync(`${root}/etc/deep/b`, 'second\n')
  symlinkSync('deep/b', `${root}/etc/link`)
  linkSync(`${root}/etc/a`, `${root}/etc/same`)
  return root
}

async function digestTree(root: string, path = '.'): Promise<string> {
  using source = openContextSource(root, { context: 'c', path })
  return await digestContextSource(source)
}

async function copyTree(from: string, to: string, target: string, path = '.'): Promise<void> {
  mkdirSync(to, { recursive: true })
  using source = openContextSource(from, { context: 'c', path })
  const rootFd = openSync(to, 'r')
  await copyEntries(source, { rootFd, target: guestPath(target), owner: rootOwner })
}

test('entries come parents first, names in the order of their bytes', t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  for (const name of ['Z', 'a', 'B', 'ä']) writeFileSync(`${root}/${name}`, '')
  using source = openContextSource(root, { context: 'c', path: '.' })
  t.deepEqual(
    source.entries.map(entry => entry.path),
    ['', 'B', 'Z', 'a', 'etc', 'etc/a', 'etc/deep', 'etc/deep/b', 'etc/link', 'etc/same', 'ä'],
  )
  t.is(source.entries.find(entry => entry.path === 'etc/same')?.sameAs, 'etc/a')
  t.is(source.entries.find(entry => entry.path === 'etc/link')?.target, 'deep/b')
})

test('the digest is the same for another directory, other times and owners', async t => {
  using scratch = makeScratch()
  const first = makeTree(scratch, 'first')
  const second = makeTree(scratch, 'elsewhere')
  utimesSync(`${second}/etc/a`, 1, 1)
  t.is(await digestTree(first), await digestTree(second))
  t.is(await digestTree(first, 'etc'), await digestTree(second, 'etc'))
})

const changes: Record<string, (root: string) => void> = {
  content: root => writeFileSync(`${root}/etc/a`, 'fIrst\n'),
  'a new file': root => writeFileSync(`${root}/etc/new`, ''),
  'the mode of a file': root => chmodSync(`${root}/etc/a`, 0o755),
  'the mode of a directory': root => chmodSync(`${root}/etc/deep`, 0o700),
  'a link in place of a file': root => {
    native().removeTreeAt(openSync(`${root}/etc/deep`, 'r'), 'b')
    symlinkSync('../a', `${root}/etc/deep/b`)
  },
  'a second name in place of an equal file': root => {
    native().removeTreeAt(openSync(`${root}/etc`, 'r'), 'same')
    writeFileSync(`${root}/etc/same`, 'first\n')
  },
  'an attribute of the user': root =>
    native().setXattr(`${root}/etc/a`, 'user.kind', Buffer.from('x')),
  'a device': root => native().mknod(`${root}/null`, 0o020666, 1, 3),
}

for (const [what, change] of Object.entries(changes))
  test(`${what} changes the digest`, async t => {
    using scratch = makeScratch()
    const root = makeTree(scratch)
    const before = await digestTree(root)
    change(root)
    t.not(await digestTree(root), before)
  })

test('labels of the machine and sockets are no part of it', async t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  const before = await digestTree(root)
  native().setXattr(`${root}/etc/a`, 'trusted.mark', Buffer.from('x'))
  const server = createServer().listen(`${root}/socket`)
  t.is(await digestTree(root), before)
  server.close()
})

test('large files are read whole', async t => {
  using scratch = makeScratch()
  for (const name of ['a', 'b']) {
    mkdirSync(scratch.at(name))
    writeFileSync(scratch.at(name, 'large'), Buffer.alloc(3_000_000, 'x'))
  }
  t.is(await digestTree(scratch.at('a')), await digestTree(scratch.at('b')))
  writeFileSync(
    scratch.at('b', 'large'),
    Buffer.concat([Buffer.alloc(2_999_999, 'x'), Buffer.from('y')]),
  )
  t.not(await digestTree(scratch.at('a')), await digestTree(scratch.at('b')))
})

for (const [what, path] of [
  ['a missing source', 'nothing'],
  ['a source above the context', '../outside'],
  ['a link out of the context', 'escape'],
  ['an absolute link', 'absolute'],
  ['a link to itself', 'loop'],
] as const)
  test(`${what} is not found`, t => {
    using scratch = makeScratch()
    mkdirSync(scratch.at('context'))
    mkdirSync(scratch.at('outside'))
    symlinkSync('../outside', scratch.at('context', 'escape'))
    symlinkSync(scratch.at('outside'), scratch.at('context', 'absolute'))
    symlinkSync('loop', scratch.at('context', 'loop'))
    const error = t.throws<KauriError>(() =>
      openContextSource(scratch.at('context'), { context: 'c', path }),
    )
    t.is(error?.code, 'FILE_NOT_FOUND')
  })

test('a link inside the context is followed', async t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  symlinkSync('etc', `${root}/overlay`)
  t.is(await digestTree(root, 'overlay'), await digestTree(root, 'etc'))
})

test('a copy is equal to its source, whoever owned that, and belongs to root', async t => {
  using scratch = makeScratch()
  const root = makeTree(scratch)
  chownSync(`${root}/etc/a`, 12, 34)
  chmodSync(`${root}/etc/a`, 0o4750)
  native().mknod(`${root}/zero`, 0o020640, 1, 5)
  native().setXattr(`${root}/etc/a`, 'user.kind', Buffer.from('x'))
  native().setXattr(
    `${root}/etc/deep/b`,
    'security.capability',
    Buffer.from('0100000200200000000000000000000000000000', 'hex'),
  )
  await copyTree(root, scratch.at('copy'), '/')
  chmodSync(scratch.at('copy'), statSync(root).mode & 0o7777)
  t.is(await digestTree(scratch.at('copy')), await digestTree(root))
  t.is(statSync(scratch.at('copy/etc/a')).ino, statSync(scratch.at('copy/etc/same')).ino)
  t.is(statSync(scratch.at('copy/etc/a')).uid, 0)
  t.is(readlinkSync(scratch.at('copy/etc/link')), 'deep/b')
})

test('links in the place of directories are kept and followed inside the tree only', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('source/bin'), { recursive: true })
  mkdirSync(scratch.at('source/evil'), { recursive: true })
  writeFileSync(scratch.at('source/bin/tool'), 'x')
  writeFileSync(scratch.at('source/evil/passwd'), 'x')
  mkdirSync(scratch.at('root/usr/bin'), { recursive: true })
  mkdirSync(scratch.at('outside'))
  symlinkSync('usr/bin', scratch.at('root/bin'))
  symlinkSync(scratch.at('outside'), scratch.at('root/evil'))
  await copyTree(scratch.at('source'), scratch.at('root'), '/')
  t.true(lstatSync(scratch.at('root/bin')).isSymbolicLink())
  t.is(readFileSync(scratch.at('root/usr/bin/tool'), 'utf8'), 'x')
  t.false(existsSync(scratch.at('outside/passwd')))
})

test('a link that has the name of a file is replaced, not written through', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('source'))
  mkdirSync(scratch.at('root'))
  writeFileSync(scratch.at('source/file'), 'new')
  writeFileSync(scratch.at('victim'), 'old')
  symlinkSync(scratch.at('victim'), scratch.at('root/file'))
  await copyTree(scratch.at('source'), scratch.at('root'), '/')
  t.is(readFileSync(scratch.at('victim'), 'utf8'), 'old')
  t.is(readFileSync(scratch.at('root/file'), 'utf8'), 'new')
})

test('the target directory keeps its mode, those inside get that of the source', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('source/etc'), { recursive: true })
  mkdirSync(scratch.at('root/etc'), { recursive: true })
  chmodSync(scratch.at('source'), 0o700)
  chmodSync(scratch.at('source/etc'), 0o750)
  chmodSync(scratch.at('root'), 0o755)
  await copyTree(scratch.at('source'), scratch.at('root'), '/')
  t.is(statSync(scratch.at('root')).mode & 0o7777, 0o755)
  t.is(statSync(scratch.at('root/etc')).mode & 0o7777, 0o750)
})

test('a file and a directory in each other’s way are a clear error', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('source'))
  mkdirSync(scratch.at('root/name/full'), { recursive: true })
  writeFileSync(scratch.at('source/name'), '')
  const error = await t.throwsAsync<KauriError>(
    copyTree(scratch.at('source'), scratch.at('root'), '/'),
  )
  t.is(error?.code, 'PROCESS_FAILED')
  t.regex(error?.message ?? '', /\/name/)
})

plainTest('names that are not UTF-8 survive the copy', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('source'))
  writeFileSync(
    Buffer.concat([Buffer.from(`${scratch.at('source')}/`), Buffer.from([0xff, 0x41])]),
    'x',
  )
  await copyTree(scratch.at('source'), scratch.at('copy'), '/')
  t.is(await digestTree(scratch.at('source')), await digestTree(scratch.at('copy')))
})
