import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { mapConcurrent } from '../../src/core/concurrency.ts'

test('results keep the order of the items, whatever takes longer', async t => {
  const results = await mapConcurrent([30, 5, 15], 3, async (ms, index) => {
    await sleep(ms)
    return `${index}:${ms}`
  })
  t.deepEqual(results, ['0:30', '1:5', '2:15'])
})

test('no more calls than the limit are under way', async t => {
  let underWay = 0
  let most = 0
  await mapConcurrent(Array.from({ length: 20 }), 3, async () => {
    most = Math.max(most, ++underWay)
    await sleep(2)
    underWay--
  })
  t.is(most, 3)
})

test('after a failure nothing new starts, and what runs is waited for', async t => {
  const started: number[] = []
  const ended: number[] = []
  const running = mapConcurrent([0, 1, 2, 3, 4, 5], 2, async item => {
    started.push(item)
    if (item === 1) throw new Error('one')
    await sleep(30)
    ended.push(item)
  })
  await t.throwsAsync(running, { message: 'one' })
  t.deepEqual(started, [0, 1])
  t.deepEqual(ended, [0])
})

test('of several failures the first is thrown', async t => {
  const running = mapConcurrent([20, 5], 2, async ms => {
    await sleep(ms)
    throw new Error(`after ${ms}`)
  })
  await t.throwsAsync(running, { message: 'after 5' })
})

test('nothing to do is done', async t => {
  t.deepEqual(await mapConcurrent([], 4, async item => item), [])
})

test('undefined is an item like any other', async t => {
  t.deepEqual(await mapConcurrent([undefined, 1], 1, async item => item ?? 'none'), ['none', 1])
})
