// Which of both front ends a directory is for.

import { existsSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import type { ParsedOptions } from './command.ts'
import { defaultDockerfileNames } from './dockerfile-file.ts'

/** True for a directory with a description and without a Dockerfile of a name that is looked for. */
export function isDescribed(directory: string, options: ParsedOptions): boolean {
  if (options.text('file') !== undefined) return false
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) return false
  const names = readdirSync(directory)
  if (defaultDockerfileNames().some(name => names.includes(name))) return false
  return (
    names.some(name => name === 'config.xml' || name.endsWith('.kiwi')) ||
    existsSync(path.join(directory, 'image', 'config.xml'))
  )
}
