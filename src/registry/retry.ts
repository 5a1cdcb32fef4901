// When a request is sent again, and after how long: what registries say with Retry-After, or twice as long each time.

import { setTimeout as sleep } from 'node:timers/promises'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import type { RegistryLimits } from './registry.ts'

const passingStatuses = new Set([408, 429, 499, 500, 502, 503, 504, 522])

/** True for answers that may be others in a moment. */
export function isPassingStatus(status: number): boolean {
  return passingStatuses.has(status)
}

/** Milliseconds of a Retry-After header in seconds or as a date; undefined for any other. Never below 0. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim()
  if (text === undefined || text === '') return undefined
  if (/^\d{1,9}(?:\.\d{1,3})?$/.test(text)) return Number(text) * 1000
  // Date.parse takes nearly anything; a date of HTTP begins with the day's name.
  const atMs = /^[A-Z][a-z]{2}/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs)
}

/** The wait before the next attempt (0 for the first one that failed): exponential, and a random half of it less. */
export function backOffMs(
  attempt: number,
  { firstWaitMs, longestWaitMs }: Pick<RegistryLimits, 'firstWaitMs' | 'longestWaitMs'>,
  random: () => number = Math.random,
): number {
  return Math.min(longestWaitMs, firstWaitMs * 2 ** attempt) * (1 - random() / 2)
}

/** Waits; ends with the signal. @throws CANCELLED */
export async function waitMs(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(milliseconds, undefined, signal === undefined ? {} : { signal })
  } catch (error) {
    throw signal === undefined ? error : cancelled(signal)
  }
}

/** The error of a registry that wants a longer pause than anybody waits. */
export function asksToWait(host: string, milliseconds: number): KauriError {
  return new KauriError(
    'REGISTRY_FAILED',
    `${host} asks to wait ${Math.ceil(milliseconds / 1000)} s before the next request`,
    { hint: 'try again later, or log in for a higher limit' },
  )
}
