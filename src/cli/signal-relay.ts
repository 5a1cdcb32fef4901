// Signals that kauri gets while a container runs are meant for the container. They are taken before its process starts,
// and kept until it does, so that none falls between: a container that says it is ready can be told to end at once.

import { constants } from 'node:os'
import process from 'node:process'
import { native } from '../native/native.ts'
import type { RunningContainer } from '../runtime/runtime.ts'
import type { CommandContext } from './command.ts'

/** Disposing it gives the signals back. */
export interface SignalRelay extends Disposable {
  /** From now on signals wait for the container; until then they stop the command. */
  listen(): void
  /** Hands on what waited, and then whatever comes. */
  attach(container: RunningContainer): void
}

/** So many requests to end mean it: the container is killed. Its first process ignores signals that it has no handler for. */
const patience = 3

/** Relays what docker run relays; with a terminal also changes of its size. */
export function signalRelay(context: CommandContext, hasTerminal: boolean): SignalRelay {
  const handlers = new DisposableStack()
  const waiting: NodeJS.Signals[] = []
  let container: RunningContainer | undefined
  let requests = 0
  const send = (name: NodeJS.Signals): void => {
    if (container === undefined) waiting.push(name)
    else container.kill(name)
  }
  return {
    listen() {
      handlers.use(
        context.takeSignals(name => {
          requests++
          send(requests < patience ? name : 'SIGKILL')
        }),
      )
      const others: readonly NodeJS.Signals[] = ['SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGCONT']
      for (const name of hasTerminal ? [...others, 'SIGWINCH' as const] : others) {
        const relay = (): void => send(name)
        process.on(name, relay)
        handlers.defer(() => process.off(name, relay))
      }
      // Node is started with this one blocked, as without a handler it would open a debugger.
      native().unblockSignal(constants.signals.SIGUSR1)
    },
    attach(started) {
      container = started
      for (const name of waiting.splice(0)) started.kill(name)
    },
    [Symbol.dispose]: () => handlers.dispose(),
  }
}
