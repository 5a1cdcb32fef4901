// What a cgroup uses at the moment, and what follows from that for a new limit.

import { readFileSync } from 'node:fs'
import { hasErrno, KauriError } from '../core/errors.ts'

/** The number in a file of a cgroup; undefined where there is no such file, Infinity for `max`. */
export function readNumber(file: string): number | undefined {
  try {
    const text = readFileSync(file, 'utf8').trim()
    return text === 'max' ? Infinity : Number(text)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'EOPNOTSUPP')) return undefined
    throw error
  }
}

/** @throws LIMIT_UNAVAILABLE where more than `limit` bytes are in use, as the file says */
export function refuseBelowUse(limit: number | undefined, file: string): void {
  const used = readNumber(file) ?? 0
  if (limit === undefined || limit < 0 || used <= limit) return
  throw new KauriError(
    'LIMIT_UNAVAILABLE',
    `a memory limit of ${limit} bytes is below the ${used} bytes in use`,
    { hint: 'choose a larger limit, or leave checkBeforeUpdate out' },
  )
}
