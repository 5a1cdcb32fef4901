// When a container that ended is started again, by docker's rules: how often, and after how long a wait.

import { KauriError } from '../core/errors.ts'

/** `no`, `on-failure[:n]`, `always` or `unless-stopped`. */
export interface RestartPolicy {
  readonly name: 'no' | 'on-failure' | 'always' | 'unless-stopped'
  /** Of on-failure; 0: without end. */
  readonly maximumRetries: number
}

/** What containers have that ask for nothing. */
export const noRestart: RestartPolicy = { name: 'no', maximumRetries: 0 }

/** @throws USAGE with docker's words */
export function parseRestartPolicy(text: string): RestartPolicy {
  const [, name, count] = /^([a-z-]*)(?::(.*))?$/.exec(text) ?? []
  if (count !== undefined && name !== 'on-failure')
    throw refused(text, 'maximum retry count can only be used with on-failure')
  if (count !== undefined && !/^\d{1,9}$/.test(count))
    throw refused(text, 'maximum retry count must be an integer')
  const maximumRetries = Number(count ?? 0)
  switch (name) {
    case '':
    case 'no':
      return noRestart
    case 'on-failure':
    case 'always':
    case 'unless-stopped':
      return { name, maximumRetries }
    case undefined:
    default:
      throw refused(text, 'unknown policy')
  }
}

function refused(text: string, why: string): KauriError {
  return new KauriError('USAGE', `invalid restart policy "${text.slice(0, 100)}": ${why}`, {
    hint: 'use one of no, on-failure[:N], always, unless-stopped',
  })
}

/** As a person writes it. */
export function formatRestartPolicy({ name, maximumRetries }: RestartPolicy): string {
  return maximumRetries > 0 ? `${name}:${maximumRetries}` : name
}

/** How a run of the container ended, and how it came to that. */
export interface EndedRun {
  readonly exitCode: number
  /** How long its process ran, milliseconds. */
  readonly ranMs: number
  /** Somebody asked it to stop. */
  readonly wasStopped: boolean
  /** Restarts in a row until now. */
  readonly restarts: number
  /** The wait before this run; 0 for the first one. */
  readonly lastWaitMs: number
}

const firstWaitMs = 100
const longestWaitMs = 60_000
/** Who ran this long begins with the shortest wait again. */
const steadyMs = 10_000

/** Milliseconds to wait before the next run; undefined: there is none. */
export function nextRestart(policy: RestartPolicy, run: EndedRun): number | undefined {
  if (run.wasStopped || !isWanted(policy, run)) return undefined
  if (run.lastWaitMs === 0 || run.ranMs >= steadyMs) return firstWaitMs
  return Math.min(run.lastWaitMs * 2, longestWaitMs)
}

function isWanted(policy: RestartPolicy, { exitCode, restarts }: EndedRun): boolean {
  switch (policy.name) {
    case 'no':
      return false
    case 'always':
    case 'unless-stopped':
      return true
    case 'on-failure':
      return exitCode !== 0 && (policy.maximumRetries === 0 || restarts < policy.maximumRetries)
    default:
      return policy.name satisfies never
  }
}
