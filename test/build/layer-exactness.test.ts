// Layers are exact in both directions: a layer of the change from one tree to another, put onto the first, gives the second;
// and the layer is the same whatever keeps the trees. KAURI_LAYER_SEEDS="7 8 9" or "1000+50" tries other seeds.

import path from 'node:path'
import process from 'node:process'
import { Readable } from 'node:stream'
import { isDeepStrictEqual } from 'node:util'
import type { ExecutionContext } from 'ava'
import { openSnapshotChange } from '../../src/build/snapshot-change.ts'
import { packTree } from '../../src/layer/pack-tree.ts'
import { asDiffId, type Digest, digestOf } from '../../src/oci/digest.ts'
import { openSnapshotter } from '../../src/rootfs/open-snapshotter.ts'
import { type SnapshotId, type Snapshotter, snapshotId } from '../../src/rootfs/rootfs.ts'
import { unpackLayer } from '../../src/rootfs/unpack-layer.ts'
import { testWith } from '../helpers/needs.ts'
import { changeTree, randomNumbers, settleTimes } from '../helpers/random-tree.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { snapshotterDrivers } from '../helpers/snapshotter-drivers.ts'
import { type EntryFacts, treeFacts } from '../helpers/tree-facts.ts'

const test = testWith({ root: true })

const ids = ['a', 'b', 'c', 'd', 'e'].map(letter => snapshotId(letter.repeat(64)))
const [before = ids[0]!, after = ids[0]!, later = ids[0]!, applied = ids[0]!, again = ids[0]!] = ids

function seedsOfThisRun(): number[] {
  const text = process.env['KAURI_LAYER_SEEDS']
  if (text === undefined) return [1, 2, 3, 4, 5]
  return text.split(/[ ,]+/).flatMap(part => {
    const [first = 0, count = 1] = part.split('+').map(Number)
    return Array.from({ length: count }, (_, index) => first + index)
  })
}

/** A snapshot of the parent's tree after the works of a seed. */
async function disturbed(
  trees: Snapshotter,
  id: SnapshotId,
  parent: SnapshotId | undefined,
  { seed, steps }: { readonly seed: number; readonly steps: number },
): Promise<void> {
  await using root = await trees.prepare(parent)
  {
    using tree = root.open()
    changeTree(tree.fd, randomNumbers(seed), steps)
    settleTimes(tree.fd)
  }
  await trees.commit(root, id)
}

async function packed(
  trees: Snapshotter,
  top: SnapshotId,
  below: SnapshotId | undefined,
): Promise<Buffer> {
  using opened = await openSnapshotChange(top, below, trees)
  return Buffer.concat(await Array.fromAsync(packTree(opened.source)))
}

/** Puts a layer onto a snapshot as an image's is unpacked. */
async function apply(
  trees: Snapshotter,
  tar: Buffer,
  id: SnapshotId,
  parent: SnapshotId | undefined,
): Promise<void> {
  const digest = digestOf(tar)
  const layer = {
    descriptor: { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: tar.length },
    diffId: asDiffId(digest),
    open: async () => Readable.from([tar]),
  }
  await using root = await trees.prepare(parent)
  await unpackLayer(layer, root, { snapshotter: trees })
  await trees.commit(root, id)
}

function factsOf(trees: Snapshotter, id: SnapshotId): Map<string, EntryFacts> {
  using tree = trees.open(id)
  return treeFacts(tree.fd)
}

/**
 * Compares but for what no change is: the times of directories that the layer does not name, and names of one file that
 * parted and are as they were in everything else.
 */
function isSameTree(
  t: ExecutionContext,
  trees: Snapshotter,
  {
    wanted,
    got,
    tar,
    message,
  }: { wanted: SnapshotId; got: SnapshotId; tar: Buffer; message: string },
): void {
  const named = directoriesIn(tar)
  const comparable = (id: SnapshotId): Map<string, EntryFacts> =>
    new Map(
      [...factsOf(trees, id)].map(([name, facts]) => {
        const isDirectory = facts.mode.startsWith('4')
        return [name, isDirectory && !named.has(name) ? { ...facts, mtimeSeconds: 0 } : facts]
      }),
    )
  const [a, b, old] = [comparable(wanted), comparable(got), comparable(before)]
  t.deepEqual([...b.keys()], [...a.keys()], message)
  for (const [name, facts] of a) {
    const firstName = old.get(name)?.firstName ?? facts.firstName
    const hasOnlyParted = isDeepStrictEqual(old.get(name), { ...facts, firstName })
    const allowed = hasOnlyParted ? { ...facts, firstName: b.get(name)?.firstName } : facts
    t.deepEqual(b.get(name), allowed, `${message}: ${name}`)
  }
}

/** Paths of directories; those in pax headers are left out, and then not compared by time. */
function directoriesIn(tar: Buffer): Set<string> {
  const found = new Set<string>()
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const text = (from: number, length: number): string =>
      tar.toString('utf8', at + from, at + from + length).replace(/\0.*$/s, '')
    if (text(156, 1) === '5' && text(345, 155) === '') found.add(text(0, 100).slice(0, -1))
    at += 512 + Math.ceil(Number.parseInt(text(124, 12), 8) / 512) * 512
  }
  return found
}

for (const seed of seedsOfThisRun())
  test(`a layer put onto the tree that it was taken from gives the other tree, seed ${seed}`, async t => {
    using scratch = makeScratch()
    const digests = new Map<string, Digest[]>()
    for (const choice of snapshotterDrivers) {
      const trees = await openSnapshotter({ root: path.join(scratch.path, choice), choice })
      await disturbed(trees, before, undefined, { seed, steps: 150 })
      await disturbed(trees, after, before, { seed: seed + 1, steps: 120 })
      await disturbed(trees, later, after, { seed: seed + 2, steps: 60 })
      const change = await packed(trees, after, before)
      const both = await packed(trees, later, before)
      const whole = await packed(trees, later, undefined)
      const message = `${choice}, seed ${seed}`
      await apply(trees, change, applied, before)
      isSameTree(t, trees, { wanted: after, got: applied, tar: change, message })
      t.is(digestOf(await packed(trees, applied, before)), digestOf(change), message)
      await apply(trees, both, again, before)
      isSameTree(t, trees, { wanted: later, got: again, tar: both, message: `${message}, both` })
      digests.set(choice, [change, both, whole].map(digestOf))
    }
    const [first, ...others] = [...digests.values()]
    for (const other of others) t.deepEqual(other, first)
  })
