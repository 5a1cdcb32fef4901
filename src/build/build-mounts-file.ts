// Mounts that the host gives to every build container, such as credentials of a package repository: a file of lines
// `HOST-PATH:GUEST-PATH`, `#` begins a comment. They are read-only, and part of no key and no layer.

import { existsSync, statSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import { readTextSync } from '../core/text-file.ts'
import type { RuntimeMount } from '../oci/runtime-config.ts'

/** One line of the file. */
export interface HostMount {
  readonly source: string
  readonly target: string
}

/** The mounts of a file; none where the file is missing. @throws USAGE with file and line for what is no mount */
export function readBuildMounts(file: string): readonly HostMount[] {
  const lines = (readTextSync(file) ?? '').split('\n')
  return lines.flatMap((line, index) => {
    const text = line.trim()
    return text === '' || text.startsWith('#') ? [] : [parseLine(text, { file, line: index + 1 })]
  })
}

function parseLine(
  text: string,
  { file, line }: { readonly file: string; readonly line: number },
): HostMount {
  const [source = '', target = source, ...rest] = text.split(':')
  const problem = rest.length > 0 ? 'it has two colons' : (problemOf(source) ?? problemOf(target))
  if (problem === undefined) return { source, target: path.posix.normalize(target) }
  throw new KauriError('USAGE', `${JSON.stringify(text)} is no mount: ${problem}`, {
    hint: 'write HOST-PATH:GUEST-PATH, or one path that is meant for both',
    where: { file, line, column: 1 },
  })
}

function problemOf(name: string): string | undefined {
  if (!name.startsWith('/')) return `"${name}" is not an absolute path`
  if (name.split('/').includes('..')) return `"${name}" has a ".." in it`
  return path.posix.normalize(name) === '/' ? 'the root is no mount point' : undefined
}

/** How the runtime mounts them. What the host lacks is left out, with a warning. */
export function hostMounts(file: string | undefined, emit: Emit): RuntimeMount[] {
  if (file === undefined) return []
  return readBuildMounts(file).flatMap(({ source, target }) => {
    if (existsSync(source)) return [bindReadOnly(source, target)]
    emit({ kind: 'warning', message: `${source}, which ${file} mounts on ${target}, is not there` })
    return []
  })
}

function bindReadOnly(source: string, destination: string): RuntimeMount {
  const below = statSync(source).isDirectory()
    ? ['rbind', 'rro', 'rnosuid', 'rnodev']
    : ['bind', 'ro']
  return { type: 'bind', source, destination, options: [...below, 'ro', 'nosuid', 'nodev'] }
}
