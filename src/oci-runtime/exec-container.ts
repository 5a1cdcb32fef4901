// `exec`: one more process in a container that runs. It gets what the caller's process object says, and from the container
// what that leaves out.

import { readFileSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { documentPlace } from '../oci/json-shape.ts'
import { readProcessConfig } from '../oci/read-process-config.ts'
import { parseExact } from '../oci/read-runtime-config.ts'
import type { ExecIo, ExecProcess } from '../runtime/container-runtime.ts'
import type { RunningContainer } from '../runtime/runtime.ts'
import { writePidFile } from './create-container.ts'
import { withHome } from './home-variable.ts'
import { getContainer, type OciHost } from './oci-host.ts'

export interface ExecRequest {
  readonly id: string
  readonly process: ExecProcess
  readonly pidFile?: string | undefined
  readonly consoleSocket?: string | undefined
  /** Do not wait for its end. */
  readonly detach: boolean
  readonly preserveFds: number
  readonly onStart?: (program: RunningContainer) => void
}

/** The exit code; 0 of a detached process. @throws CONTAINER_NOT_FOUND, CONTAINER_NOT_RUNNING and what the runtime throws */
export async function execInContainer(request: ExecRequest, host: OciHost): Promise<number> {
  const { status } = getContainer(host, request.id)
  if (status.status === 'stopped')
    throw new KauriError(
      'CONTAINER_NOT_RUNNING',
      `cannot exec in a stopped container: ${request.id}`,
    )
  const { pidFile, detach } = request
  const env = request.process.env ?? status.config.process.env
  const process = withHome({ ...request.process, env }, `/proc/${status.pid}/root`)
  const result = await host.runtime.exec(request.id, process, {
    io: ioOf(request),
    preserveFds: request.preserveFds,
    signal: host.signal,
    emit: host.emit,
    onStart: program => {
      if (pidFile !== undefined && !detach) writePidFile(pidFile, program.pid)
      request.onStart?.(program)
    },
  })
  if (pidFile !== undefined && detach) writePidFile(pidFile, result.pid)
  return result.code
}

function ioOf({ process, consoleSocket, detach }: ExecRequest): ExecIo {
  if (process.terminal === true && consoleSocket === undefined) {
    if (detach) throw new KauriError('USAGE', 'a detached terminal needs --console-socket')
    return { kind: 'terminal' }
  }
  if (process.terminal !== true && consoleSocket !== undefined)
    throw new KauriError('USAGE', '--console-socket is for a process with a terminal')
  return { kind: 'caller', consoleSocket, detach }
}

/** Members that a process object may leave out, so that the container's hold. */
const inherited = [
  'capabilities',
  'rlimits',
  'noNewPrivileges',
  'oomScoreAdj',
  'apparmorProfile',
  'selinuxLabel',
] as const

/** Reads what `exec --process` names. @throws USAGE */
export function readProcessFile(file: string): ExecProcess {
  const value = parseExact(readFileSync(file), file)
  const process = readProcessConfig(value, documentPlace(file, 'USAGE'))
  const written = new Set(Object.keys(typeof value === 'object' && value !== null ? value : {}))
  const own: Partial<ExecProcess> & { -readonly [K in keyof ExecProcess]?: ExecProcess[K] } = {
    ...process,
  }
  for (const name of inherited) if (!written.has(name)) delete own[name]
  return { ...own, args: process.args }
}
