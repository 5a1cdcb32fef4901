// Compiles the launcher and the addon with the host's `cc`, once for each version of their sources: the result is kept
// under a name that is the hash of sources, flags and architecture, so it never has to be brought up to date. A second
// name tells of the sources' inodes and times, because reading and hashing all of them would cost each start 3 ms.

import { execFileSync } from 'node:child_process'
import { hash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { hasErrno, KauriError } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import { randomHex } from '../core/random-hex.ts'

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

const known = new Map<string, string>()

/** Path of the compiled program; compiles it where it is missing. @throws PREREQUISITE_MISSING without a compiler */
export function compiledPath(name: 'addon' | 'launcher'): string {
  const compiled = known.get(name) ?? findCompiled(name)
  known.set(name, compiled)
  return compiled
}

function findCompiled(name: 'addon' | 'launcher'): string {
  const { folder, extension, flags } = recipes[name]
  const directory = path.join(sourceRoot, folder)
  const files = readdirSync(directory)
    .filter(file => /\.[ch]$/.test(file))
    .toSorted()
    .map(file => path.join(directory, file))
  const named = (mark: string): string =>
    path.join(compiledDirectory(), `kauri-${name}-${mark}${extension}`)
  const factsWith = (facts: readonly string[]): string =>
    [process.arch, ...flags, ...facts].join('\0')
  requireOwn(compiledDirectory())
  const byTimes = named(fingerprint(factsWith(files.map(fileTimes))))
  if (existsSync(byTimes)) return byTimes
  const contents = factsWith(files.map(file => readFileSync(file, 'latin1')))
  const byContent = named(hash('sha256', contents, 'hex').slice(0, 16))
  if (!existsSync(byContent)) {
    const sources = files.filter(file => file.endsWith('.c'))
    compile(name, [...sources, ...flags], byContent)
  }
  return linkOrStay(byContent, byTimes)
}

/** What lies there is run with all rights of the caller. @throws PERMISSION_DENIED where others could put it there */
function requireOwn(directory: string): void {
  const found = statSync(directory, { throwIfNoEntry: false })
  if (found === undefined) return
  const isOwn = found.uid === 0 || found.uid === process.geteuid?.()
  if (isOwn && (found.mode & 0o022) === 0) return
  throw new KauriError('PERMISSION_DENIED', `${directory} may be written by other users`, {
    hint: `kauri runs what is in it: remove it, or chmod go-w and chown it after a look inside`,
  })
}

/** The change time is in it: a package manager may set all others to what they were for another version. */
function fileTimes(file: string): string {
  const { ino, size, mtimeMs, ctimeMs } = statSync(file)
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`
}

/** Gives a file its second name where the directory may be written. */
function linkOrStay(file: string, second: string): string {
  try {
    linkSync(file, second)
    return second
  } catch {
    return file
  }
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
  const temporary = `${compiled}.${process.pid}-${randomHex(16)}`
  try {
    execFileSync('cc', [...args, '-o', temporary], { stdio: ['ignore', 'ignore', 'pipe'] })
    // The compiler leaves it to the umask, which may let everybody write what root runs.
    chmodSync(temporary, 0o755)
    renameSync(temporary, compiled)
    sweepOld(path.dirname(compiled), name)
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

/** Removes what was compiled of sources that nobody has had for a month. */
function sweepOld(directory: string, name: string): void {
  const monthMs = 30 * 24 * 60 * 60 * 1000
  for (const entry of readdirSync(directory)) {
    if (!entry.startsWith(`kauri-${name}-`)) continue
    const file = path.join(directory, entry)
    const stat = statSync(file, { throwIfNoEntry: false })
    if (stat !== undefined && Date.now() - stat.ctimeMs > monthMs) rmSync(file, { force: true })
  }
}

/** The compiler started and failed: a header or library is missing. Its own words are in the error's message. */
function isExit(error: unknown): boolean {
  return error instanceof Error && 'status' in error && typeof error.status === 'number'
}
