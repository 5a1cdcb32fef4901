// What is in a directory that need not be there.

import { readdirSync } from 'node:fs'
import { hasErrno } from './errors.ts'

/** Names of the entries, in no order; none where the directory is missing. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return []
    throw error
  }
}
