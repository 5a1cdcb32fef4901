// Small files read at once, for what a start waits for: promises would load more modules than they read bytes.

import { readFileSync } from 'node:fs'
import { hasErrno } from './errors.ts'

/** A file's text, or undefined where there is no such file. */
export function readTextSync(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}
