// What outlasts a boot is told by a file beside each snapshot; builds see to it without waiting.

import { existsSync, readdirSync, utimesSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { settleNew, settleOld } from '../../src/build/settle-results.ts'
import { openSnapshotter } from '../../src/rootfs/open-snapshotter.ts'
import { type Snapshotter, snapshotId } from '../../src/rootfs/rootfs.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })

const id = snapshotId('a'.repeat(64))

async function withSnapshot(dataRoot: string): Promise<Snapshotter> {
  const trees = await openSnapshotter({ root: path.join(dataRoot, 'snapshots'), choice: 'overlay' })
  await using root = await trees.prepare(undefined)
  await trees.commit(root, id)
  return trees
}

const isSettled = (dataRoot: string): boolean =>
  existsSync(path.join(dataRoot, 'snapshots', 'overlay', id, 'settled'))

const marker = (dataRoot: string): string => path.join(dataRoot, 'cache', 'unsettled')

test('what a build has made is settled, and not looked for again', async t => {
  using scratch = makeScratch()
  const trees = await withSnapshot(scratch.path)
  await using _ = settleNew(scratch.path, trees)
  for (let tries = 0; existsSync(marker(scratch.path)) && tries < 200; tries++) await sleep(50)
  t.true(isSettled(scratch.path))
  t.deepEqual(readdirSync(path.join(scratch.path, 'cache')), [])
})

test('what could not be settled in time is left to a later build', async t => {
  using scratch = makeScratch()
  const trees = await withSnapshot(scratch.path)
  const slow: Snapshotter = {
    ...trees,
    settle: async signal => {
      await sleep(60_000, undefined, { signal })
    },
  }
  await settleNew(scratch.path, slow)[Symbol.asyncDispose]()
  t.true(existsSync(marker(scratch.path)))
  let calls = 0
  const counted: Snapshotter = {
    ...trees,
    settle: async signal => {
      calls++
      await trees.settle(signal)
    },
  }
  await settleOld(scratch.path, counted)[Symbol.asyncDispose]()
  t.is(calls, 0, 'it is still young')
  const then = new Date(Date.now() - 60_000)
  utimesSync(marker(scratch.path), then, then)
  await using _ = settleOld(scratch.path, counted)
  for (let tries = 0; existsSync(marker(scratch.path)) && tries < 200; tries++) await sleep(50)
  t.is(calls, 1)
  t.true(isSettled(scratch.path))
})
