// What every command of the OCI runtime works with: the runtime, the engine's name for a container, and what is kept of it
// beside the runtime's own state, as the configuration file may change or go after `create` (runtime-spec v1.2.1
// runtime.md#lifecycle, step 2).

import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import type { ContainerRuntime, ContainerStatus } from '../runtime/container-runtime.ts'

export interface OciHost {
  readonly runtime: ContainerRuntime
  /** What the runtime says while streams may be the container's. */
  readonly emit: Emit
  /** Tells of what went wrong after a container's end. */
  readonly warn: (message: string) => void
  readonly signal: AbortSignal
}

/** Kept from `create` to `delete`. */
export interface OciRecord {
  /** Absolute path of the bundle. */
  readonly bundle: string
  readonly rootfs: string
  /** RFC 3339. */
  readonly created: string
  readonly hasProcess: boolean
}

/** A container of an engine. */
export interface OciContainer {
  readonly status: ContainerStatus
  readonly record: OciRecord
}

const recordName = 'oci.json'
const idPattern = /^[\w+.-]{1,255}$/

/** Engines' ids become names of files and cgroups. @throws USAGE */
export function checkId(id: string): string {
  if (idPattern.test(id) && id !== '.' && id !== '..') return id
  throw new KauriError('USAGE', `invalid container id ${JSON.stringify(id.slice(0, 300))}`, {
    hint: 'use letters, digits and _ + - . up to 255 of them',
  })
}

export function writeOciRecord({ runtime }: OciHost, id: string, record: OciRecord): void {
  writeFileSync(path.join(runtime.directoryOf(id), recordName), JSON.stringify(record), {
    mode: 0o600,
  })
}

/** Undefined where there is none of this id. */
export function findContainer({ runtime }: OciHost, id: string): OciContainer | undefined {
  const status = runtime.state(checkId(id))
  const record = status === undefined ? undefined : readRecord(runtime.directoryOf(id))
  return status === undefined || record === undefined ? undefined : { status, record }
}

/** @throws CONTAINER_NOT_FOUND */
export function getContainer(host: OciHost, id: string): OciContainer {
  const found = findContainer(host, id)
  if (found !== undefined) return found
  // The words that engines look for.
  throw new KauriError('CONTAINER_NOT_FOUND', `container ${JSON.stringify(id)} does not exist`)
}

/** Containers of engines alone, by id. */
export function listContainers(host: OciHost): readonly OciContainer[] {
  return host.runtime
    .list()
    .flatMap(({ id }) => findContainer(host, id) ?? [])
    .toSorted((a, b) => (a.status.id < b.status.id ? -1 : 1))
}

function readRecord(directory: string): OciRecord | undefined {
  try {
    const value: OciRecord = JSON.parse(readFileSync(path.join(directory, recordName), 'utf8'))
    return value
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** What `state` prints and hooks read (runtime.md#state). */
export interface OciState {
  readonly ociVersion: string
  readonly id: string
  readonly pid?: number
  readonly status: string
  readonly bundle: string
  readonly rootfs: string
  readonly created: string
  readonly annotations: Readonly<Record<string, string>>
}

/** The runtime specification that this runtime follows. */
export const ociVersion = '1.2.1'

export function stateOf({ status, record }: OciContainer): OciState {
  return {
    ociVersion: status.config.ociVersion,
    id: status.id,
    pid: status.status === 'stopped' ? 0 : status.pid,
    status: status.status,
    bundle: record.bundle,
    rootfs: record.rootfs,
    created: record.created,
    annotations: status.config.annotations ?? {},
  }
}
