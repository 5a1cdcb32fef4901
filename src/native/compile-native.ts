// Compiles the launcher and the addon with the host's `cc`, once for each version of their sources: the result is kept
// under a name that is the hash of sources, flags and architecture. A package ships them prebuilt and skips this.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { hasErrno, KauriError } from '../core/errors.ts'

const sourceRoot = path.join(import.meta.dirname, '..')

/** Node ships its headers beside its executable. */
const nodeHeaders = path.join(path.dirname(process.execPath), '..', 'include', 'node')

interface Recipe {
  readonly sources: string
  readonly extension: string
  readonly flags: readonly string[]
}

const strict = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-fstack-protector-strong']

const recipes: Record<'addon' | 'launcher', Recipe> = {
  addon: {
    sources: 'native/*.c',
    extension: '.node',
    flags: [...strict, '-shared', '-fPIC', `-I${nodeHeaders}`],
  },
  launcher: {
    sources: 'launcher/*.c',
    extension: '',
    flags: [...strict, '-static'],
  },
}

/** Path of the compiled program; compiles it where it is missing. @throws PREREQUISITE_MISSING without a compiler */
export function compiledPath(name: 'addon' | 'launcher'): string {
  const { sources, extension, flags } = recipes[name]
  const files = globSync([sources, sources.replace('.c', '.h')], { cwd: sourceRoot }).toSorted()
  const hash = createHash('sha256').update([process.arch, ...flags].join(' '))
  for (const file of files) hash.update(readFileSync(path.join(sourceRoot, file)))
  const compiled = path.join(
    compiledDirectory(),
    `kauri-${name}-${hash.digest('hex').slice(0, 16)}${extension}`,
  )
  if (!existsSync(compiled))
    compile(
      files.filter(file => file.endsWith('.c')),
      flags,
      compiled,
    )
  return compiled
}

/** Beside the checkout's node_modules where that is writable by its owner; else the user's cache. */
function compiledDirectory(): string {
  const { KAURI_NATIVE_DIR, XDG_CACHE_HOME } = process.env
  if (KAURI_NATIVE_DIR !== undefined) return KAURI_NATIVE_DIR
  if (process.getuid?.() === 0) return '/var/cache/kauri'
  return path.join(XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'kauri')
}

function compile(files: readonly string[], flags: readonly string[], compiled: string): void {
  mkdirSync(path.dirname(compiled), { recursive: true, mode: 0o755 })
  const temporary = `${compiled}.${process.pid}`
  try {
    execFileSync('cc', [...files, ...flags, '-o', temporary], {
      cwd: sourceRoot,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
  } catch (error) {
    if (hasErrno(error, 'ENOENT'))
      throw new KauriError('PREREQUISITE_MISSING', 'no C compiler for the launcher', {
        hint: 'apt-get install gcc libc6-dev',
        cause: error,
      })
    throw error
  }
  renameSync(temporary, compiled)
}
