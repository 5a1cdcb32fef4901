import test from 'ava'
import { type BuildEvent, inStep } from '../../src/core/events.ts'

test('a step is told when it starts and when it ends, with its seconds', async t => {
  const events: BuildEvent[] = []
  const result = await inStep(
    event => events.push(event),
    { id: '1', title: 'work' },
    async () => 7,
  )
  t.is(result, 7)
  t.like(events, [
    { kind: 'step-started', id: '1', title: 'work' },
    { kind: 'step-finished', id: '1' },
  ])
  const [, last] = events
  t.true(last?.kind === 'step-finished' && last.seconds >= 0 && last.seconds < 5)
})

test('a step that fails is told, and its error is thrown on', async t => {
  const events: BuildEvent[] = []
  const error = new Error('broken')
  const work = async (): Promise<never> => {
    throw error
  }
  await t.throwsAsync(
    inStep(event => events.push(event), { id: '1', title: 'work', parent: '0' }, work),
    { is: error },
  )
  t.deepEqual(events, [
    { kind: 'step-started', id: '1', title: 'work', parent: '0' },
    { kind: 'step-failed', id: '1', message: 'broken' },
  ])
})
