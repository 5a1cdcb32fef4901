// When a new image says that it was made.

import process from 'node:process'
import { KauriError } from '../core/errors.ts'

/** Now; SOURCE_DATE_EPOCH fixes it, in seconds since 1970, so that the same input gives the same image. @throws USAGE */
export function creationTime(): Date {
  const epoch = process.env['SOURCE_DATE_EPOCH']
  if (epoch === undefined || epoch === '') return new Date()
  if (!/^\d{1,11}$/.test(epoch))
    throw new KauriError('USAGE', `SOURCE_DATE_EPOCH is no number of seconds: "${epoch}"`)
  return new Date(Number(epoch) * 1000)
}
