// The time of an image as the command line or the environment says it.

import process from 'node:process'
import { KauriError } from '../core/errors.ts'
import type { ParsedOptions } from './command.ts'

/** Seconds since 1970 that the option or the environment asks for. @throws USAGE */
export function readSourceDateEpoch(options: ParsedOptions): number | undefined {
  const option = options.text('source-date-epoch')
  const text = option ?? (process.env['SOURCE_DATE_EPOCH'] || undefined)
  if (text === undefined) return undefined
  // Up to the year 9999: image configurations have no later dates.
  if (/^\d{1,12}$/.test(text) && Number(text) <= 253_402_300_799) return Number(text)
  const where = option === undefined ? 'SOURCE_DATE_EPOCH' : '--source-date-epoch'
  throw new KauriError('USAGE', `${where} does not take "${text}"`, {
    hint: 'write seconds since 1970 as a whole number',
  })
}
