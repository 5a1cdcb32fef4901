// Drives an OCI runtime (crun, runc, youki …) by its command line: writes a bundle and calls `run`. Its log says why a
// container did not begin; a code without a word in the log is the container's own.

import { existsSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../../core/errors.ts'
import { bundleJson } from './bundle-json.ts'
import type { ContainerDriver, DriverGround } from './driver.ts'
import { exactJson } from './exact-json.ts'

/** @param program its absolute path */
export function ociDriver(name: string, program: string): ContainerDriver {
  return {
    name,
    prepare({ directory, config, id }) {
      writeFileSync(path.join(directory, 'config.json'), exactJson(bundleJson(config)), {
        mode: 0o600,
      })
      const state = path.join(directory, 'state')
      const readyFile = path.join(directory, 'pid')
      const global = ['--root', state, '--log', logOf(directory), '--log-format', 'json']
      return {
        args: [program, ...global, 'run', '--bundle', directory, '--pid-file', readyFile, id],
        readyFile,
        hidden: name === 'crun' ? hybridHierarchies() : [],
      }
    },
    conclude(code, ground) {
      const failure = code === 0 ? undefined : lastError(ground)
      if (failure !== undefined) throw failure
      return { code, outOfMemory: false }
    },
  }
}

function logOf(directory: string): string {
  return path.join(directory, 'log')
}

const cgroup2Magic = 0x63677270

/** crun runs under version 1 or version 2, and refuses a machine that has both at once. */
function hybridHierarchies(): readonly string[] {
  const unified = '/sys/fs/cgroup/unified'
  return existsSync(unified) && statfsSync(unified).type === cgroup2Magic ? [unified] : []
}

/** By what runtimes write of a program that cannot be executed. */
const patterns = [
  { pattern: /executable file .*not found|no such file or directory/i, code: 'COMMAND_NOT_FOUND' },
  {
    pattern: /permission denied|exec format error|is a directory/i,
    code: 'COMMAND_NOT_EXECUTABLE',
  },
] as const

function lastError({ directory }: DriverGround): KauriError | undefined {
  const file = logOf(directory)
  if (!existsSync(file)) return undefined
  const message = readFileSync(file, 'utf8').split('\n').flatMap(errorOf).at(-1)
  if (message === undefined) return undefined
  const code = patterns.find(({ pattern }) => pattern.test(message))?.code ?? 'LAUNCH_FAILED'
  return new KauriError(code, message)
}

function errorOf(line: string): string[] {
  try {
    const entry: unknown = JSON.parse(line)
    if (typeof entry !== 'object' || entry === null) return []
    const { level, msg } = entry as { readonly level?: unknown; readonly msg?: unknown }
    return level === 'error' && typeof msg === 'string' ? [msg] : []
  } catch {
    return []
  }
}
