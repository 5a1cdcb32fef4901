// What any process can read about a container: `<runRoot>/containers/<id>/`. state.json is written by its maker, exit.json
// by its monitor, `started` by who started it; each whole or not at all.

import { mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { namesIn } from '../core/directory-names.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { replaceFile } from '../core/replace-file.ts'
import { readTextSync } from '../core/text-file.ts'
import type { RuntimeConfig } from '../oci/runtime-config.ts'
import type { ContainerCgroup } from './cgroup.ts'
import type { MadeEntry } from './mount-points.ts'
import type { ProcessIdentity } from './run-record.ts'
import type { ContainerExit } from './runtime.ts'

export interface StoredContainer {
  readonly id: string
  readonly createdMs: number
  readonly config: RuntimeConfig
  readonly cgroup: Pick<ContainerCgroup, 'directories' | 'taskFiles' | 'version2Directory'>
  /** The first process; undefined while it is being made. */
  readonly process?: ProcessIdentity
  readonly monitor?: ProcessIdentity
  /** A directory that goes with the container. */
  readonly mountPoints?: string
  /** What was made in the root only to mount on it. */
  readonly made?: { readonly directory: string; readonly entries: readonly MadeEntry[] }
}

const idPattern = /^\w[\w.+-]{0,127}$/

/** Directory of one container's files. @throws USAGE for what is no id */
export function containerDirectory(runRoot: string, id: string): string {
  if (!idPattern.test(id)) throw new KauriError('USAGE', `${JSON.stringify(id)} is no container id`)
  return path.join(runRoot, 'containers', id)
}

/** Ids of all containers that have files. */
export function storedIds(runRoot: string): readonly string[] {
  return namesIn(path.join(runRoot, 'containers')).filter(name => idPattern.test(name))
}

/** Makes the directory. @throws NAME_IN_USE where there is one */
export function makeContainerDirectory(runRoot: string, id: string): string {
  const directory = containerDirectory(runRoot, id)
  mkdirSync(path.dirname(directory), { recursive: true, mode: 0o700 })
  try {
    mkdirSync(directory, { mode: 0o700 })
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error
    throw new KauriError('NAME_IN_USE', `a container ${id} is there already`, {
      hint: 'delete it, or take another id',
      cause: error,
    })
  }
  return directory
}

export function writeStored(runRoot: string, stored: StoredContainer): void {
  const file = path.join(containerDirectory(runRoot, stored.id), 'state.json')
  const text = JSON.stringify({ ...stored, config: withoutContents(stored.config) }, toJson)
  replaceFile(file, text)
}

/** Undefined where there is no such container. */
export function readStored(runRoot: string, id: string): StoredContainer | undefined {
  const text = readTextSync(path.join(containerDirectory(runRoot, id), 'state.json'))
  if (text === undefined) return undefined
  // Only root writes there, and whole files.
  return JSON.parse(text, fromJson) as StoredContainer
}

/** How it ended, as its monitor wrote it; undefined while it runs, and where nobody was left to tell. */
export function readExit(
  runRoot: string,
  id: string,
): (ContainerExit & { readonly finishedMs: number }) | undefined {
  const text = readTextSync(path.join(containerDirectory(runRoot, id), 'exit.json'))
  if (text === undefined) return undefined
  const { exitCode, outOfMemory, finishedMs } = JSON.parse(text) as Readonly<{
    exitCode: number
    outOfMemory: boolean
    finishedMs: number
  }>
  return { code: exitCode, outOfMemory, finishedMs }
}

/** Remembers that the program runs. */
export function writeStarted(runRoot: string, id: string): void {
  replaceFile(path.join(containerDirectory(runRoot, id), 'started'), String(Date.now()))
}

/** When the program was started; undefined before. */
export function readStarted(runRoot: string, id: string): number | undefined {
  try {
    return Number(readFileSync(path.join(containerDirectory(runRoot, id), 'started'), 'utf8'))
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Secrets among the files in memory stay there. */
function withoutContents(config: RuntimeConfig): RuntimeConfig {
  const mounts = config.mounts.map(({ destination, type, source, options }) => ({
    destination,
    type,
    source,
    options,
  }))
  return { ...config, mounts }
}

/** 64-bit values of seccomp rules are no JSON numbers; without a limit is -1. */
function toJson(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { bigint: String(value) }
  return value === Infinity ? -1 : value
}

function fromJson(_: string, value: unknown): unknown {
  const isWritten = typeof value === 'object' && value !== null && 'bigint' in value
  return isWritten && typeof value.bigint === 'string' ? BigInt(value.bigint) : value
}
