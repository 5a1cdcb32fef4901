// Layers become the same tree whichever snapshotter keeps it, and nothing that is wrong gets a name.

import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { native } from '../../src/native/native.ts'
import { asDiffId, chainIdsOf, digestOf, hexOf } from '../../src/oci/digest.ts'
import { layerMediaType } from '../../src/oci/media-types.ts'
import { openSnapshotter } from '../../src/rootfs/open-snapshotter.ts'
import { type SnapshotId, type Snapshotter, snapshotId } from '../../src/rootfs/rootfs.ts'
import { unpackImage } from '../../src/rootfs/unpack-image.ts'
import type { StoredLayer } from '../../src/rootfs/unpack-layer.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { snapshotterDrivers } from '../helpers/snapshotter-drivers.ts'
import { listTree, type TreeListing, tarOf } from '../helpers/tar.ts'

const test = testWith({ root: true })

interface CountedLayer extends StoredLayer {
  opened: number
}

/** A stored layer; `packed` may be anything a store could hold. */
function layerOf(tar: Buffer, packed: Buffer = tar): CountedLayer {
  const layer: CountedLayer = {
    descriptor: {
      mediaType: layerMediaType('none'),
      digest: digestOf(packed),
      size: packed.length,
    },
    diffId: asDiffId(digestOf(tar)),
    opened: 0,
    async open() {
      layer.opened++
      return Readable.from([packed.subarray(0, 100), packed.subarray(100)])
    },
  }
  return layer
}

function chainOf(layers: readonly StoredLayer[]): SnapshotId[] {
  return chainIdsOf(layers.map(({ diffId }) => diffId)).map(id => snapshotId(hexOf(id)))
}

const base = tarOf(
  { name: './', type: '5', mode: 0o751 },
  { name: 'etc/', type: '5', mode: 0o750, uid: 5, gid: 6, mtime: 1_234_567_890 },
  { name: 'etc/passwd', body: 'root' },
  { name: 'etc/hosts', type: '1', link: 'etc/passwd' },
  { name: 'opt/', type: '5' },
  { name: 'opt/one', body: '1' },
  { name: 'opt/two', body: '2' },
  { name: 'gone', body: 'gone' },
  { name: 'link', type: '2', link: 'etc' },
)
const second = tarOf(
  { name: '.wh.gone', body: '' },
  { name: 'etc/new', body: 'new', mode: 0o4755, uid: 7 },
  { name: 'opt/', type: '5', mode: 0o700 },
  { name: 'opt/.wh..wh..opq', body: '' },
  { name: 'opt/three', body: '3' },
)
const third = tarOf({ name: '.wh.opt', body: '' }, { name: 'link', body: 'no link' })

