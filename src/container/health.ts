// The health of a running container: what the last checks said, in docker's shape. A check is a short-lived kauri that the
// monitor starts; it runs the image's or the caller's command in the container and notes the answer here.

import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { hasErrno } from '../core/errors.ts'
import { replaceFile } from '../core/replace-file.ts'
import type { Healthcheck } from '../oci/image-config.ts'
import type { ContainerId, StoredRequest } from './container.ts'

/** One check. */
export interface HealthResult {
  /** RFC 3339. */
  readonly Start: string
  readonly End: string
  /** 0: healthy; -1: it did not answer in time. */
  readonly ExitCode: number
  readonly Output: string
}

/** Docker's State.Health. */
export interface Health {
  readonly Status: 'starting' | 'healthy' | 'unhealthy'
  /** Failures in a row. */
  readonly FailingStreak: number
  /** Oldest first. */
  readonly Log: readonly HealthResult[]
}

/** A check that is to be done, with docker's defaults filled in; times in milliseconds. */
export interface HealthPlan {
  readonly args: readonly string[]
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly startPeriodMs: number
  readonly startIntervalMs: number
  readonly retries: number
}

const nanosecondsPerMillisecond = 1e6
const defaultMs = 30_000
const defaultStartIntervalMs = 5000
const defaultRetries = 3

/** What to check; undefined where neither caller nor image ask for it. */
export function healthPlanOf({
  spec,
  imageConfig,
}: Pick<StoredRequest, 'spec' | 'imageConfig'>): HealthPlan | undefined {
  const check: Partial<Healthcheck> = { ...imageConfig.Healthcheck, ...spec.healthcheck }
  const args = commandOf(check.Test ?? [], imageConfig.Shell)
  if (args === undefined) return undefined
  return {
    args,
    intervalMs: millisecondsOf(check.Interval, defaultMs),
    timeoutMs: millisecondsOf(check.Timeout, defaultMs),
    startPeriodMs: millisecondsOf(check.StartPeriod, 0),
    startIntervalMs: millisecondsOf(check.StartInterval, defaultStartIntervalMs),
    retries: check.Retries || defaultRetries,
  }
}

/** Zero is as good as nothing said. */
function millisecondsOf(nanoseconds: number | undefined, otherwise: number): number {
  return nanoseconds === undefined || nanoseconds === 0
    ? otherwise
    : Math.max(1, Math.round(nanoseconds / nanosecondsPerMillisecond))
}

function commandOf(
  [kind = '', ...words]: readonly string[],
  shell: readonly string[] = ['/bin/sh', '-c'],
): readonly string[] | undefined {
  if (kind === 'CMD-SHELL') return [...shell, words.join(' ')]
  return kind === 'CMD' && words.length > 0 ? words : undefined
}

/** While a start period lasts, checks come at its own interval. */
export function checkIntervalMs({
  intervalMs,
  startIntervalMs,
  startPeriodMs,
}: HealthPlan): number {
  return startPeriodMs > 0 ? Math.min(startIntervalMs, intervalMs) : intervalMs
}

/** False where the last check was not long enough ago: in the start period the monitor calls more often. */
export function isCheckDue(
  plan: HealthPlan,
  health: Health,
  ranMs: number,
  nowMs: number,
): boolean {
  if (health.Status === 'starting' && ranMs < plan.startPeriodMs) return true
  const last = health.Log.at(-1)
  return last === undefined || nowMs - Date.parse(last.End) >= plan.intervalMs - slackMs
}

const slackMs = 50
const keptResults = 5

/** What the health is after one more check; failures in the start period count for nothing. */
export function afterCheck(
  health: Health,
  result: HealthResult,
  { retries, startPeriodMs }: Pick<HealthPlan, 'retries' | 'startPeriodMs'>,
  ranMs: number,
): Health {
  const Log = [...health.Log, result].slice(-keptResults)
  if (result.ExitCode === 0) return { Status: 'healthy', FailingStreak: 0, Log }
  const isStarting = health.Status === 'starting' && ranMs < startPeriodMs
  if (isStarting) return { ...health, Log }
  const FailingStreak = health.FailingStreak + 1
  return { Status: FailingStreak >= retries ? 'unhealthy' : health.Status, FailingStreak, Log }
}

/** Where every run begins. */
export const startingHealth: Health = { Status: 'starting', FailingStreak: 0, Log: [] }

const fileName = 'health.json'

/** Undefined without a healthcheck. */
export function readHealth(root: string, id: ContainerId): Health | undefined {
  try {
    return JSON.parse(readFileSync(path.join(root, id, fileName), 'utf8'))
  } catch (error) {
    if (error instanceof SyntaxError || hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Whole or not at all. */
export function writeHealth(root: string, id: ContainerId, health: Health): void {
  replaceFile(path.join(root, id, fileName), JSON.stringify(health))
}

/** For a container that has none, or none any more. */
export function forgetHealth(root: string, id: ContainerId): void {
  rmSync(path.join(root, id, fileName), { force: true })
}
