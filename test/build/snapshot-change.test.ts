// Layers do not tell how trees are kept: the same work on an overlay and on copies gives the same bytes.

import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { openSnapshotChange } from '../../src/build/snapshot-change.ts'
import { packTree } from '../../src/layer/pack-tree.ts'
import { native } from '../../src/native/native.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { openSnapshotter } from '../../src/rootfs/open-snapshotter.ts'
import { type SnapshotId, type Snapshotter, snapshotId } from '../../src/rootfs/rootfs.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { snapshotterDrivers } from '../helpers/snapshotter-drivers.ts'

const test = testWith({ root: true })

const ids = ['a', 'b', 'c'].map(letter => snapshotId(letter.repeat(64)))
const [first = ids[0]!, second = ids[0]!, third = ids[0]!] = ids

async function snapshot(
  trees: Snapshotter,
  id: SnapshotId,
  parent: SnapshotId | undefined,
  change: (tree: string) => void,
): Promise<void> {
  await using root = await trees.prepare(parent)
  {
    using tree = root.open()
    change(tree.path)
  }
  await trees.commit(root, id)
}

/** The tar of a change; with `keepsTimes` a file whose time alone is another one is a change, too. */
async function packed(
  trees: Snapshotter,
  top: SnapshotId,
  below: SnapshotId | undefined,
  keepsTimes = false,
): Promise<{ readonly digest: Digest; readonly names: readonly string[] }> {
  using opened = await openSnapshotChange(top, below, trees)
  const options = { withoutRoot: true, ...(keepsTimes ? {} : { setMtime: 1 }) }
  const tar = Buffer.concat(await Array.fromAsync(packTree(opened.source, options)))
  return { digest: digestOf(tar), names: namesIn(tar) }
}

/** Names of a tar, as its headers have them; `>` a link's target. */
function namesIn(tar: Buffer): string[] {
  const names: string[] = []
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const text = (from: number, length: number): string =>
      tar.toString('latin1', at + from, at + from + length).replace(/\0.*$/s, '')
    const type = text(156, 1)
    const link = type === '1' ? `>${text(157, 100)}` : ''
    if (type !== 'x') names.push(text(0, 100) + link)
    at += 512 + Math.ceil(Number.parseInt(text(124, 12), 8) / 512) * 512
  }
  return names
}

const old = new Date(1_000_000_000_000)

/** Files, links of every kind, and directories, all of one time. */
function fill(tree: string): void {
  const at = (name: string): string => path.join(tree, name)
  for (const directory of ['dir', 'dir/deep', 'other', 'links', 'empty']) mkdirSync(at(directory))
  for (const file of ['file', 'dir/one', 'dir/two', 'dir/deep/three', 'other/four', 'links/a'])
    writeFileSync(at(file), `${file}\n`)
  linkSync(at('links/a'), at('links/b'))
  linkSync(at('links/a'), at('links/z'))
  symlinkSync('dir/one', at('symlink'))
  native().mknod(at('fifo'), 0o010644, 0, 0)
  native().setXattr(at('file'), 'user.color', Buffer.from('red'))
  for (const name of readdirSync(tree, { recursive: true, encoding: 'utf8' }))
    if (!lstatSync(at(name)).isSymbolicLink()) utimesSync(at(name), old, old)
}

const changes: Readonly<Record<string, { work: (tree: string) => void; names: string[] }>> = {
  'nothing at all': { work: () => {}, names: [] },
  'a file and its removal': {
    work: tree => {
      writeFileSync(`${tree}/dir/new`, '')
      rmSync(`${tree}/dir/new`)
    },
    names: [],
  },
  'the same owner again': { work: tree => chownSync(`${tree}/dir/one`, 0, 0), names: [] },
  'other content of the same length and time': {
    work: tree => {
      writeFileSync(`${tree}/dir/one`, 'DIR/ONE\n')
      utimesSync(`${tree}/dir/one`, old, old)
    },
    names: ['dir/', 'dir/one'],
  },
  'a removed directory': {
    work: tree => rmSync(`${tree}/dir`, { recursive: true }),
    names: ['.wh.dir'],
  },
  'a directory made anew with some of what it had': {
    work: tree => {
      rmSync(`${tree}/dir`, { recursive: true })
      mkdirSync(`${tree}/dir/deep`, { recursive: true })
      writeFileSync(`${tree}/dir/deep/three`, 'dir/deep/three\n')
      utimesSync(`${tree}/dir/deep/three`, old, old)
    },
    names: ['dir/', 'dir/.wh.one', 'dir/.wh.two'],
  },
  'a file in the place of a directory': {
    work: tree => {
      rmSync(`${tree}/other`, { recursive: true })
      writeFileSync(`${tree}/other`, '')
    },
    names: ['other'],
  },
  'a directory in the place of a file': {
    work: tree => {
      rmSync(`${tree}/file`)
      mkdirSync(`${tree}/file`)
      writeFileSync(`${tree}/file/in`, '')
    },
    names: ['file/', 'file/in'],
  },
  'one name of a file with several is written to': {
    work: tree => writeFileSync(`${tree}/links/b`, 'changed'),
    names: ['links/', 'links/b'],
  },
  'one more name for a file': {
    work: tree => linkSync(`${tree}/links/a`, `${tree}/links/c`),
    names: ['links/', 'links/a', 'links/c>links/a'],
  },
  'two names for a new file': {
    work: tree => {
      writeFileSync(`${tree}/empty/x`, 'x')
      linkSync(`${tree}/empty/x`, `${tree}/dir/x`)
    },
    names: ['dir/', 'dir/x', 'empty/', 'empty/x>dir/x'],
  },
  'a renamed file': {
    work: tree => renameSync(`${tree}/dir/one`, `${tree}/other/one`),
    names: ['dir/', 'dir/.wh.one', 'other/', 'other/one'],
  },
  'another attribute': {
    work: tree => native().setXattr(`${tree}/file`, 'user.color', Buffer.from('blue')),
    names: ['file'],
  },
  'another mode of a directory': {
    work: tree => chmodSync(`${tree}/dir`, 0o700),
    names: ['dir/'],
  },
}

