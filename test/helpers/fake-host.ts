// A ProgramHost that keeps what was written and lets a test interrupt.

import type { InterruptSignal, ProgramHost } from '../../src/cli/program-host.ts'

export interface FakeHost extends ProgramHost {
  readonly out: () => string
  readonly err: () => string
  readonly interrupt: (name: InterruptSignal) => void
  /** Statuses of exits at once. */
  readonly exits: readonly number[]
}

export function fakeHost(options: Partial<ProgramHost> = {}): FakeHost {
  let out = ''
  let err = ''
  const exits: number[] = []
  const listeners = new Set<(name: InterruptSignal) => void>()
  return {
    environment: { HOME: '/home/somebody' },
    userId: 0,
    isTerminal: () => false,
    writeOut: text => {
      out += text
    },
    writeErr: text => {
      err += text
    },
    onInterrupt: listener => {
      listeners.add(listener)
      return { [Symbol.dispose]: () => listeners.delete(listener) }
    },
    exitNow: status => exits.push(status),
    ...options,
    out: () => out,
    err: () => err,
    interrupt: name => {
      for (const listener of listeners) listener(name)
    },
    exits,
  }
}
