// The error of a program that ended with another exit code than 0: what it printed last, and what may help.

import { KauriError } from '../../core/errors.ts'
import { hostPlatform, type Platform } from '../../oci/platform.ts'
import type { RunStep } from '../../plan/plan.ts'
import type { ContainerExit } from '../../runtime/runtime.ts'

const shownLines = 15

/** SCRIPT_FAILED with place, exit code and last lines: of a script in the message, of an instruction beside it. */
export function scriptFailure(
  step: RunStep,
  exit: ContainerExit,
  lines: readonly string[],
): KauriError {
  if (step.phase === 'instruction') return instructionFailure(step, exit, lines)
  const shown = lines.filter(line => line.trim() !== '').slice(-shownLines)
  const how = exit.outOfMemory ? 'was killed for want of memory' : describeCode(exit.code)
  const output = shown.length === 0 ? 'it printed nothing' : `its last lines:\n${shown.join('\n')}`
  return new KauriError('SCRIPT_FAILED', `${step.title} ${how}; ${output}`, {
    hint: hintFor(step, exit, lines),
    where: step.where,
  })
}

/** As BuildKit says it; who reads it has the instruction before their eyes. */
function instructionFailure(
  step: RunStep,
  { code, outOfMemory }: ContainerExit,
  output: readonly string[],
): KauriError {
  const command = JSON.stringify(step.command.join(' '))
  const reason = outOfMemory ? ': cannot allocate memory' : ''
  return new KauriError(
    'SCRIPT_FAILED',
    `process ${command} did not complete successfully: exit code: ${code}${reason}`,
    { hint: hintForInstruction(step, output), where: step.where, output },
  )
}

/** SCRIPT_FAILED for a program that could not even be started; other errors unchanged. */
export function startFailure(step: RunStep, platform: Platform, error: unknown): unknown {
  if (step.phase !== 'instruction' || !(error instanceof KauriError)) return error
  const code = startCodes.get(error.code)
  if (code === undefined) return error
  const command = JSON.stringify(step.command.join(' '))
  return new KauriError(
    'SCRIPT_FAILED',
    `process ${command} did not complete successfully: exit code: ${code}: ${error.message}`,
    { hint: hintForPlatform(platform), where: step.where, cause: error },
  )
}

function hintForPlatform(platform: Platform): string | undefined {
  const own = hostPlatform().architecture
  const foreign = platform.architecture
  if (foreign === own || runsNatively[own]?.includes(foreign) === true) return undefined
  return `this machine is ${own}: register an emulator for ${foreign} (apt install qemu-user-static binfmt-support)`
}

/** Older programs that a machine runs by itself. */
const runsNatively: Readonly<Record<string, readonly string[]>> = { amd64: ['386'], arm64: ['arm'] }

/** A shell's exit codes for what it cannot start. */
const startCodes: ReadonlyMap<string, number> = new Map([
  ['COMMAND_NOT_EXECUTABLE', 126],
  ['COMMAND_NOT_FOUND', 127],
])

function describeCode(code: number): string {
  return code > 128
    ? `ended by signal ${code - 128} (exit code ${code})`
    : `failed with exit code ${code}`
}

const namesUnresolved =
  /temporary failure (?:in name resolution|resolving)|could not resolve|unable to resolve|name or service not known|network is unreachable|bad address/i

function hintForInstruction(step: RunStep, lines: readonly string[]): string | undefined {
  if (lines.some(line => line.includes('No space left on device'))) return spaceHint
  if (step.network === 'none' && lines.some(line => namesUnresolved.test(line)))
    return 'this step has no network'
  return undefined
}

const spaceHint = 'free space, or put the state elsewhere with --data-root DIR'

function hintFor(step: RunStep, exit: ContainerExit, lines: readonly string[]): string {
  if (step.network === 'none' && lines.some(line => namesUnresolved.test(line)))
    return 'scripts have no network; allow it with --network host'
  if (lines.some(line => line.includes('No space left on device'))) return spaceHint
  if (exit.code === 127) return 'install the missing program with a <package> of the description'
  if (exit.code === 126) return 'check that the program is executable and its interpreter installed'
  return 'put "set -x" into the script to see each of its commands'
}
