// The variables that the program of a step gets to see. What the caller adds is last, and in no key.

import { defaultPath } from '../../oci/image-config.ts'
import type { RunStep } from '../../plan/plan.ts'

export interface EnvironmentParts {
  /** Seconds since 1970 that a script of a description sees. */
  readonly epochSeconds: number
  /** The home of the step's user. */
  readonly home: string
  readonly proxy: readonly string[]
  /** Of secrets. */
  readonly secret: readonly string[]
}

/** NAME=value, each name once; of several the last wins. Instructions get PATH, HOME and the ssh agent as from BuildKit. */
export function stepEnvironment(step: RunStep, parts: EnvironmentParts): string[] {
  const isInstruction = step.phase === 'instruction'
  const variables = new Map<string, string>()
  const add = (entry: string): void => {
    const name = entry.slice(0, Math.max(entry.indexOf('='), 0)) || entry
    variables.delete(name)
    variables.set(name, entry)
  }
  const addDefault = (name: string, value: string): void => {
    if (!variables.has(name)) add(`${name}=${value}`)
  }
  for (const entry of step.environment) add(entry)
  if (step.showsEpoch) addDefault('SOURCE_DATE_EPOCH', String(parts.epochSeconds))
  for (const entry of parts.proxy) add(entry)
  if (!isInstruction) return [...variables.values()]
  addDefault('PATH', defaultPath)
  const agent = step.buildMounts?.find(mount => mount.kind === 'ssh')
  if (agent !== undefined) addDefault('SSH_AUTH_SOCK', agent.target)
  for (const entry of parts.secret) add(entry)
  addDefault('HOME', parts.home)
  return [...variables.values()]
}