for (const [title, { work, names }] of Object.entries(changes))
  test(`${title}: the same layer whatever keeps the trees`, async t => {
    using scratch = makeScratch()
    const digests: Digest[][] = []
    for (const choice of snapshotterDrivers) {
      const trees = await openSnapshotter({ root: path.join(scratch.path, choice), choice })
      await snapshot(trees, first, undefined, fill)
      await snapshot(trees, second, first, work)
      t.deepEqual((await packed(trees, second, first, true)).names, names, choice)
      digests.push([
        (await packed(trees, second, first)).digest,
        (await packed(trees, second, undefined)).digest,
      ])
    }
    for (const other of digests) t.deepEqual(other, digests[0])
  })

test('where times are set, what was written again with the same bytes is no change', async t => {
  using scratch = makeScratch()
  for (const choice of snapshotterDrivers) {
    const trees = await openSnapshotter({ root: path.join(scratch.path, choice), choice })
    await snapshot(trees, first, undefined, fill)
    await snapshot(trees, second, first, tree => {
      for (const name of ['dir/one', 'symlink']) rmSync(`${tree}/${name}`)
      writeFileSync(`${tree}/dir/one`, 'dir/one\n')
      writeFileSync(`${tree}/dir/two`, 'other')
      symlinkSync('dir/one', `${tree}/symlink`)
    })
    t.deepEqual((await packed(trees, second, first)).names, ['dir/', 'dir/two'])
    const kept = ['dir/', 'dir/one', 'dir/two', 'symlink']
    t.deepEqual((await packed(trees, second, first, true)).names, kept)
  }
})

/** A small generator whose numbers are the same everywhere (mulberry32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const names = ['dir', 'dir/one', 'dir/deep', 'dir/deep/three', 'other', 'links/a', 'links/b', 'new']

/** Some work on the tree that is decided by the seed alone; what cannot be done is not. */
function disturb(tree: string, seed: number): void {
  const random = randomNumbers(seed)
  for (let step = 0; step < 8; step++) {
    const [from = '', to = ''] = [names[random(names.length)], names[random(names.length)]]
    const [one, two] = [path.join(tree, from), path.join(tree, to)]
    const works = [
      () => writeFileSync(one, `${step}`),
      () => rmSync(one, { recursive: true }),
      () => mkdirSync(one),
      () => linkSync(one, two),
      // mv(1) copies a directory that an overlay refuses to rename.
      () => lstatSync(one).isDirectory() || renameSync(one, two),
      () => chmodSync(one, 0o700 + random(8)),
      () => symlinkSync(to, one),
      () => utimesSync(one, old, old),
    ]
    try {
      works[random(works.length)]?.()
    } catch {
      // As the tree is, that is not possible; it is not in the other tree either.
    }
  }
  for (const name of readdirSync(tree, { recursive: true, encoding: 'utf8' })) {
    const file = path.join(tree, name)
    if (existsSync(file) && !lstatSync(file).isSymbolicLink() && random(3) > 0)
      utimesSync(file, old, old)
  }
}

test('whatever is done to a tree twice, all kinds of trees give the same layers', async t => {
  using scratch = makeScratch()
  for (let seed = 1; seed <= 40; seed++) {
    const results: unknown[] = []
    for (const choice of snapshotterDrivers) {
      const trees = await openSnapshotter({ root: path.join(scratch.path, choice), choice })
      await snapshot(trees, first, undefined, fill)
      await snapshot(trees, second, first, tree => disturb(tree, seed))
      await snapshot(trees, third, second, tree => disturb(tree, seed + 1000))
      results.push([
        (await packed(trees, second, first)).digest,
        (await packed(trees, second, first, true)).names,
        (await packed(trees, third, second)).digest,
        (await packed(trees, third, first)).digest,
        (await packed(trees, third, undefined)).digest,
      ])
      for (const id of [third, second]) await trees.remove(id)
    }
    for (const other of results) t.deepEqual(other, results[0], `seed ${seed}`)
  }
})