for (const choice of snapshotterDrivers) {
  const open = (root: string): Promise<Snapshotter> => openSnapshotter({ root, choice })

  test(`${choice}: layers with whiteouts, links and owners become one tree`, async t => {
    using scratch = makeScratch()
    const snapshotter = await open(scratch.path)
    const layers = [
      layerOf(base, gzipSync(base)),
      layerOf(second, zstdCompressSync(second)),
      layerOf(third),
    ]
    const top = await unpackImage({ layers }, { snapshotter })
    t.is(top, chainOf(layers)[2])
    using tree = snapshotter.open(top ?? snapshotId('0'.repeat(64)))
    t.deepEqual(Object.keys(listTree(tree.path)).toSorted(), [
      'etc',
      'etc/hosts',
      'etc/new',
      'etc/passwd',
      'link',
    ])
    const etc = statSync(path.join(tree.path, 'etc'))
    t.deepEqual([etc.mode & 0o7777, etc.uid, etc.gid], [0o750, 5, 6], 'implied by the second layer')
    t.is(statSync(tree.path).mode & 0o7777, 0o751)
    t.is(lstatSync(path.join(tree.path, 'etc/new')).mode & 0o7777, 0o4755)
    t.is(statSync(path.join(tree.path, 'etc/hosts')).nlink, 2)
  })

  test(`${choice}: a layer that does not name the root changes none of its times`, async t => {
    using scratch = makeScratch()
    const snapshotter = await open(scratch.path)
    const lower = tarOf(
      { name: './', type: '5', mtime: 1_234_567_890 },
      { name: 'etc/', type: '5', mtime: 1_234_567_891 },
    )
    const layers = [layerOf(lower), layerOf(tarOf({ name: 'etc/new', body: 'new' }))]
    using tree = snapshotter.open((await unpackImage({ layers }, { snapshotter })) ?? first)
    t.is(statSync(tree.path).mtimeMs, 1_234_567_890_000)
  })

  test(`${choice}: layers that are there already are not read again`, async t => {
    using scratch = makeScratch()
    const snapshotter = await open(scratch.path)
    const [one, two] = [layerOf(base), layerOf(second)]
    await unpackImage({ layers: [one] }, { snapshotter })
    await unpackImage({ layers: [one, two] }, { snapshotter })
    await unpackImage({ layers: [one, two] }, { snapshotter })
    t.deepEqual([one.opened, two.opened], [1, 1])
    using tree = snapshotter.open(chainOf([one, two])[1] ?? snapshotId('0'.repeat(64)))
    t.deepEqual(readdirSync(path.join(tree.path, 'opt')), ['three'])
  })

  test(`${choice}: an image unpacked by many at once is unpacked once`, async t => {
    using scratch = makeScratch()
    const layers = [layerOf(base), layerOf(second)]
    const tops = await Promise.all(
      Array.from({ length: 5 }, async () =>
        unpackImage({ layers }, { snapshotter: await open(scratch.path) }),
      ),
    )
    t.deepEqual([...new Set(tops)], [chainOf(layers)[1]])
    t.deepEqual(
      layers.map(({ opened }) => opened),
      [1, 1],
    )
  })

  for (const { title, layer, code } of [
    {
      title: 'a wrong diff ID',
      layer: { ...layerOf(base), diffId: asDiffId(digestOf('x')) },
      code: 'CHECKSUM_MISMATCH',
    },
    {
      title: 'a layer cut short',
      layer: layerOf(base, gzipSync(base).subarray(0, 150)),
      code: 'ARCHIVE_INVALID',
    },
    {
      title: 'a layer that is no tar',
      layer: layerOf(Buffer.alloc(2048, 'x')),
      code: 'ARCHIVE_INVALID',
    },
    {
      title: 'a whiteout without a name',
      layer: layerOf(tarOf({ name: '.wh.' })),
      code: 'ARCHIVE_INVALID',
    },
  ])
    test(`${choice}: ${title} is refused and leaves nothing`, async t => {
      using scratch = makeScratch()
      const snapshotter = await open(scratch.path)
      const good = layerOf(second)
      for (const layers of [[layer], [good, layer]])
        await t.throwsAsync(unpackImage({ layers }, { snapshotter }), { code })
      t.is(await snapshotter.findSnapshot(chainOf([layer])[0] ?? first), undefined)
      t.is(await snapshotter.findSnapshot(chainOf([good, layer])[1] ?? first), undefined)
      t.deepEqual(readdirSync(path.join(scratch.path, choice, '.active')), [])
    })

  test(`${choice}: links out of the root lead nowhere, in one layer and across two`, async t => {
    using scratch = makeScratch()
    using outside = makeScratch()
    const snapshotter = await open(scratch.path)
    const layers = [
      layerOf(tarOf({ name: 'out', type: '2', link: outside.path })),
      layerOf(tarOf({ name: 'out/file', body: 'x' }, { name: 'out/.wh.kept', body: '' })),
    ]
    await unpackImage({ layers }, { snapshotter }).catch(() => undefined)
    t.deepEqual(readdirSync(outside.path), [])
  })

  test(`${choice}: a stopped unpacking leaves nothing`, async t => {
    using scratch = makeScratch()
    const snapshotter = await open(scratch.path)
    const abort = new AbortController()
    const layer = layerOf(base)
    const stopping: StoredLayer = {
      ...layer,
      async open() {
        abort.abort(new Error('stop'))
        return await layer.open()
      },
    }
    await t.throwsAsync(unpackImage({ layers: [stopping] }, { snapshotter, signal: abort.signal }))
    t.is(await snapshotter.findSnapshot(chainOf([layer])[0] ?? first), undefined)
    t.deepEqual(readdirSync(path.join(scratch.path, choice, '.active')), [])
  })
}

const first = snapshotId('1'.repeat(64))

