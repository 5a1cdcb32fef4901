// One check of a container's health: runs the command in it, waits as long as it may take, and notes the answer.

import { KauriError } from '../core/errors.ts'
import type { ContainerId } from './container.ts'
import { tellEvent } from './container-events.ts'
import { getContainer, getRequest } from './container-records.ts'
import { execProcess } from './exec-process.ts'
import {
  afterCheck,
  type Health,
  type HealthPlan,
  type HealthResult,
  healthPlanOf,
  isCheckDue,
  readHealth,
  startingHealth,
  writeHealth,
} from './health.ts'
import type { LifeHost } from './life-host.ts'

type CheckHost = Pick<LifeHost, 'root' | 'runRoot' | 'runtime'>

/** Does nothing where no check is due, or the container does not run. */
export async function checkHealth(id: ContainerId, host: CheckHost): Promise<void> {
  const state = getContainer(host.root, id)
  const request = getRequest(host.root, state)
  const plan = healthPlanOf(request)
  if (plan === undefined || host.runtime.state(id)?.status !== 'running') return
  const before = readHealth(host.root, id) ?? startingHealth
  const startedMs = state.run?.startedMs ?? Date.now()
  const nowMs = Date.now()
  if (!isCheckDue(plan, before, nowMs - startedMs, nowMs)) return
  const result = await runCheck(id, plan, host)
  const after = afterCheck(before, result, plan, nowMs - startedMs)
  writeHealth(host.root, id, after)
  tellChange(before, after, () => tellEvent(host.runRoot, state, `health_status: ${after.Status}`))
}

function tellChange(before: Health, after: Health, tell: () => void): void {
  if (before.Status !== after.Status) tell()
}

/** As docker keeps it. */
const mostOutputBytes = 4096

async function runCheck(id: ContainerId, plan: HealthPlan, host: CheckHost): Promise<HealthResult> {
  const startMs = Date.now()
  const timeout = AbortSignal.timeout(plan.timeoutMs)
  let output = ''
  const onLine = (line: string): void => {
    if (output.length < mostOutputBytes) output += `${line}\n`
  }
  const resultOf = (code: number, text: string): HealthResult => ({
    Start: new Date(startMs).toISOString(),
    End: new Date().toISOString(),
    ExitCode: code,
    Output: text.slice(0, mostOutputBytes),
  })
  try {
    const process = execProcess({ id, args: plan.args }, host)
    const { code } = await host.runtime.exec(id, process, {
      io: { kind: 'lines', onLine },
      signal: timeout,
    })
    return resultOf(code, output)
  } catch (error) {
    if (timeout.aborted)
      return resultOf(-1, `Health check exceeded timeout (${plan.timeoutMs / 1000}s): ${output}`)
    if (error instanceof KauriError) return resultOf(error.exitStatus, error.message)
    throw error
  }
}
