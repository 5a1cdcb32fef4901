// What this machine must offer, looked at before anything is begun.

import { existsSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { KauriError } from '../core/errors.ts'

/** @throws NOT_ROOT; `what` is a sentence's beginning, such as `building an image` */
export function requireRoot(what: string): void {
  if (process.getuid?.() === 0) return
  throw new KauriError('NOT_ROOT', `${what} needs root rights`, {
    hint: 'run the command with sudo',
  })
}

/** @throws PREREQUISITE_MISSING with the line that installs it */
export function requireProgram(name: string, debianPackage: string): void {
  const directories = (process.env['PATH'] ?? '').split(':')
  if (directories.some(directory => existsSync(path.join(directory, name)))) return
  throw new KauriError('PREREQUISITE_MISSING', `the program ${name} is not installed`, {
    hint: `apt-get install ${debianPackage}`,
  })
}
