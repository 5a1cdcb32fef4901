// Starts the launcher for a container that waits for its start, and lets go of it once it does.

import { once } from 'node:events'
import process from 'node:process'
import type { Duplex } from 'node:stream'
import { hasErrno, KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import type { CreateOptions, HostHooks, Supervision } from './container-runtime.ts'
import { type Launcher, readReports, startLauncher } from './launch.ts'
import { type LaunchReport, type ReportReader, reportReader } from './launcher-reports.ts'
import type { PlanRecord } from './plan-writer.ts'

const adoptionFd = 4

/** A container that waits for its start. It goes with this process until `release`. */
export interface CreatedLaunch extends AsyncDisposable {
  /** Of its first process on the host. */
  readonly pid: number
  /** Of the launcher, which is the monitor where there is one. */
  readonly launcherPid: number
  readonly report: LaunchReport
  /** From now on it outlasts this process, unless the launcher was to stay. */
  release(): Promise<void>
  /** How it ended, where the launcher stays. */
  readonly ended: Promise<number | undefined>
}

/** @throws what the launcher reports; nothing of the container is left then but its cgroups */
export async function launchCreated(
  plan: readonly PlanRecord[],
  { supervision, hooks, signal }: CreateOptions,
): Promise<CreatedLaunch> {
  const launcher = startCreating(plan, supervision)
  const { control, child } = launcher
  const abort = (): void => void control.destroy()
  signal?.addEventListener('abort', abort, { once: true })
  const created = Promise.withResolvers<void>()
  let pid = 0
  let isCreated = false
  const reader = reportReader({
    onStarted: started => {
      pid = started
    },
    onPrepared: prepared => void runHooks(control, hooks, prepared).catch(created.reject),
    onCreated() {
      isCreated = true
      created.resolve()
    },
  })
  const reading = readReports(control, reader.onLine)
  try {
    await Promise.race([created.promise, Promise.all([reading, launcher.ended])])
    if (signal?.aborted) throw cancelled(signal)
    // The last words of a launcher that failed may come after its end.
    const report = reader.result()
    if (report.failure !== undefined) throw report.failure
    if (!isCreated)
      throw new KauriError('LAUNCH_FAILED', 'the launcher was killed, and the container with it')
  } catch (error) {
    kill(launcher, pid)
    await launcher.ended
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
  }
  const ended = endCode(launcher, reading, reader)
  // Who does not wait for it need not handle its failure.
  ended.catch(() => {})
  return {
    pid,
    launcherPid: child.pid ?? 0,
    report: reader.result(),
    ended,
    release: () => release(launcher, supervision),
    [Symbol.asyncDispose]: async () => {
      kill(launcher, pid)
      await launcher.ended
    },
  }
}

function startCreating(plan: readonly PlanRecord[], supervision: Supervision): Launcher {
  if (supervision.kind === 'monitor')
    return startLauncher('monitor', plan, {
      streams: ['ignore', 'ignore', 'ignore'],
      more: ['pipe', ...supervision.locks],
    })
  return startLauncher('create', plan, {
    streams: ['inherit', 'inherit', 'inherit'],
    more: descriptorsFrom3(supervision.preserveFds),
  })
}

/** Descriptors that this process was started with. */
export function descriptorsFrom3(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => 3 + index)
}

/** The launcher waits meanwhile; what it gets is the length and the state. */
async function runHooks(control: Duplex, hooks: HostHooks | undefined, pid: number): Promise<void> {
  const state = Buffer.from((await hooks?.prepared(pid)) ?? '')
  const length = Buffer.alloc(4)
  length.writeUInt32LE(state.length)
  control.write(Buffer.concat([length, state]))
}

/** The container goes with its monitor; without one its first process may have no parent of kauri's any more. */
function kill({ child, control }: Launcher, pid: number): void {
  control.destroy()
  child.kill('SIGKILL')
  if (pid === 0) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (!hasErrno(error, 'ESRCH')) throw error
  }
}

async function release({ child, control }: Launcher, supervision: Supervision): Promise<void> {
  if (supervision.kind === 'caller' && supervision.stay === true) return
  if (supervision.kind === 'monitor') {
    const adoption = child.stdio[adoptionFd] as Duplex
    adoption.on('error', () => {})
    adoption.end('k')
    if (!adoption.writableFinished) await once(adoption, 'finish')
    adoption.destroy()
  }
  control.destroy()
  child.unref()
}

async function endCode(
  launcher: Launcher,
  reading: Promise<void>,
  reader: ReportReader,
): Promise<number | undefined> {
  await Promise.all([reading, launcher.ended])
  return reader.result().exitCode
}