/** A whole tree's directories get the time of what a later layer changes in them, an upper directory's do not. */
function withoutDirectoryTimes(listing: TreeListing): TreeListing {
  return Object.fromEntries(
    Object.entries(listing).map(([name, line]) => [
      name,
      line.replace(/^(4\d{4} \S+ \S+) \d+/, '$1'),
    ]),
  )
}

test('both snapshotters show the same tree', async t => {
  using scratch = makeScratch()
  const layers = [layerOf(base), layerOf(second), layerOf(third)]
  const listings = []
  for (const choice of snapshotterDrivers) {
    const snapshotter = await openSnapshotter({ root: scratch.at(choice), choice })
    const top = await unpackImage({ layers }, { snapshotter })
    using tree = snapshotter.open(top ?? first)
    listings.push(withoutDirectoryTimes(listTree(tree.path)))
  }
  t.deepEqual(listings[0], listings[1])
})

test('an image without layers has no snapshot', async t => {
  using scratch = makeScratch()
  const snapshotter = await openSnapshotter({ root: scratch.path })
  t.is(await unpackImage({ layers: [] }, { snapshotter }), undefined)
})

test('the upper directory of a layer holds the marks of overlayfs', async t => {
  using scratch = makeScratch()
  const snapshotter = await openSnapshotter({ root: scratch.path, choice: 'overlay' })
  const layers = [layerOf(base), layerOf(second)]
  await unpackImage({ layers }, { snapshotter })
  const upper = path.join(scratch.path, 'overlay', chainOf(layers)[1] ?? '', 'fs')
  t.true(lstatSync(path.join(upper, 'gone')).isCharacterDevice())
  t.is(native().getXattr(path.join(upper, 'opt'), 'trusted.overlay.opaque').toString(), 'y')
  t.false(existsSync(path.join(upper, '.wh.gone')))
  t.is(readFileSync(path.join(upper, 'opt/three'), 'utf8'), '3')
})

/** Layers that add a file each; every second one removes the file before its own. */
function manyLayers(count: number): CountedLayer[] {
  return Array.from({ length: count }, (_, index) =>
    layerOf(
      tarOf(
        { name: `file-${index}`, body: `${index}` },
        ...(index % 2 === 1 ? [{ name: `.wh.file-${index - 1}`, body: '' }] : []),
      ),
    ),
  )
}

function namesOf(snapshotter: Snapshotter, id: SnapshotId | undefined): string[] {
  using tree = snapshotter.open(id ?? snapshotId('0'.repeat(64)))
  return readdirSync(tree.path).toSorted()
}

test('of more layers than may stand on one another the lowest become one snapshot', async t => {
  using scratch = makeScratch()
  const opened = await openSnapshotter({ root: scratch.path, choice: 'overlay' })
  const snapshotter = { ...opened, mostStacked: 3 }
  const layers = manyLayers(6)
  const top = await unpackImage({ layers }, { snapshotter })
  t.is(top, chainOf(layers)[5])
  t.deepEqual(namesOf(snapshotter, top), ['file-1', 'file-3', 'file-5'])
  t.deepEqual(
    snapshotter.chain(top ?? snapshotId('')).map(({ id }) => chainOf(layers).indexOf(id)),
    [5, 4, 3],
  )
  t.deepEqual(
    layers.map(({ opened: times }) => times),
    [1, 1, 1, 1, 1, 1],
  )
})

test('layers that are there already are put together with those that are too many', async t => {
  using scratch = makeScratch()
  const opened = await openSnapshotter({ root: scratch.path, choice: 'overlay' })
  const layers = manyLayers(7)
  await unpackImage({ layers: layers.slice(0, 5) }, { snapshotter: opened })
  const snapshotter = { ...opened, mostStacked: 3 }
  const top = await unpackImage({ layers }, { snapshotter })
  t.deepEqual(namesOf(snapshotter, top), ['file-1', 'file-3', 'file-5', 'file-6'])
  t.deepEqual(
    snapshotter.chain(top ?? snapshotId('')).map(({ id }) => chainOf(layers).indexOf(id)),
    [6, 1, 0],
  )
  t.deepEqual(
    layers.map(({ opened: times }) => times),
    [1, 1, 2, 2, 2, 1, 1],
  )
})
