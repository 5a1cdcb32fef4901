// What the program gets from its process: streams, environment, signals. Tests hand in their own.

import { writeSync } from 'node:fs'
import { hasErrno } from '../core/errors.ts'
import type { Environment } from './global-options.ts'

export const interruptSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
export type InterruptSignal = (typeof interruptSignals)[number]

export interface ProgramHost {
  readonly environment: Environment
  /** Effective user. */
  readonly userId: number
  readonly writeOut: (text: string) => void
  readonly writeErr: (text: string) => void
  /** True where standard error is a terminal that can redraw. */
  readonly isTerminal: () => boolean
  /** Calls back at each of the interrupt signals, in place of their default, until disposed. */
  readonly onInterrupt: (listener: (name: InterruptSignal) => void) => Disposable
  /** Ends the process at once, without undoing anything. */
  readonly exitNow: (status: number) => void
}

/** The host of a real process. */
export function processHost(): ProgramHost {
  const { CI, TERM } = process.env
  return {
    environment: process.env,
    userId: process.geteuid?.() ?? 0,
    writeOut: descriptorWriter(1),
    writeErr: descriptorWriter(2),
    isTerminal: () => TERM !== 'dumb' && (CI === undefined || CI === 'false') && isTty(2),
    onInterrupt: listener => {
      for (const name of interruptSignals) process.on(name, listener)
      return {
        [Symbol.dispose]: () => {
          for (const name of interruptSignals) process.off(name, listener)
        },
      }
    },
    exitNow: status => process.exit(status),
  }
}

/** Asks only when something is to be drawn: loading node:tty, and node:net with it, costs 1.5 ms. */
function isTty(fd: number): boolean {
  return process.getBuiltinModule('node:tty').isatty(fd)
}

/**
 * Writes synchronously to a descriptor. Not process.stdout: its first use costs 2 to 3 ms of every command's start.
 * A reader that went away is no failure of the work, so what follows is dropped.
 */
function descriptorWriter(fd: number): (text: string) => void {
  let isClosed = false
  return text => {
    let rest: Uint8Array = Buffer.from(text)
    while (rest.length > 0 && !isClosed) {
      try {
        rest = rest.subarray(writeSync(fd, rest))
      } catch (error) {
        if (hasErrno(error, 'EAGAIN')) sleepMs(2)
        else if (hasErrno(error, 'EPIPE', 'EIO')) isClosed = true
        else throw error
      }
    }
  }
}

/** Blocks: a descriptor that somebody else made non-blocking is full for a moment. */
function sleepMs(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}
