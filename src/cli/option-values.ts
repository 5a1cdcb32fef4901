// Values of options as docker's users write them: sizes, counts, limits. Each reader names the option in its error.

import { KauriError } from '../core/errors.ts'
import type { Rlimit } from '../oci/runtime-config.ts'

/** The error for a value that an option does not take. */
export function badValue(option: string, value: string, hint: string): KauriError {
  return new KauriError('USAGE', `${option} does not take "${value.slice(0, 300)}"`, { hint })
}

const sizeForm = /^(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?$/i

/** Bytes from `64m`, `1.5g`, `65536`: binary units, as docker has them. @throws USAGE */
export function parseBytes(option: string, text: string): number {
  const [, number = '', unit = ''] = sizeForm.exec(text) ?? []
  const bytes = Math.floor(Number(number) * 1024 ** ' kmgtp'.indexOf(unit.toLowerCase() || ' '))
  if (number !== '' && Number.isSafeInteger(bytes)) return bytes
  throw badValue(option, text, 'write a number of bytes with b, k, m or g behind it, such as 64m')
}

/** A whole number between two bounds. @throws USAGE */
export function parseInteger(
  option: string,
  text: string,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw badValue(option, text, `write a whole number from ${min} to ${max}`)
}

/** Microseconds of CPU time in each 100 ms from a number of processors such as `1.5`. @throws USAGE */
export function parseCpus(option: string, text: string, available: number): number {
  const cpus = /^\d{0,9}(?:\.\d{1,9})?$/.test(text) && text !== '' ? Number(text) : Number.NaN
  if (cpus >= 0.01 && cpus <= available) return Math.round(cpus * 100_000)
  throw badValue(option, text, `write a number of processors from 0.01 to ${available}`)
}

const limitNames = new Set(
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(
    ' ',
  ),
)

/** `nofile=1024:2048`; -1 is no limit. @throws USAGE */
export function parseUlimit(option: string, text: string): Rlimit {
  const [, name = '', soft = '', hard = soft] =
    /^([a-z]+)=(-1|\d{1,15})(?::(-1|\d{1,15}))?$/.exec(text) ?? []
  if (!limitNames.has(name))
    throw badValue(option, text, `write NAME=SOFT[:HARD]; names are ${[...limitNames].join(' ')}`)
  if (unlimited(soft) > unlimited(hard))
    throw badValue(option, text, `the soft limit ${soft} must not be above the hard one, ${hard}`)
  return { type: `RLIMIT_${name.toUpperCase()}`, soft: Number(soft), hard: Number(hard) }
}

function unlimited(text: string): number {
  return text === '-1' ? Number.POSITIVE_INFINITY : Number(text)
}

/** `0-3,5`. @throws USAGE */
export function parseCpuList(option: string, text: string): string {
  if (/^\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*$/.test(text)) return text
  throw badValue(option, text, 'write numbers and ranges such as 0-3,5')
}

/** `KEY=VALUE` and `KEY` texts; the last word on a key wins. @throws USAGE */
export function parseLabels(option: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map(text => {
      const equals = text.indexOf('=')
      if (text === '' || equals === 0) throw badValue(option, text, 'write KEY=VALUE')
      return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)]
    }),
  )
}

/** `KEY=VALUE` texts; the last word on a key wins. @throws USAGE where there is no value */
export function parseKeyValues(option: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map(text => {
      const equals = text.indexOf('=')
      if (equals <= 0) throw badValue(option, text, 'write KEY=VALUE')
      return [text.slice(0, equals), text.slice(equals + 1)]
    }),
  )
}

/** `true` or `false` as docker's options spell them. @throws USAGE */
export function parseBoolean(option: string, text: string): boolean {
  if (/^(?:1|t|true)$/i.test(text)) return true
  if (/^(?:0|f|false)$/i.test(text)) return false
  throw badValue(option, text, 'write true or false')
}
