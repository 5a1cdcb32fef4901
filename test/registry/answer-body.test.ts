import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import { type AnswerBody, bodyFeed } from '../../src/registry/answer-body.ts'

const flow = { pause: (): void => {}, resume: (): void => {}, abort: (): void => {} }

async function read(body: AnswerBody): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

test('chunks of any length come out in their order', async t => {
  const feed = bodyFeed(flow)
  const chunks = [1, 70_000, 3, 600_000, 512 * 1024, 5].map((size, index) =>
    Buffer.alloc(size, index + 1),
  )
  const reading = read(feed.body)
  for (const chunk of chunks) {
    feed.add(chunk)
    await turn()
  }
  feed.end()
  t.true((await reading).equals(Buffer.concat(chunks)))
})

test('a reader that is slow pauses the connection, and goes on with it', async t => {
  const calls = { paused: 0, resumed: 0 }
  const feed = bodyFeed(
    { ...flow, pause: () => calls.paused++, resume: () => calls.resumed++ },
    undefined,
  )
  // Neither a buffer nor the room that is left in one.
  const chunk = Buffer.alloc(100_003, 1)
  let added = 0
  for (; added < 4 * 1024 * 1024 && calls.paused === 0; added += chunk.length) feed.add(chunk)
  t.is(calls.paused, 1)
  t.true(added <= 2.2 * 1024 * 1024, `${added}`)
  const iterator = feed.body[Symbol.asyncIterator]()
  t.is((await iterator.next()).value?.byteLength, 512 * 1024)
  t.is(calls.resumed, 0)
  await iterator.next()
  t.is(calls.resumed, 1)
  feed.end()
  for (let result = await iterator.next(); result.done !== true; ) result = await iterator.next()
  t.is(calls.paused, 1)
})

test('what came before a failure is still read, and then the failure', async t => {
  const feed = bodyFeed(flow, { expectedBytes: 10 })
  feed.add(Buffer.from('abc'))
  feed.fail(new Error('broken'))
  feed.end()
  const iterator = feed.body[Symbol.asyncIterator]()
  t.is(Buffer.from((await iterator.next()).value ?? []).toString(), 'abc')
  await t.throwsAsync(() => iterator.next(), { message: 'broken' })
})

test('few bytes are handed over before a buffer is full', async t => {
  const feed = bodyFeed(flow)
  feed.add(Buffer.from('few'))
  const { value } = await feed.body[Symbol.asyncIterator]().next()
  t.is(Buffer.from(value ?? []).toString(), 'few')
})

test('who leaves ends the connection, and who leaves at the end does not', async t => {
  let aborted = 0
  const left = bodyFeed({ ...flow, abort: () => aborted++ })
  left.add(Buffer.alloc(600_000))
  for await (const _ of left.body) break
  left.body.destroy()
  t.is(aborted, 1)
  left.add(Buffer.from('late'))
  const ended = bodyFeed({ ...flow, abort: () => aborted++ })
  ended.end()
  await read(ended.body)
  ended.body.destroy()
  t.is(aborted, 1)
})

test('buffers are used again by the next transfer, but for the one that somebody may still read', async t => {
  const spare: Buffer[] = []
  const first = bodyFeed(flow, { spare })
  for (let count = 0; count < 20; count++) first.add(Buffer.alloc(64 * 1024, 1))
  for await (const _ of first.body) break
  t.is(spare.length, 2)
  const [kept] = spare
  const second = bodyFeed(flow, { spare })
  second.add(Buffer.from('text'))
  second.end()
  t.is((await read(second.body)).toString(), 'text')
  t.true(kept !== undefined && spare.includes(kept))
})

test('however long the chunks are, a slow reader never has more than a few buffers waiting', async t => {
  for (const length of [1000, 65_536, 70_001, 131_072]) {
    const flowing = { isPaused: false }
    const feed = bodyFeed({
      ...flow,
      pause: () => void (flowing.isPaused = true),
      resume: () => void (flowing.isPaused = false),
    })
    const iterator = feed.body[Symbol.asyncIterator]()
    let waiting = 0
    for (let round = 0; round < 50; round++) {
      for (let chunks = 0; chunks < 5000 && !flowing.isPaused; chunks++) {
        feed.add(Buffer.alloc(length))
        waiting += length
      }
      t.true(waiting < 2.7 * 1024 * 1024, `${length}: ${waiting}`)
      waiting -= (await iterator.next()).value?.byteLength ?? 0
    }
    feed.body.destroy()
  }
})
