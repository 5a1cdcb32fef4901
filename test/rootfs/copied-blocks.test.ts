// Copies where the file system can share blocks: below a temporary directory that is on btrfs or xfs. An end-to-end test
// runs this file on images of them.

import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import test from 'ava'
import { sharesBlocks } from '../../src/rootfs/copy-snapshotter.ts'
import { openSnapshotter } from '../../src/rootfs/open-snapshotter.ts'
import { snapshotId } from '../../src/rootfs/rootfs.ts'

const shares = process.getuid?.() === 0 && sharesBlocks(tmpdir())

const largeBytes = 32 * 1024 * 1024

const testWhereShared = shares ? test : test.skip

testWhereShared('copies of large files take no room where blocks can be shared', async t => {
  const root = mkdtempSync(path.join(tmpdir(), 'kauri-blocks-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const trees = await openSnapshotter({ root, choice: 'copy' })
  t.regex(trees.reason, /copies share blocks/)
  const first = snapshotId('1'.repeat(64))
  await using base = await trees.prepare(undefined)
  {
    using tree = base.open()
    writeFileSync(path.join(tree.path, 'large'), Buffer.alloc(largeBytes, 'x'))
  }
  await trees.commit(base, first)
  await trees.settle()
  const before = freeBytes(root)
  await using copy = await trees.prepare(first)
  t.is(copy.parent, first)
  await trees.settle()
  t.true(before - freeBytes(root) < largeBytes / 4)
})

test('whether blocks are shared is told', async t => {
  const root = mkdtempSync(path.join(tmpdir(), 'kauri-blocks-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const { reason } = await openSnapshotter({ root, choice: 'copy' })
  t.regex(reason, sharesBlocks(root) ? /copies share blocks/ : /each copy takes its whole size/)
})

function freeBytes(directory: string): number {
  const { bfree, bsize } = statfsSync(directory)
  return bfree * bsize
}
