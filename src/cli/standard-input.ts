// Standard input as a source of bytes that ends with the command.

import process from 'node:process'
import { addAbortSignal, type Readable } from 'node:stream'
import { KauriError } from '../core/errors.ts'

/** Waiting for bytes ends when the signal aborts. @throws USAGE where a person sits at it */
export function standardInput(signal: AbortSignal, hint: string): Readable {
  if (process.stdin.isTTY) throw new KauriError('USAGE', 'standard input is a terminal', { hint })
  return addAbortSignal(signal, process.stdin)
}
