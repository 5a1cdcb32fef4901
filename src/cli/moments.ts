// Spans and points of time as docker's users write them: `90m`, `1h30m`, `7d`, a date, seconds since 1970.

import { badValue } from './option-values.ts'

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

const durationForm = /^(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h|d))+$/

/** Milliseconds of `90`, which are seconds, or of numbers with units, `1h30m`. @throws USAGE */
export function parseDuration(option: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  if (!durationForm.test(text))
    throw badValue(option, text, 'write numbers with s, m, h or d, such as 90m or 7d')
  let totalMs = 0
  for (const [, amount, unit = ''] of text.matchAll(/([\d.]+)(ms|s|m|h|d)/g))
    totalMs += Number(amount) * (unitMs[unit] ?? 0)
  return totalMs
}

/** Without a zone a time is that of this machine, as docker has it. */
const dateForm = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?)?$/

/** Milliseconds since 1970 of a date, of seconds since 1970, or of a duration before now. @throws USAGE */
export function parseMoment(option: string, text: string, nowMs: number): number {
  if (/^\d{1,12}(?:\.\d{1,9})?$/.test(text)) return Number(text) * 1000
  if (durationForm.test(text)) return nowMs - parseDuration(option, text)
  const atMs = dateForm.test(text) ? Date.parse(text.length === 10 ? `${text}T00:00` : text) : NaN
  if (!Number.isNaN(atMs)) return atMs
  throw badValue(option, text, 'write a date such as 2025-06-30T12:00, or a span such as 24h')
}
