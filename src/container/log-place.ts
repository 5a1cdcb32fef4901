// Where a container's output is kept, and how much of it, by docker's options.

import path from 'node:path'
import type { LogRequest } from './container.ts'
import type { LogFiles } from './read-log.ts'

/** Files of a log and what bounds them. */
export interface LogPlace extends LogFiles {
  /** Undefined: no bound. */
  readonly maxBytes: number | undefined
  readonly maxFiles: number | undefined
}

const localMaxBytes = 20 * 1024 * 1024
const localMaxFiles = 5

/** Undefined where nothing is kept. */
export function logOf(directory: string, { driver, options }: LogRequest): LogPlace | undefined {
  if (driver === 'none') return undefined
  const size = options['max-size']
  const files = options['max-file']
  const isLocal = driver === 'local'
  return {
    form: driver,
    file: path.join(directory, isLocal ? 'container.log' : 'container-json.log'),
    maxBytes: size === undefined ? (isLocal ? localMaxBytes : undefined) : bytesOf(size),
    maxFiles: files === undefined ? (isLocal ? localMaxFiles : undefined) : Number(files),
  }
}

/** Sizes were checked when they were given: `10m`. */
function bytesOf(text: string): number | undefined {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?$/i.exec(text) ?? []
  const bytes = Number(number) * 1024 ** ' kmgtp'.indexOf(unit.toLowerCase() || ' ')
  return bytes > 0 ? Math.floor(bytes) : undefined
}
