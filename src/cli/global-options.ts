// Options that every command takes, and what they say about where state is.

import { homedir } from 'node:os'
import path from 'node:path'
import type { OptionSpec, ParsedOptions } from './command.ts'

export const progressKinds = ['auto', 'plain', 'tty', 'json', 'none'] as const
export type ProgressKind = (typeof progressKinds)[number]

export const globalOptions: readonly OptionSpec[] = [
  {
    long: 'data-root',
    value: 'DIR',
    summary: 'state directory (KAURI_DATA_ROOT; /var/lib/kauri for root)',
  },
  {
    long: 'snapshotter',
    value: 'NAME',
    summary: 'how trees are kept: auto, overlay, btrfs, copy or vfs (KAURI_SNAPSHOTTER)',
  },
  { long: 'json', summary: 'write the result as JSON' },
  {
    long: 'quiet',
    short: 'q',
    summary: 'show no progress, and only what scripts need of a result',
  },
  {
    long: 'progress',
    value: 'KIND',
    choices: progressKinds,
    summary: 'how progress is shown on standard error',
  },
  { long: 'debug', summary: 'show stack traces and causes of failures' },
  { long: 'help', short: 'h', summary: 'show this help' },
  { long: 'version', short: 'v', summary: 'show the version of kauri' },
]

/** Variables of the caller's environment. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Where kauri keeps its state and what is only true until the next boot; both absolute. */
export function stateDirectories(
  options: ParsedOptions,
  environment: Environment,
  userId: number,
): { readonly dataRoot: string; readonly runRoot: string } {
  const home = environment['HOME'] ?? homedir()
  const { KAURI_DATA_ROOT, KAURI_RUN_ROOT, XDG_DATA_HOME, XDG_RUNTIME_DIR } = environment
  const ownData =
    userId === 0
      ? '/var/lib/kauri'
      : path.join(nonEmpty(XDG_DATA_HOME) ?? path.join(home, '.local/share'), 'kauri')
  const ownRun =
    userId === 0
      ? '/run/kauri'
      : path.join(nonEmpty(XDG_RUNTIME_DIR) ?? `/tmp/kauri-run-${userId}`, 'kauri')
  return {
    dataRoot: path.resolve(options.text('data-root') ?? nonEmpty(KAURI_DATA_ROOT) ?? ownData),
    runRoot: path.resolve(nonEmpty(KAURI_RUN_ROOT) ?? ownRun),
  }
}

/** The chosen way to show progress; `--quiet` is `none` unless one was named. */
export function progressKind(options: ParsedOptions): ProgressKind {
  const named = progressKinds.find(kind => kind === options.text('progress'))
  return named ?? (options.flag('quiet') ? 'none' : 'auto')
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
