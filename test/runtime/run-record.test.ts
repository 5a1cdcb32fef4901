import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import {
  claimAbandoned,
  isAlive,
  ownIdentity,
  recordDirectory,
  writeRecord,
} from '../../src/runtime/run-record.ts'
import { sweepRuntime } from '../../src/runtime/sweep-runtime.ts'
import { makeScratch } from '../helpers/scratch.ts'

/** A process that was there, and is no more. */
const dead = { pid: spawnSync('true').pid, startTicks: '1' }

test('a record is there until it is disposed of', t => {
  using scratch = makeScratch()
  {
    using _ = writeRecord(scratch.path, { id: 'a', owner: ownIdentity(), cgroups: [] })
    t.deepEqual(readdirSync(recordDirectory(scratch.path)), ['a.json'])
  }
  t.deepEqual(readdirSync(recordDirectory(scratch.path)), [])
})

test('an id is used once at a time', t => {
  using scratch = makeScratch()
  const record = { id: 'a', owner: ownIdentity(), cgroups: [] }
  using _ = writeRecord(scratch.path, record)
  t.throws(() => writeRecord(scratch.path, record), {
    code: 'LAUNCH_FAILED',
    message: 'a container a is running already',
  })
  t.deepEqual(readdirSync(recordDirectory(scratch.path)), ['a.json'])
})

for (const id of ['', '..', '../x', 'a/b', '.hidden', 'a b', 'a'.repeat(129)])
  test(`${JSON.stringify(id.slice(0, 20))} is no id`, t => {
    using scratch = makeScratch()
    const record = { id, owner: ownIdentity(), cgroups: [] }
    t.throws(() => writeRecord(scratch.path, record), { code: 'USAGE' })
  })

test('a process is known by its start, too', t => {
  t.true(isAlive(ownIdentity()))
  t.false(isAlive({ ...ownIdentity(), startTicks: '1' }))
  t.false(isAlive(dead))
})

test('only records of dead owners are claimed, and each one once', t => {
  using scratch = makeScratch()
  using _ = writeRecord(scratch.path, { id: 'mine', owner: ownIdentity(), cgroups: [] })
  writeRecord(scratch.path, { id: 'left', owner: dead, cgroups: ['/x'] })
  const claimed = claimAbandoned(scratch.path)
  t.deepEqual(
    claimed.map(({ record }) => record),
    [{ id: 'left', owner: dead, cgroups: ['/x'] }],
  )
  t.deepEqual(claimAbandoned(scratch.path), [])
  for (const one of claimed) one[Symbol.dispose]()
  t.deepEqual(readdirSync(recordDirectory(scratch.path)), ['mine.json'])
})

test('what a killed sweeper had claimed is claimed again', t => {
  using scratch = makeScratch()
  const directory = recordDirectory(scratch.path)
  mkdirSync(directory, { recursive: true })
  const record = { id: 'left', owner: dead, cgroups: [] }
  writeFileSync(path.join(directory, `left.json.${dead.pid}-1`), JSON.stringify(record))
  const { pid, startTicks } = ownIdentity()
  writeFileSync(path.join(directory, `busy.json.${pid}-${startTicks}`), JSON.stringify(record))
  t.deepEqual(
    claimAbandoned(scratch.path).map(({ record: { id } }) => id),
    ['left'],
  )
})

test('half a record of a dead writer goes away', t => {
  using scratch = makeScratch()
  const directory = recordDirectory(scratch.path)
  mkdirSync(directory, { recursive: true })
  writeFileSync(path.join(directory, `.a.${dead.pid}`), '{"id":')
  writeFileSync(path.join(directory, `.b.${process.pid}`), '{"id":')
  t.deepEqual(claimAbandoned(scratch.path), [])
  t.deepEqual(readdirSync(directory), [`.b.${process.pid}`])
})

test('a sweep removes cgroups and mount points of dead owners, and nothing that is named otherwise', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('kauri/left'), { recursive: true })
  mkdirSync(scratch.at('work.mounts/proc'), { recursive: true })
  mkdirSync(scratch.at('precious'))
  const base = { owner: dead, cgroups: [scratch.at('kauri/left')] }
  writeRecord(scratch.path, { ...base, id: 'a', mountPoints: scratch.at('work.mounts') })
  writeRecord(scratch.path, { ...base, id: 'b', mountPoints: scratch.at('precious') })
  await sweepRuntime(scratch.path)
  t.false(existsSync(scratch.at('kauri')))
  t.false(existsSync(scratch.at('work.mounts')))
  t.true(existsSync(scratch.at('precious')))
  t.deepEqual(readdirSync(recordDirectory(scratch.path)), [])
})

test('a sweep of nothing makes nothing', async t => {
  using scratch = makeScratch()
  await sweepRuntime(scratch.at('none'))
  t.false(existsSync(scratch.at('none')))
})
