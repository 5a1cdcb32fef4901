import process from 'node:process'
import test from 'ava'
import type { CommandContext } from '../../src/cli/command.ts'
import { type SignalRelay, signalRelay } from '../../src/cli/signal-relay.ts'

/** A relay, the way to send it what main takes, and what reached its container. */
function relayed(hasTerminal = false): {
  relay: SignalRelay
  send: (name: NodeJS.Signals) => void
  taken: () => boolean
  container: { pid: number; kill: (name: NodeJS.Signals) => void }
  got: NodeJS.Signals[]
} {
  let handler: ((name: NodeJS.Signals) => void) | undefined
  const context: Pick<CommandContext, 'takeSignals'> = {
    takeSignals(taken) {
      handler = taken
      return {
        [Symbol.dispose]: () => {
          handler = undefined
        },
      }
    },
  }
  const got: NodeJS.Signals[] = []
  return {
    relay: signalRelay(context as CommandContext, hasTerminal),
    send: name => handler?.(name),
    taken: () => handler !== undefined,
    container: { pid: 1, kill: name => got.push(name) },
    got,
  }
}

test('signals before the start wait for it, later ones pass', t => {
  const { relay, send, taken, container, got } = relayed()
  t.false(taken(), 'until then they stop the command')
  relay.listen()
  send('SIGTERM')
  process.emit('SIGUSR2')
  t.deepEqual(got, [])
  relay.attach(container)
  t.deepEqual(got, ['SIGTERM', 'SIGUSR2'])
  process.emit('SIGQUIT')
  t.deepEqual(got, ['SIGTERM', 'SIGUSR2', 'SIGQUIT'])
  relay[Symbol.dispose]()
  t.false(taken())
})

test('the third request to end kills', t => {
  const { relay, send, container, got } = relayed()
  relay.listen()
  relay.attach(container)
  for (const name of ['SIGINT', 'SIGTERM', 'SIGINT', 'SIGINT'] as const) send(name)
  t.deepEqual(got, ['SIGINT', 'SIGTERM', 'SIGKILL', 'SIGKILL'])
  relay[Symbol.dispose]()
})

test('changes of size pass where there is a terminal, and handlers go with the relay', t => {
  for (const [hasTerminal, want] of [
    [true, ['SIGWINCH']],
    [false, []],
  ] as const) {
    const { relay, container, got } = relayed(hasTerminal)
    const before = process.listenerCount('SIGWINCH') + process.listenerCount('SIGUSR2')
    relay.listen()
    relay.attach(container)
    process.emit('SIGWINCH')
    t.deepEqual<NodeJS.Signals[], readonly NodeJS.Signals[]>(got, want)
    relay[Symbol.dispose]()
    t.is(process.listenerCount('SIGWINCH') + process.listenerCount('SIGUSR2'), before)
  }
})
