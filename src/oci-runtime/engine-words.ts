// How failures are told to engines: in the words that podman, moby and containerd look for to find an exit code (libpod's
// getOCIRuntimeError, moby's daemon/errors.go), and as lines of the log file that they name.

import { appendFileSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'

/** The same failure with the words for its code. */
export function inEngineWords(error: unknown): unknown {
  if (!(error instanceof KauriError)) return error
  const words = wordsByCode[error.code]
  if (words === undefined || error.message.includes(words)) return error
  const { hint, cause } = error
  return new KauriError(error.code, `${error.message}: ${words}`, { hint, cause })
}

const wordsByCode: Readonly<Partial<Record<KauriError['code'], string>>> = {
  COMMAND_NOT_FOUND: 'executable file not found in $PATH',
  COMMAND_NOT_EXECUTABLE: 'permission denied',
}

export type LogFormat = 'text' | 'json'

export type LogLevel = 'error' | 'warning'

/** Appends one line, in the form that engines parse: containerd takes the last one of level error. */
export function appendLog(
  file: string,
  format: LogFormat,
  { level, message }: { readonly level: LogLevel; readonly message: string },
): void {
  const time = new Date().toISOString()
  const line =
    format === 'json'
      ? JSON.stringify({ level, msg: message, time })
      : `time=${JSON.stringify(time)} level=${level} msg=${JSON.stringify(message)}`
  appendFileSync(file, `${line}\n`, { mode: 0o644 })
}
