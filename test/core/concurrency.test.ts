import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { createSlots, mapConcurrent } from '../../src/core/concurrency.ts'

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

test('works wait for a free slot in order of arrival, and a failure frees one', async t => {
  const slots = createSlots(1)
  const order: string[] = []
  const work = (name: string, fails = false): Promise<void> =>
    slots.run(async () => {
      order.push(`${name} begins`)
      await sleep(2)
      order.push(`${name} ends`)
      if (fails) throw new Error(name)
    })
  const results = await Promise.allSettled([work('a'), work('b', true), work('c')])
  t.deepEqual(order, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
  t.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
})

test('a work whose signal aborts while it waits does not begin, and keeps no slot', async t => {
  const slots = createSlots(1)
  const controller = new AbortController()
  let hasBegun = false
  const first = slots.run(() => sleep(20))
  const second = slots.run(async () => {
    hasBegun = true
  }, controller.signal)
  controller.abort(new Error('enough'))
  await t.throwsAsync(second, { message: 'enough' })
  t.false(hasBegun)
  await first
  t.is(await slots.run(async () => 'free'), 'free')
})
