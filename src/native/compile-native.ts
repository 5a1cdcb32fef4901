// Compiles the launcher and the addon with the host's `cc`, once for each version of their sources: the result is kept
// under a name that is the hash of sources, flags and architecture, so it never has to be brought up to date.

import { execFileSync } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { hasErrno, KauriError } from '../core/errors.ts'

const sourceRoot = path.join(import.meta.dirname, '..')

/** Node ships its headers beside its executable. */
const nodeHeaders = path.join(path.dirname(process.execPath), '..', 'include', 'node')

interface Recipe {
  /** Folder of src/ whose .c files make the program. */
  readonly folder: string
  readonly extension: string
  readonly flags: readonly string[]
}

const strict = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-fstack-protector-strong']

const recipes: Record<'addon' | 'launcher', Recipe> = {
  addon: {
    folder: 'native',
    extension: '.node',
    flags: [...strict, '-shared', '-fPIC', '-pthread', `-I${nodeHeaders}`],
  },
  launcher: {
    folder: 'launcher',
    extension: '',
    flags: [...strict, '-static'],
  },
}

/** Path of the compiled program; compiles it where it is missing. @throws PREREQUISITE_MISSING without a compiler */
export function compiledPath(name: 'addon' | 'launcher'): string {
  const { folder, extension, flags } = recipes[name]
  const directory = path.join(sourceRoot, folder)
  const files = readdirSync(directory)
    .filter(file => /\.[ch]$/.test(file))
    .toSorted()
    .map(file => path.join(directory, file))
  const hash = createHash('sha256').update([process.arch, ...flags].join(' '))
  for (const file of files) hash.update(readFileSync(file))
  const compiled = path.join(
    compiledDirectory(),
    `kauri-${name}-${hash.digest('hex').slice(0, 16)}${extension}`,
  )
  if (existsSync(compiled)) return compiled
  const sources = files.filter(file => file.endsWith('.c'))
  compile(name, [...sources, ...flags], compiled)
  return compiled
}

/** Root's results serve every run on the machine; other users keep their own. */
function compiledDirectory(): string {
  const { KAURI_NATIVE_DIR, XDG_CACHE_HOME } = process.env
  if (KAURI_NATIVE_DIR !== undefined) return KAURI_NATIVE_DIR
  if (process.getuid?.() === 0) return '/var/cache/kauri'
  return path.join(XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'kauri')
}

function compile(name: string, args: readonly string[], compiled: string): void {
  mkdirSync(path.dirname(compiled), { recursive: true, mode: 0o755 })
  // Threads of one process may compile at once, so its id alone is no unique name.
  const temporary = `${compiled}.${process.pid}-${randomUUID()}`
  try {
    execFileSync('cc', [...args, '-o', temporary], { stdio: ['ignore', 'ignore', 'pipe'] })
    renameSync(temporary, compiled)
  } catch (error) {
    rmSync(temporary, { force: true })
    if (hasErrno(error, 'ENOENT', 'EACCES') || isExit(error))
      throw new KauriError('PREREQUISITE_MISSING', `the ${name} cannot be compiled here`, {
        hint: 'apt-get install gcc libc6-dev',
        cause: error,
      })
    throw error
  }
}

/** The compiler started and failed: a header or library is missing. Its own words are in the error's message. */
function isExit(error: unknown): boolean {
  return error instanceof Error && 'status' in error && typeof error.status === 'number'
}
