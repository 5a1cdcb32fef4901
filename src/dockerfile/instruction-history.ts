// Lines of history as BuildKit words them: Go's forms of lists, quoted lists and health checks.

import type { Healthcheck } from '../oci/image-config.ts'
import type { HistoryLine } from '../plan/plan.ts'
import { quoteGo } from './go-values.ts'

/** A line about an instruction that changed files; `isBuilt`: by copying or running something. */
export function historyLine(text: string, isBuilt: boolean): HistoryLine {
  return {
    created_by: isBuilt ? `${text} # buildkit` : text,
    comment: 'buildkit.dockerfile.v0',
  }
}

/** `[a b]`. */
export function goList(items: readonly string[]): string {
  return `[${items.join(' ')}]`
}

/** `["a" "b"]`. */
export function goQuotedList(items: readonly string[]): string {
  return goList(items.map(quoteGo))
}

/** A command line with the build arguments that it saw: `|1 A=x /bin/sh -c make`. */
export function runText(
  command: readonly string[],
  given: readonly (readonly [name: string, value: string])[],
): string {
  const latest = new Map(given)
  const values = Array.from(latest, ([name, value]) => `${name}=${value}`)
  return [...(values.length > 0 ? [`|${values.length}`] : []), ...values, ...command].join(' ')
}

/** `{Test:[CMD-SHELL true] Interval:30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}`. */
export function healthcheckText(check: Healthcheck): string {
  const members = [
    `Test:${goList(check.Test)}`,
    `Interval:${goDuration(check.Interval)}`,
    `Timeout:${goDuration(check.Timeout)}`,
    `StartPeriod:${goDuration(check.StartPeriod)}`,
    `StartInterval:${goDuration(check.StartInterval)}`,
    `Retries:${check.Retries ?? 0}`,
  ]
  return `{${members.join(' ')}}`
}

/** Go's time.Duration in words: `1h0m0s`, `1.5s`, `250ms`. */
function goDuration(nanoseconds = 0): string {
  if (nanoseconds === 0) return '0s'
  if (nanoseconds < 1e3) return `${nanoseconds}ns`
  if (nanoseconds < 1e6) return `${nanoseconds / 1e3}µs`
  if (nanoseconds < 1e9) return `${nanoseconds / 1e6}ms`
  const whole = Math.floor(nanoseconds / 1e9)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  const seconds = (whole % 60) + (nanoseconds % 1e9) / 1e9
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`
}
