// `kill` and `delete` (runtime-spec v1.2.1 runtime.md#kill, #delete). Both keep to the letter: what is not running takes no
// signal, what is not stopped is not deleted unless by force.

import { constants } from 'node:os'
import { KauriError } from '../core/errors.ts'
import { runPoststop } from './create-container.ts'
import { findContainer, getContainer, listContainers, type OciHost, stateOf } from './oci-host.ts'

export interface KillRequest {
  readonly id: string
  /** A name with or without SIG, or a number. */
  readonly signal: string
  /** Every process of the container. */
  readonly all: boolean
}

/** @throws CONTAINER_NOT_FOUND, USAGE, CONTAINER_NOT_RUNNING */
export function killContainer({ id, signal, all }: KillRequest, host: OciHost): void {
  const number = signalNumber(signal)
  const { status } = getContainer(host, id)
  // Engines kill what is left of a container whose first process has ended.
  if (status.status === 'stopped' && !all)
    throw new KauriError('CONTAINER_NOT_RUNNING', `container not running: ${id} is stopped`)
  host.runtime.kill(id, number, { all })
}

const lastSignal = 64
const realTime = { RTMIN: 34, RTMAX: 64 } as const

/** @throws USAGE */
export function signalNumber(text: string): number {
  const number = /^\d{1,3}$/.test(text) ? Number(text) : signalOfName(text.toUpperCase())
  if (number !== undefined && number >= 1 && number <= lastSignal) return number
  throw new KauriError('USAGE', `there is no signal ${JSON.stringify(text)}`, {
    hint: 'use a name such as TERM, or a number from 1 to 64',
  })
}

function signalOfName(upper: string): number | undefined {
  const name = upper.startsWith('SIG') ? upper.slice(3) : upper
  const [, base, offset = '+0'] = /^(RTMIN|RTMAX)([+-]\d{1,2})?$/.exec(name) ?? []
  if (base === 'RTMIN' || base === 'RTMAX') {
    const number = realTime[base] + Number(offset)
    return number >= realTime.RTMIN && number <= realTime.RTMAX ? number : undefined
  }
  return new Map(Object.entries(constants.signals)).get(`SIG${name}`)
}

/** @throws CONTAINER_NOT_FOUND without force, CONTAINER_RUNNING where it is not stopped */
export async function deleteContainer(id: string, force: boolean, host: OciHost): Promise<void> {
  const container = force ? findContainer(host, id) : getContainer(host, id)
  if (container === undefined) {
    // What a killed `create` left has no record of its own.
    if (host.runtime.state(id) !== undefined) await host.runtime.delete(id, { force: true })
    return
  }
  const { status, config } = container.status
  if (status !== 'stopped' && !force)
    throw new KauriError(
      'CONTAINER_RUNNING',
      `cannot delete container ${id} that is not stopped: ${status}`,
      {
        hint: 'kill it first, or use --force',
      },
    )
  await host.runtime.delete(id, { force })
  await runPoststop(config.hooks, { ...stateOf(container), pid: 0, status: 'stopped' }, host)
}

/** Ids of the containers that fit a regular expression. @throws USAGE */
export function idsLike(pattern: string, host: OciHost): readonly string[] {
  const expression = parsePattern(pattern)
  return listContainers(host).flatMap(({ status: { id } }) => (expression.test(id) ? [id] : []))
}

function parsePattern(pattern: string): RegExp {
  try {
    return new RegExp(pattern)
  } catch (error) {
    throw new KauriError('USAGE', `${JSON.stringify(pattern)} is no regular expression`, {
      cause: error,
    })
  }
}
