// SIGINT, SIGTERM and SIGHUP stop the work through an AbortSignal, so that everything begun is undone; a second one
// ends the process at once.

import { constants } from 'node:os'
import { KauriError } from '../core/errors.ts'
import type { InterruptSignal, ProgramHost } from './program-host.ts'

/** `npx` and shells deliver one Ctrl-C twice: by the terminal, and by hand a moment later. */
const sameInterruptMs = 400

export interface Interrupts extends Disposable {
  readonly signal: AbortSignal
  /** The exit status that the interrupt asks for, 128 and its number; undefined where none came. */
  status(): number | undefined
  /** See CommandContext.takeSignals. */
  take(handler: (name: NodeJS.Signals) => void): Disposable
}

/** Watches for interrupts until disposed. */
export function watchInterrupts(host: ProgramHost): Interrupts {
  const controller = new AbortController()
  const handlers: ((name: NodeJS.Signals) => void)[] = []
  let first: { readonly name: InterruptSignal; readonly atMs: number } | undefined
  const listener = host.onInterrupt(name => {
    const handler = handlers.at(-1)
    if (handler !== undefined) return handler(name)
    if (first === undefined) {
      first = { name, atMs: performance.now() }
      controller.abort(new KauriError('CANCELLED', `stopped by ${name}`))
    } else if (performance.now() - first.atMs > sameInterruptMs) {
      host.exitNow(statusOf(name))
    }
  })
  return {
    signal: controller.signal,
    status: () => (first === undefined ? undefined : statusOf(first.name)),
    take: handler => {
      handlers.push(handler)
      return {
        [Symbol.dispose]: () => {
          const index = handlers.indexOf(handler)
          if (index >= 0) handlers.splice(index, 1)
        },
      }
    },
    [Symbol.dispose]: () => listener[Symbol.dispose](),
  }
}

function statusOf(name: InterruptSignal): number {
  return 128 + constants.signals[name]
}
