// Reads what the caller hands to a build under a name: a file or a variable of the caller's environment.

import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import process from 'node:process'
import { KauriError } from '../core/errors.ts'
import type { SecretSource } from './build.ts'

/** BuildKit has the same bound. */
const maxBytes = 500 * 1024

/** The value; undefined where the variable is not set. @throws FILE_NOT_FOUND, USAGE for more than 500 KiB */
export function readSecret(source: SecretSource): Buffer | undefined {
  if (source.kind === 'file') return readBounded(source.path)
  const value = process.env[source.name]
  return value === undefined ? undefined : Buffer.from(value)
}

function readBounded(file: string): Buffer {
  const fd = openSync(file, 'r')
  try {
    if (fstatSync(fd).size > maxBytes)
      throw new KauriError('USAGE', `the secret in ${file} is larger than ${maxBytes} bytes`)
    return readFileSync(fd)
  } finally {
    closeSync(fd)
  }
}
