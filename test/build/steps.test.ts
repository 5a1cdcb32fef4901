// What the steps of each kind leave in a root.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { planExecutor } from '../../src/build/execute-plan.ts'
import type { KauriError } from '../../src/core/errors.ts'
import { ignoreEvents } from '../../src/core/events.ts'
import { type BuildStep, guestPath, type UserRequest } from '../../src/plan/plan.ts'
import { makeDoubles, planOf } from '../helpers/build-doubles.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })

/** Builds the steps over a description in `scratch`, and looks at the tree. */
async function inRoot(
  scratch: Scratch,
  steps: readonly BuildStep[],
  look: (root: string) => void,
): Promise<void> {
  const doubles = await makeDoubles(scratch.at('data'))
  const plan = planOf(steps, scratch.at('description'))
  const options = { useCache: true, offline: false, emit: ignoreEvents }
  const built = await planExecutor(doubles.parts)(plan, options)
  using tree = doubles.parts.snapshotter.open(built.snapshot)
  look(tree.path)
}

function makeDescription(scratch: Scratch, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const file = scratch.at('description', name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
}

const common = { title: 'step', phase: 'config' } as const

const copyTree = (source: string, target: string, more: object = {}): BuildStep => ({
  ...common,
  kind: 'copy',
  source: { context: 'description', path: source },
  target: guestPath(target),
  as: 'tree',
  ...more,
})

const copyFile = (source: string, target: string, more: object = {}): BuildStep => ({
  ...common,
  kind: 'copy',
  source: { context: 'description', path: source },
  target: guestPath(target),
  as: 'file',
  ...more,
})

const unpack = (source: string, target: string, ownership: 'archive' | 'root'): BuildStep => ({
  ...common,
  kind: 'unpack',
  source: { context: 'description', path: source },
  target: guestPath(target),
  ownership,
})

const users = (...requests: readonly (Partial<UserRequest> & { name: string })[]): BuildStep => ({
  ...common,
  kind: 'users',
  users: requests.map(request => ({ passwordHash: '!', groups: [], ...request })),
})

const accounts: Record<string, string> = {
  'root/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
  'root/etc/group': 'root:x:0:\nshadow:x:42:\n',
  'root/etc/shadow': 'root:*:19000:0:99999:7:::\n',
  'root/etc/login.defs': 'HOME_MODE 0700\n',
  'root/etc/skel/.profile': 'umask 022\n',
  'root/etc/skel/.config/rc': 'x\n',
}

test('a new user gets a home from the skeleton, of its own and with the mode of the distribution', async t => {
  using scratch = makeScratch()
  makeDescription(scratch, accounts)
  await inRoot(scratch, [copyTree('root', '/'), users({ name: 'tux' })], root => {
    const home = statSync(`${root}/home/tux`)
    t.is(home.mode & 0o7777, 0o700)
    t.is(home.uid, 1000)
    for (const name of ['.profile', '.config', '.config/rc']) {
      const { uid, gid } = statSync(`${root}/home/tux/${name}`)
      t.deepEqual([uid, gid], [1000, 1000], name)
    }
    t.is(statSync(`${root}/home`).uid, 0)
  })
})

test('account files keep owner and mode, new ones are closed to others', async t => {
  using scratch = makeScratch()
  makeDescription(scratch, accounts)
  chmodSync(scratch.at('description/root/etc/shadow'), 0o600)
  await inRoot(scratch, [copyTree('root', '/'), users({ name: 'tux' })], root => {
    t.is(statSync(`${root}/etc/shadow`).mode & 0o7777, 0o600)
    t.is(statSync(`${root}/etc/passwd`).mode & 0o7777, 0o644)
    const gshadow = statSync(`${root}/etc/gshadow`)
    t.is(gshadow.mode & 0o7777, 0o640)
    t.is(gshadow.gid, 42)
  })
})

test('a home that an overlay brought becomes the user’s, the rest of the overlay stays root’s', async t => {
  using scratch = makeScratch()
  makeDescription(scratch, { ...accounts, 'root/home/tux/deep/file': 'x', 'root/home/other': 'x' })
  symlinkSync('/etc/passwd', scratch.at('description/root/home/tux/link'))
  await inRoot(scratch, [copyTree('root', '/'), users({ name: 'tux' })], root => {
    for (const name of ['', '/deep', '/deep/file', '/link'])
      t.is(lstatSync(`${root}/home/tux${name}`).uid, 1000, name)
    t.is(statSync(`${root}/home/other`).uid, 0)
    t.is(statSync(`${root}/etc/passwd`).uid, 0)
  })
})

for (const home of ['/', '/etc', '/nonexistent'])
  test(`the home ${home} is nobody’s own`, async t => {
    using scratch = makeScratch()
    makeDescription(scratch, accounts)
    await inRoot(scratch, [copyTree('root', '/'), users({ name: 'tux', home })], root => {
      t.is(statSync(`${root}/etc/group`).uid, 0)
      t.throws(() => statSync(`${root}/nonexistent`))
    })
  })

test('files of a user who gets another id follow it', async t => {
  using scratch = makeScratch()
  makeDescription(scratch, accounts)
  const steps = [copyTree('root', '/'), users({ name: 'tux' }), users({ name: 'tux', id: 5000 })]
  await inRoot(scratch, steps, root => {
    t.is(statSync(`${root}/home/tux/.config/rc`).uid, 5000)
    t.is(statSync(`${root}/home/tux/.config/rc`).gid, 1000)
  })
})

test('a link in the place of a home leads nowhere outside', async t => {
  using scratch = makeScratch()
  makeDescription(scratch, accounts)
  mkdirSync(scratch.at('victim'))
  writeFileSync(scratch.at('victim/file'), '')
  mkdirSync(scratch.at('description/root/home'))
  symlinkSync(scratch.at('victim'), scratch.at('description/root/home/tux'))
  await inRoot(scratch, [copyTree('root', '/'), users({ name: 'tux' })], root => {
    t.true(lstatSync(`${root}/home/tux`).isDirectory())
    t.is(statSync(scratch.at('victim')).uid, 0)
    t.is(statSync(scratch.at('victim/file')).uid, 0)
  })
})

test('a copied file gets the owner and mode that the step says', async t => {
  using scratch = makeScratch()
  makeDescription(scratch, { ...accounts, file: 'x' })
  const steps = [
    copyTree('root', '/'),
    users({ name: 'tux' }),
    copyFile('file', '/opt/new/file', { owner: 'tux', mode: 0o4755 }),
    copyFile('file', '/opt/other', { owner: 'tux:shadow' }),
    copyFile('file', '/opt/number', { owner: '7:8' }),
  ]
  await inRoot(scratch, steps, root => {
    const stats = (name: string) => statSync(`${root}/opt/${name}`)
    t.deepEqual([stats('new/file').uid, stats('new/file').gid], [1000, 0])
    t.is(stats('new/file').mode & 0o7777, 0o4755)
    t.deepEqual([stats('other').uid, stats('other').gid], [1000, 42])
    t.deepEqual([stats('number').uid, stats('number').gid], [7, 8])
  })
})

test('a file in the place of a tree is told, and a directory in that of a file', async t => {
  using scratch = makeScratch()
  makeDescription(scratch, { file: 'x', 'tree/file': 'x' })
  for (const step of [copyTree('file', '/'), copyFile('tree', '/x')]) {
    const error = await t.throwsAsync<KauriError>(inRoot(scratch, [step], () => {}))
    t.is(error?.code, 'FILE_NOT_FOUND')
  }
})

function packDescription(scratch: Scratch, ...options: readonly string[]): void {
  const archive = scratch.at('description/a.tar')
  execFileSync('tar', ['-C', scratch.at('archived'), '-cf', archive, ...options, '.'])
}

test('an archive keeps its times, and its owners only where the step says so', async t => {
  using scratch = makeScratch()
  makeDescription(scratch, { 'root/usr/bin/keep': 'x' })
  symlinkSync('usr/bin', scratch.at('description/root/bin'))
  mkdirSync(scratch.at('archived/bin'), { recursive: true })
  writeFileSync(scratch.at('archived/bin/tool'), 'x')
  utimesSync(scratch.at('archived/bin/tool'), 1_000_000, 1_000_000)
  packDescription(scratch, '--owner=12', '--group=34')
  await inRoot(scratch, [copyTree('root', '/'), unpack('a.tar', '/', 'archive')], root => {
    t.true(lstatSync(`${root}/bin`).isSymbolicLink(), 'a link to a directory stays')
    const tool = statSync(`${root}/usr/bin/tool`)
    t.deepEqual([tool.uid, tool.gid, tool.mtimeMs], [12, 34, 1_000_000_000])
  })
  await inRoot(scratch, [unpack('a.tar', '/srv/here', 'root')], root => {
    const tool = statSync(`${root}/srv/here/bin/tool`)
    t.deepEqual([tool.uid, tool.gid], [0, 0])
  })
})

test('an archive that is none is refused', async t => {
  using scratch = makeScratch()
  makeDescription(scratch, { 'a.tar': 'this is no tar archive at all'.repeat(100) })
  const work = inRoot(scratch, [unpack('a.tar', '/', 'root')], () => {})
  t.is((await t.throwsAsync<KauriError>(work))?.code, 'ARCHIVE_INVALID')
})

test('write and link replace what has the name, and make the directories before it', async t => {
  using scratch = makeScratch()
  makeDescription(scratch, { 'root/etc/old': 'x' })
  symlinkSync('/outside', scratch.at('description/root/etc/link'))
  const write = (target: string, text: string, mode: number): BuildStep => ({
    ...common,
    kind: 'write',
    target: guestPath(target),
    text,
    mode,
  })
  const link = (target: string, to: string): BuildStep => ({
    ...common,
    kind: 'link',
    target: guestPath(target),
    to,
  })
  const steps = [
    copyTree('root', '/'),
    write('/etc/link', 'text\n', 0o600),
    write('/a/b/c', 'deep\n', 0o644),
    link('/etc/old', '../usr/share/x'),
    link('/x/y/z', '/somewhere'),
  ]
  await inRoot(scratch, steps, root => {
    t.false(lstatSync(`${root}/etc/link`).isSymbolicLink())
    t.is(readFileSync(`${root}/etc/link`, 'utf8'), 'text\n')
    t.is(statSync(`${root}/etc/link`).mode & 0o7777, 0o600)
    t.is(readFileSync(`${root}/a/b/c`, 'utf8'), 'deep\n')
    t.is(readlinkSync(`${root}/etc/old`), '../usr/share/x')
    t.is(readlinkSync(`${root}/x/y/z`), '/somewhere')
  })
})
