// One build's private corner for the host's apt: its configuration, credentials and half-done downloads, in a directory
// that nobody else uses. Everything apt does is told here; of the host's own state it touches nothing.

import { randomUUID } from 'node:crypto'
import { statSync } from 'node:fs'
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { asDiskFull } from '../core/atomic-file.ts'
import { type ProcessOptions, type ProcessResult, runProcess } from '../core/process.ts'
import { lockFile, tryLockFile } from '../native/file-lock.ts'
import { guardCommand } from '../native/guard.ts'
import { type AptSetting, formatAptSettings } from './apt-config.ts'
import type { AptHost } from './apt-host.ts'

export type AptProgram = 'apt-get' | 'apt-cache' | '/usr/lib/apt/apt-helper'

export interface AptRun extends Pick<ProcessOptions, 'onLine' | 'signal'> {
  /** Added on the command line, which everybody may read. */
  readonly settings?: readonly AptSetting[]
}

export interface AptWorkspace extends AsyncDisposable {
  /** Removed when the workspace is disposed. */
  readonly directory: string
  /** Runs one of apt's programs; a failure is a result. It dies with this process. */
  run(program: AptProgram, args: readonly string[], options?: AptRun): Promise<ProcessResult>
}

export interface AptWorkspaceOptions {
  readonly cacheDirectory: string
  readonly host: AptHost
  /** netrc lines beside the host's: a secret. */
  readonly netrc: string
  /** Local directories that apt is to read. */
  readonly localPaths: readonly string[]
  readonly environment: Readonly<Record<string, string>>
}

/** Makes a workspace; the caller disposes it. What killed processes left of theirs is removed on the way. */
export async function openAptWorkspace(options: AptWorkspaceOptions): Promise<AptWorkspace> {
  const parent = path.join(options.cacheDirectory, 'work')
  await mkdir(parent, { recursive: true, mode: 0o711 })
  await sweepWorkspaces(parent)
  const directory = path.join(parent, randomUUID())
  const lock = await lockFile(`${directory}.lock`, 'exclusive')
  await makeLayout(directory)
  await writeFile(path.join(directory, 'netrc'), options.netrc + options.host.netrc, {
    mode: 0o600,
  })
  const configFile = path.join(directory, 'apt.conf')
  await writeFile(configFile, formatAptSettings(commonSettings(directory, options)), {
    mode: 0o600,
  })
  const env = {
    ...options.environment,
    LC_ALL: 'C',
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    APT_CONFIG: configFile,
    TMPDIR: path.join(directory, 'tmp'),
  }
  return {
    directory,
    async run(program, args, { settings = [], ...rest } = {}) {
      const added = settings.flatMap(({ name, value }) => ['-o', `${name}=${value}`])
      const result = await runProcess([...guardCommand(), program, ...added, ...args], {
        ...rest,
        env,
        cwd: directory,
      })
      if (/No space left on device/.test(result.stderr))
        throw asDiskFull(Object.assign(new Error(result.stderr), { code: 'ENOSPC' }), directory)
      return result
    },
    async [Symbol.asyncDispose]() {
      await rm(directory, { recursive: true, force: true })
      lock.removeAndRelease()
    },
  }
}

async function makeLayout(directory: string): Promise<void> {
  for (const name of ['tmp', 'debs', 'keys', 'archives/partial', 'state', 'cache', 'log'])
    await mkdir(path.join(directory, name), { recursive: true, mode: 0o755 })
  // apt's sandbox user makes temporary files here; the sticky bit keeps users apart, the random name strangers out.
  await chmod(path.join(directory, 'tmp'), 0o1777)
  await writeFile(path.join(directory, 'no-packages'), '')
}

function commonSettings(directory: string, options: AptWorkspaceOptions): AptSetting[] {
  const { host, cacheDirectory, localPaths } = options
  const isOpenToAll = [directory, cacheDirectory, ...localPaths].every(isReachableByAll)
  return [
    { name: 'Dir', value: '/' },
    { name: 'Dir::Etc', value: '/dev/null' },
    { name: 'Dir::Etc::main', value: '/dev/null' },
    { name: 'Dir::Etc::parts', value: '/dev/null' },
    { name: 'Dir::Etc::sourcelist', value: '/dev/null' },
    { name: 'Dir::Etc::sourceparts', value: '/dev/null' },
    { name: 'Dir::Etc::preferences', value: '/dev/null' },
    { name: 'Dir::Etc::preferencesparts', value: '/dev/null' },
    { name: 'Dir::Etc::netrc', value: path.join(directory, 'netrc') },
    { name: 'Dir::Etc::netrcparts', value: '/dev/null' },
    { name: 'Dir::Etc::trusted', value: host.trustedKeyFile ?? '/dev/null' },
    { name: 'Dir::Etc::trustedparts', value: host.trustedKeyDirectory ?? '/dev/null' },
    { name: 'Dir::State', value: path.join(directory, 'state') },
    { name: 'Dir::State::status', value: path.join(directory, 'no-packages') },
    { name: 'Dir::Cache', value: path.join(directory, 'cache') },
    { name: 'Dir::Cache::archives', value: path.join(directory, 'archives') },
    { name: 'Dir::Cache::pkgcache', value: '' },
    { name: 'Dir::Log', value: path.join(directory, 'log') },
    { name: 'APT::Sandbox::User', value: isOpenToAll ? '_apt' : 'root' },
    { name: 'APT::Cmd::Pattern-Only', value: 'true' },
    { name: 'APT::Color', value: '0' },
    { name: 'Acquire::Languages', value: 'none' },
    { name: 'Acquire::PDiffs', value: 'false' },
    // Pauses of 1, 2 and 4 seconds before each retry would be all that a refused connection gets out of them.
    { name: 'Acquire::Retries', value: '2' },
    { name: 'Acquire::Retries::Delay', value: 'false' },
    { name: 'Acquire::ForceHash', value: 'SHA256' },
    { name: 'Acquire::Send-URI-Encoded', value: 'true' },
    ...host.acquire,
  ]
}

/** apt's methods run as a user of no rights where that user can reach what they work on. */
function isReachableByAll(place: string): boolean {
  let directory = place
  for (;;) {
    const mode = statSync(directory, { throwIfNoEntry: false })?.mode
    if (mode === undefined || (mode & 0o001) === 0) return false
    const parent = path.dirname(directory)
    if (parent === directory) return true
    directory = parent
  }
}

async function sweepWorkspaces(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.endsWith('.lock')) continue
    const lock = tryLockFile(path.join(parent, name), 'exclusive')
    if (lock === undefined) continue
    await rm(path.join(parent, name.slice(0, -'.lock'.length)), { recursive: true, force: true })
    lock.removeAndRelease()
  }
}
