// `create`: everything of a container but its program (runtime-spec v1.2.1 runtime.md#create). Its first process belongs to
// the engine that called, holds the engine's streams, and waits.

import { renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { KauriError } from '../core/errors.ts'
import type { HooksConfig, RuntimeConfig } from '../oci/runtime-config.ts'
import type { ContainerStatus } from '../runtime/container-runtime.ts'
import { type OciBundle, readBundle } from './bundle.ts'
import { withHome } from './home-variable.ts'
import { runHooks, runHooksOrWarn } from './host-hooks.ts'
import {
  checkId,
  findContainer,
  type OciHost,
  type OciRecord,
  type OciState,
  writeOciRecord,
} from './oci-host.ts'

export interface CreateRequest {
  readonly id: string
  readonly bundle: string
  /** Name of the configuration, relative to the bundle. */
  readonly configFile?: string | undefined
  readonly pidFile?: string | undefined
  /** Where a terminal's master goes; needed for one, unless this process stays beside it. */
  readonly consoleSocket?: string | undefined
  readonly preserveFds: number
  readonly keepKeyring: boolean
  /** This process waits for the container's end. */
  readonly stays: boolean
  /** Changes the configuration before anything is made of it. */
  readonly adjust: (config: RuntimeConfig) => RuntimeConfig
}

/** @throws USAGE, NAME_IN_USE, LAUNCH_FAILED and what the runtime throws; nothing of it is left then */
export async function createContainer(
  request: CreateRequest,
  host: OciHost,
): Promise<ContainerStatus> {
  const id = checkId(request.id)
  if (findContainer(host, id) !== undefined)
    throw new KauriError('NAME_IN_USE', `container with id exists: ${JSON.stringify(id)}`)
  const bundle = readBundle(request.bundle, request.configFile)
  const adjusted = request.adjust(bundle.config)
  const config = { ...adjusted, process: withHome(adjusted.process, bundle.rootPath) }
  checkTerminal(config, request)
  const record: OciRecord = {
    bundle: bundle.directory,
    rootfs: bundle.rootPath,
    created: new Date().toISOString(),
    hasProcess: bundle.hasProcess,
  }
  try {
    const status = await create({ request, bundle: { ...bundle, config }, record }, host)
    writeOciRecord(host, id, record)
    if (request.pidFile !== undefined) writePidFile(request.pidFile, status.pid)
    return status
  } catch (error) {
    await undo(id, host)
    await runPoststop(
      config.hooks,
      { ...createdState(id, config, record), status: 'stopped' },
      host,
    )
    throw error
  }
}

interface Creation {
  readonly request: CreateRequest
  readonly bundle: OciBundle
  readonly record: OciRecord
}

async function create(
  { request, bundle, record }: Creation,
  { runtime, emit, signal }: OciHost,
): Promise<ContainerStatus> {
  const { id, consoleSocket, preserveFds, stays, keepKeyring } = request
  const { config } = bundle
  const hooks = config.hooks ?? {}
  const prepared = async (pid: number): Promise<string> => {
    const state = { ...createdState(id, config, record), pid }
    const text = JSON.stringify(state)
    await runHooks('prestart', hooks.prestart, { state: text, bundle: bundle.directory })
    await runHooks('createRuntime', hooks.createRuntime, { state: text, bundle: bundle.directory })
    return JSON.stringify({ ...state, pid: pidInside(config, pid) })
  }
  return await runtime.create(
    { id, config, root: { kind: 'directory', path: bundle.rootPath } },
    {
      supervision: {
        kind: 'caller',
        preserveFds,
        keepKeyring,
        ...(consoleSocket === undefined ? {} : { consoleSocket }),
        ...(stays ? { stay: true } : {}),
      },
      emit,
      signal,
      ...(needsHostTurn(hooks) ? { hooks: { prepared } } : {}),
    },
  )
}

/** Asking costs a turn through this process. */
function needsHostTurn(hooks: HooksConfig): boolean {
  return [hooks.prestart, hooks.createRuntime, hooks.createContainer].some(
    list => list !== undefined && list.length > 0,
  )
}

/** Hooks inside of the container see its first process by its own number (runtime.md#state). */
export function pidInside({ linux: { namespaces } }: RuntimeConfig, pid: number): number {
  const isNew = namespaces.some(({ type, path: joined }) => type === 'pid' && joined === undefined)
  return isNew ? 1 : pid
}

function createdState(id: string, config: RuntimeConfig, record: OciRecord): OciState {
  const { bundle, rootfs, created } = record
  const annotations = config.annotations ?? {}
  return {
    ociVersion: config.ociVersion,
    id,
    status: 'created',
    bundle,
    rootfs,
    created,
    annotations,
  }
}

function checkTerminal({ process: { terminal } }: RuntimeConfig, request: CreateRequest): void {
  const { consoleSocket, stays } = request
  if (terminal === true && consoleSocket === undefined && !stays)
    throw new KauriError('USAGE', 'a terminal needs --console-socket, over which it is handed out')
  if (terminal !== true && consoleSocket !== undefined)
    throw new KauriError('USAGE', '--console-socket is for a process with a terminal')
}

/** Whole or not at all: engines read it as soon as it is there. */
export function writePidFile(file: string, pid: number): void {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}`)
  writeFileSync(temporary, String(pid), { mode: 0o644 })
  renameSync(temporary, file)
}

async function undo(id: string, { runtime }: OciHost): Promise<void> {
  if (runtime.state(id) !== undefined) await runtime.delete(id, { force: true })
}

/** Hooks at the very end; their failures are warnings. */
export async function runPoststop(
  hooks: HooksConfig | undefined,
  state: OciState,
  { warn }: OciHost,
): Promise<void> {
  const { bundle } = state
  await runHooksOrWarn('poststop', hooks?.poststop, { state: JSON.stringify(state), bundle, warn })
}
