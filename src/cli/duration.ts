// Durations and moments as docker's users write them.

import { parseTime } from '../container/log-format.ts'
import { KauriError } from '../core/errors.ts'
import { parseGoDuration } from '../dockerfile/go-values.ts'
import { badValue } from './option-values.ts'

const nanosecondsPerSecond = 1_000_000_000n

/** Nanoseconds of `1m30s`; 0, or at least `least`. @throws USAGE */
export function durationNanoseconds(
  option: string,
  text: string,
  { least }: { readonly least: number },
): number {
  const nanoseconds = goDuration(text)
  if (nanoseconds === undefined) throw badValue(option, text, 'write a duration such as 1m30s')
  if (nanoseconds === 0 || nanoseconds >= least) return nanoseconds
  throw badValue(option, text, `write 0, or at least ${least / 1e6}ms`)
}

/** Nanoseconds since 1970: RFC 3339 and its beginnings, seconds since 1970, or a duration before now. @throws USAGE */
export function momentNanoseconds(option: string, text: string, nowMs: number): bigint {
  const [, seconds, fraction = ''] = /^(\d{1,12})(?:\.(\d{1,9}))?$/.exec(text) ?? []
  if (seconds !== undefined)
    return BigInt(seconds) * nanosecondsPerSecond + BigInt(fraction.padEnd(9, '0'))
  const before = goDuration(text)
  if (before !== undefined) return BigInt(nowMs) * 1_000_000n - BigInt(before)
  const time = parseTime(completed(text))
  if (time !== undefined) return time
  throw badValue(
    option,
    text,
    'write a time such as 2026-01-02T13:23:37Z, seconds since 1970, or a duration such as 10m',
  )
}

/** A date, or a time without a zone, is this machine's. */
function completed(text: string): string {
  const [, date, hours = '00', minutes = '00', seconds = '00', fraction = '', zone] =
    /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d))?)?)?(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?$/.exec(
      text,
    ) ?? []
  if (date === undefined) return text
  const local = `${date}T${hours}:${minutes}:${seconds}`
  return `${local}${fraction}${zone ?? zoneOf(local)}`
}

function zoneOf(local: string): string {
  const offset = -new Date(local).getTimezoneOffset()
  const [hours, minutes] = [Math.trunc(Math.abs(offset) / 60), Math.abs(offset) % 60]
  return `${offset < 0 ? '-' : '+'}${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`
}

function goDuration(text: string): number | undefined {
  try {
    return parseGoDuration(text)
  } catch (error) {
    if (error instanceof KauriError) return undefined
    throw error
  }
}
