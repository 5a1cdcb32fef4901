// The contract of snapshotters, run on each of them.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { ExecutionContext } from 'ava'
import { native } from '../../src/native/native.ts'
import { openSnapshotter } from '../../src/rootfs/open-snapshotter.ts'
import { type SnapshotId, type Snapshotter, snapshotId } from '../../src/rootfs/rootfs.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { snapshotterDrivers } from '../helpers/snapshotter-drivers.ts'

const test = testWith({ root: true })

const first = snapshotId('1'.repeat(64))
const second = snapshotId('2'.repeat(64))
const third = snapshotId('3'.repeat(64))

function temporaryRoot(t: ExecutionContext): string {
  const root = mkdtempSync(path.join(tmpdir(), 'kauri-snapshots-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  return root
}

/** A snapshot made by `change` on top of `parent`. */
async function snapshot(
  snapshotter: Snapshotter,
  id: SnapshotId,
  parent: SnapshotId | undefined,
  change: (tree: string) => void,
): Promise<void> {
  await using rootfs = await snapshotter.prepare(parent)
  {
    using tree = rootfs.open()
    change(tree.path)
  }
  await snapshotter.commit(rootfs, id)
}

/** Relative paths of everything in the tree of a snapshot. */
function list(snapshotter: Snapshotter, id: SnapshotId): string[] {
  using tree = snapshotter.open(id)
  return readdirSync(tree.path, { recursive: true, encoding: 'utf8' }).toSorted()
}

for (const driver of snapshotterDrivers) {
  const open = (root: string): Promise<Snapshotter> => openSnapshotter({ root, choice: driver })

  test(`${driver}: a committed tree is found again under its name`, async t => {
    const root = temporaryRoot(t)
    const snapshotter = await open(root)
    t.is(await snapshotter.findSnapshot(first), undefined)
    await using rootfs = await snapshotter.prepare(undefined)
    t.is(rootfs.mount.kind, 'directory')
    {
      using tree = rootfs.open()
      writeFileSync(path.join(tree.path, 'a'), 'hello')
    }
    const made = await snapshotter.commit(rootfs, first, { colour: 'green' })
    t.deepEqual(made, { id: first, parent: undefined, labels: { colour: 'green' } })
    t.deepEqual(await (await open(root)).findSnapshot(first), made)
    using tree = snapshotter.open(first)
    t.is(readFileSync(path.join(tree.path, 'a'), 'utf8'), 'hello')
  })

  test(`${driver}: a tree starts as its parent and hides what it removes`, async t => {
    const snapshotter = await open(temporaryRoot(t))
    await snapshot(snapshotter, first, undefined, tree => {
      mkdirSync(path.join(tree, 'd/e'), { recursive: true })
      writeFileSync(path.join(tree, 'd/e/f'), 'f')
      writeFileSync(path.join(tree, 'gone'), 'gone')
    })
    await snapshot(snapshotter, second, first, tree => {
      unlinkSync(path.join(tree, 'gone'))
      writeFileSync(path.join(tree, 'd/new'), 'new')
    })
    await snapshot(snapshotter, third, second, tree => {
      rmSync(path.join(tree, 'd/e'), { recursive: true })
    })
    t.deepEqual(list(snapshotter, first), ['d', 'd/e', 'd/e/f', 'gone'])
    t.deepEqual(list(snapshotter, second), ['d', 'd/e', 'd/e/f', 'd/new'])
    t.deepEqual(list(snapshotter, third), ['d', 'd/new'])
  })

  test(`${driver}: owners, modes, times, links, devices and attributes reach the next tree`, async t => {
    const snapshotter = await open(temporaryRoot(t))
    await snapshot(snapshotter, first, undefined, tree => {
      const file = path.join(tree, 'file')
      writeFileSync(file, 'x')
      linkSync(file, path.join(tree, 'linked'))
      symlinkSync('nowhere', path.join(tree, 'symbolic'))
      native().mknod(path.join(tree, 'null'), 0o020666, 1, 3)
      chownSync(file, 1234, 5678)
      chmodSync(file, 0o4711)
      native().setXattr(file, 'user.note', Buffer.from('kept'))
      utimesSync(file, 1000, 1000)
      chmodSync(tree, 0o701)
      chownSync(tree, 7, 8)
    })
    await snapshot(snapshotter, second, first, tree => writeFileSync(path.join(tree, 'other'), ''))
    using tree = snapshotter.open(second)
    const stat = lstatSync(path.join(tree.path, 'file'))
    t.is(stat.mode & 0o7777, 0o4711)
    t.deepEqual([stat.uid, stat.gid, stat.mtimeMs, stat.nlink], [1234, 5678, 1_000_000, 2])
    t.is(native().getXattr(path.join(tree.path, 'file'), 'user.note').toString(), 'kept')
    t.is(readlinkSync(path.join(tree.path, 'symbolic')), 'nowhere')
    t.is(lstatSync(path.join(tree.path, 'null')).rdev, 0x103)
    const top = statSync(tree.path)
    t.deepEqual([top.mode & 0o7777, top.uid, top.gid], [0o701, 7, 8])
  })

  test(`${driver}: an opened snapshot cannot be written to`, async t => {
    const snapshotter = await open(temporaryRoot(t))
    await snapshot(snapshotter, first, undefined, () => {})
    await snapshot(snapshotter, second, first, tree => writeFileSync(path.join(tree, 'a'), ''))
    for (const id of [first, second]) {
      using tree = snapshotter.open(id)
      t.throws(() => writeFileSync(path.join(tree.path, 'new'), ''), { code: 'EROFS' })
    }
  })

  test(`${driver}: a snapshot can be written to in place by one at a time, again and again`, async t => {
    const root = temporaryRoot(t)
    const snapshotter = await open(root)
    await snapshot(snapshotter, first, undefined, tree => writeFileSync(path.join(tree, 'a'), 'a'))
    await snapshot(snapshotter, second, first, () => {})
    for (const name of ['b', 'c']) {
      using reopened = snapshotter.reopen(second)
      t.throws(() => snapshotter.reopen(second), { code: 'LOCK_BUSY' })
      t.throws(() => snapshotter.open(second), { code: 'SNAPSHOT_INVALID' })
      await t.throwsAsync(snapshotter.remove(second), { code: 'LOCK_BUSY' })
      using tree = reopened.open()
      writeFileSync(path.join(tree.path, name), name)
    }
    t.deepEqual(list(snapshotter, second), ['a', 'b', 'c'])
    t.deepEqual(list(snapshotter, first), ['a'])
    t.deepEqual(list(await open(root), second), ['a', 'b', 'c'])
    t.throws(() => snapshotter.reopen(third), { code: 'SNAPSHOT_INVALID' })
    await snapshotter.remove(second)
  })

  test(`${driver}: a tree that is disposed leaves nothing`, async t => {
    const root = temporaryRoot(t)
    const snapshotter = await open(root)
    const rootfs = await snapshotter.prepare(undefined)
    t.is(readdirSync(path.join(root, driver, '.active')).length, 2)
    await rootfs[Symbol.asyncDispose]()
    await rootfs[Symbol.asyncDispose]()
    t.deepEqual(readdirSync(path.join(root, driver, '.active')), [])
    t.deepEqual(readdirSync(path.join(root, driver, '.trash')), [])
  })

  test(`${driver}: of two trees committed under one name the first stays`, async t => {
    const root = temporaryRoot(t)
    const [one, two] = [await open(root), await open(root)]
    await using a = await one.prepare(undefined)
    await using b = await two.prepare(undefined)
    for (const [rootfs, name] of [
      [a, 'a'],
      [b, 'b'],
    ] as const) {
      using tree = rootfs.open()
      writeFileSync(path.join(tree.path, name), '')
    }
    await one.commit(a, first, { by: 'one' })
    t.like(await two.commit(b, first, { by: 'two' }), { labels: { by: 'one' } })
    t.deepEqual(list(two, first), ['a'])
    t.deepEqual(readdirSync(path.join(root, driver, '.active')), [])
  })

  test(`${driver}: a missing parent is refused`, async t => {
    const snapshotter = await open(temporaryRoot(t))
    await t.throwsAsync(snapshotter.prepare(first), { code: 'SNAPSHOT_INVALID' })
    t.throws(() => snapshotter.open(first), { code: 'SNAPSHOT_INVALID' })
  })

  test(`${driver}: a snapshot whose parent was lost counts as absent and can be made again`, async t => {
    const root = temporaryRoot(t)
    const snapshotter = await open(root)
    await snapshot(snapshotter, first, undefined, () => {})
    await snapshot(snapshotter, second, first, () => {})
    rmSync(path.join(root, driver, first), { recursive: true })
    t.is(await snapshotter.findSnapshot(second), undefined)
    await snapshot(snapshotter, second, undefined, tree => writeFileSync(path.join(tree, 'a'), ''))
    t.deepEqual(list(snapshotter, second), ['a'])
  })

  test(`${driver}: removal spares what is in use and is idempotent`, async t => {
    const snapshotter = await open(temporaryRoot(t))
    await snapshot(snapshotter, first, undefined, () => {})
    await snapshot(snapshotter, second, first, () => {})
    await t.throwsAsync(snapshotter.remove(first), { code: 'LOCK_BUSY', message: /stands on it/ })
    {
      using tree = snapshotter.open(second)
      t.truthy(tree.fd)
      await t.throwsAsync(snapshotter.remove(second), { code: 'LOCK_BUSY', message: /in use/ })
    }
    await using rootfs = await snapshotter.prepare(second)
    t.is(rootfs.parent, second)
    await t.throwsAsync(snapshotter.remove(second), { code: 'LOCK_BUSY', message: /in use/ })
    await rootfs[Symbol.asyncDispose]()
    await snapshotter.remove(second)
    await snapshotter.remove(second)
    await snapshotter.remove(first)
    t.deepEqual(await snapshotter.list(), [])
  })

  test(`${driver}: finding a snapshot marks it as used`, async t => {
    const root = temporaryRoot(t)
    const snapshotter = await open(root)
    await snapshot(snapshotter, first, undefined, () => {})
    utimesSync(path.join(root, driver, first, 'meta.json'), 1, 1)
    t.like((await snapshotter.list())[0], { id: first, usedMs: 1000 })
    await snapshotter.findSnapshot(first)
    t.true(((await snapshotter.list())[0]?.usedMs ?? 0) > 1000)
  })

  test(`${driver}: changes name the tree, or what to compare`, async t => {
    const snapshotter = await open(temporaryRoot(t))
    await snapshot(snapshotter, first, undefined, tree => writeFileSync(path.join(tree, 'a'), ''))
    await snapshot(snapshotter, second, first, tree => {
      unlinkSync(path.join(tree, 'a'))
      writeFileSync(path.join(tree, 'b'), '')
    })
    const base = snapshotter.changes(first)
    t.is(base.kind, 'tree')
    t.deepEqual(readdirSync(base.path), ['a'])
    const changes = snapshotter.changes(second)
    if (changes.kind === 'tree-diff') t.is(changes.parent, base.path)
    else t.is(lstatSync(path.join(changes.path, 'a')).rdev, 0)
    t.is(changes.kind, driver === 'overlay' ? 'overlay-upper' : 'tree-diff')
    t.true(existsSync(path.join(changes.path, 'b')))
  })

  test(`${driver}: what was not settled is forgotten at the next boot, the rest stays`, async t => {
    const root = temporaryRoot(t)
    const snapshotter = await open(root)
    await snapshot(snapshotter, first, undefined, () => {})
    await snapshotter.settle()
    await snapshot(snapshotter, second, first, () => {})
    writeFileSync(path.join(root, driver, '.boot'), 'an earlier boot')
    const later = await open(root)
    t.like(await later.findSnapshot(first), { id: first })
    t.is(await later.findSnapshot(second), undefined)
  })

  test(`${driver}: the next command removes the tree of a killed process, or keeps it where told so`, async t => {
    const root = temporaryRoot(t)
    const kept = snapshotId('4'.repeat(64))
    const program = `
      import { openSnapshotter } from '${path.resolve('src/rootfs/open-snapshotter.ts')}'
      import { writeFileSync } from 'node:fs'
      const snapshotter = await openSnapshotter({ root: '${root}', choice: '${driver}' })
      const rootfs = await snapshotter.prepare(undefined)
      const other = await snapshotter.prepare(undefined, { keepAs: '${kept}' })
      writeFileSync(other.mount.path + '/written', '')
      console.log(JSON.stringify(rootfs.mount))
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    const live = await open(root)
    await live.prepare(undefined)
    const active = path.join(root, driver, '.active')
    t.is(readdirSync(active).length, 6, 'trees of the living stay')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const snapshotter = await open(root)
    await eventually(() => readdirSync(active).length <= 2)
    t.is(readdirSync(active).length, 2)
    t.deepEqual(list(snapshotter, kept), ['written'])
    writeFileSync(path.join(root, driver, '.boot'), 'an earlier boot')
    t.like(await (await open(root)).findSnapshot(kept), { id: kept })
  })

  test(`${driver}: a tree to be kept says so until it has its name, so that no kill loses it`, async t => {
    const root = temporaryRoot(t)
    const snapshotter = await open(root)
    const rootfs = await snapshotter.prepare(undefined, { keepAs: first })
    const named = path.join(root, driver, first)
    writeFileSync(named, 'in the way')
    await t.throwsAsync(snapshotter.commit(rootfs, first))
    const active = path.join(root, driver, '.active')
    const [tree = ''] = readdirSync(active).filter(name => !name.endsWith('.lock'))
    t.is(readFileSync(path.join(active, tree, 'keep-as'), 'utf8'), first)
    rmSync(named)
    await snapshotter.commit(rootfs, first)
    t.false(existsSync(path.join(named, 'keep-as')))
  })

  test(`${driver}: a tree of a process that was killed while it named it is removed`, async t => {
    const root = temporaryRoot(t)
    await open(root)
    const active = path.join(root, driver, '.active')
    for (const [name, words] of Object.entries({ a: '', b: '123', c: `${first} 4` })) {
      mkdirSync(path.join(active, name, 'fs'), { recursive: true })
      writeFileSync(path.join(active, name, 'keep-as'), words)
      writeFileSync(path.join(active, `${name}.lock`), '')
    }
    await open(root)
    await eventually(() => readdirSync(active).length === 0)
    t.deepEqual(readdirSync(active), [])
  })

  test(`${driver}: many processes may commit one name at once`, async t => {
    const root = temporaryRoot(t)
    const program = `
      import { openSnapshotter } from '${path.resolve('src/rootfs/open-snapshotter.ts')}'
      import { writeFileSync } from 'node:fs'
      const snapshotter = await openSnapshotter({ root: '${root}', choice: '${driver}' })
      for (let i = 0; i < 30; i++) {
        const id = String(i).padStart(64, '0')
        await using rootfs = await snapshotter.prepare(undefined)
        writeFileSync(rootfs.mount.path + '/only', '')
        const made = await snapshotter.commit(rootfs, id)
        if (made.id !== id) throw new Error(made.id)
      }`
    await Promise.all(
      [1, 2, 3].map(async () => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
          stdio: 'inherit',
        })
        t.deepEqual(await once(child, 'exit'), [0, null])
      }),
    )
    const snapshotter = await open(root)
    const all = await snapshotter.list()
    t.is(all.length, 30)
    for (const { id } of all) t.deepEqual(list(snapshotter, id), ['only'])
  })
}

test('nothing of a snapshotter shows in the mount table', async t => {
  const snapshotter = await openSnapshotter({ root: temporaryRoot(t), choice: 'overlay' })
  await snapshot(snapshotter, first, undefined, () => {})
  await using rootfs = await snapshotter.prepare(first)
  const before = execFileSync('cat', ['/proc/self/mountinfo'], { encoding: 'utf8' })
  using tree = rootfs.open()
  t.deepEqual(readdirSync(tree.path), [])
  t.is(execFileSync('ls', [tree.path], { encoding: 'utf8' }), '')
  t.is(execFileSync('cat', ['/proc/self/mountinfo'], { encoding: 'utf8' }), before)
})

test('overlay takes 499 layers, each seen through the others', async t => {
  const snapshotter = await openSnapshotter({ root: temporaryRoot(t), choice: 'overlay' })
  let parent: SnapshotId | undefined
  for (let i = 0; i < 499; i++) {
    const id = snapshotId(String(i).padStart(64, '0'))
    await using rootfs = await snapshotter.prepare(parent)
    const target = rootfs.mount.kind === 'directory' ? rootfs.mount.path : rootfs.mount.upper
    writeFileSync(path.join(target ?? '', `file-${i}`), '')
    await snapshotter.commit(rootfs, id)
    parent = id
  }
  t.is(list(snapshotter, snapshotId(String(498).padStart(64, '0'))).length, 499)
})
