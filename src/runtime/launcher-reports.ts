// What the launcher tells over its control socket: lines of `kind text` (launcher/report.h).

import { KauriError } from '../core/errors.ts'
import type { MadeEntry } from './mount-points.ts'

/** What the launcher told until it ended. */
export interface LaunchReport {
  /** Exit code of the first process; undefined where the launcher did not live, or stay, to tell. */
  readonly exitCode: number | undefined
  readonly warnings: readonly string[]
  readonly made: readonly MadeEntry[]
  /** Why the program was not started. */
  readonly failure: KauriError | undefined
}

/** What is to be done at once when the launcher tells of it. */
export interface ReportHandlers {
  /** The program is about to start; its id on the host. */
  readonly onStarted?: (pid: number) => void
  /** Namespaces and mounts are there; the launcher waits. */
  readonly onPrepared?: (pid: number) => void
  /** It waits for its start. */
  readonly onCreated?: () => void
}

export interface ReportReader {
  readonly onLine: (line: string) => void
  readonly result: () => LaunchReport
}

export function reportReader(handlers: ReportHandlers): ReportReader {
  const warnings: string[] = []
  const made: MadeEntry[] = []
  let exitCode: number | undefined
  let failure: KauriError | undefined
  const byKind: Readonly<Record<string, (text: string) => void>> = {
    started: text => handlers.onStarted?.(Number(text)),
    prepared: text => handlers.onPrepared?.(Number(text)),
    created: () => handlers.onCreated?.(),
    ended: text => {
      exitCode = Number(text)
    },
    warning: text => void warnings.push(text),
    made: text => void made.push(parseMade(text)),
    error: text => {
      failure ??= parseFailure(text)
    },
  }
  const onLine = (line: string): void => {
    const space = line.indexOf(' ')
    byKind[line.slice(0, space)]?.(line.slice(space + 1))
  }
  return { onLine, result: () => ({ exitCode, warnings, made, failure }) }
}

function parseMade(text: string): MadeEntry {
  const space = text.indexOf(' ')
  return {
    kind: text.slice(0, space) === 'file' ? 'file' : 'directory',
    path: text.slice(space + 1),
  }
}

/** Codes by the second word of an `error` report. */
const codeByFailure = {
  launch: 'LAUNCH_FAILED',
  network: 'NETWORK_UNAVAILABLE',
  'not-found': 'COMMAND_NOT_FOUND',
  'not-executable': 'COMMAND_NOT_EXECUTABLE',
} as const

function parseFailure(text: string): KauriError {
  const [, word = '', message = text] = /^(\S+) (.*)$/.exec(text) ?? []
  const code =
    word in codeByFailure ? codeByFailure[word as keyof typeof codeByFailure] : 'LAUNCH_FAILED'
  const hint = code === 'NETWORK_UNAVAILABLE' ? 'use --network none or --network host' : undefined
  return new KauriError(code, message, { hint })
}
