// The error of a script that ended with another exit code than 0: what it printed last, and what may help.

import { KauriError } from '../../core/errors.ts'
import type { RunStep } from '../../plan/plan.ts'
import type { ContainerExit } from '../../runtime/runtime.ts'

const shownLines = 15

/** SCRIPT_FAILED with the script's name, place, exit code and last lines. */
export function scriptFailure(
  step: RunStep,
  exit: ContainerExit,
  lines: readonly string[],
): KauriError {
  const shown = lines.filter(line => line.trim() !== '').slice(-shownLines)
  const how = exit.outOfMemory ? 'was killed for want of memory' : describeCode(exit.code)
  const output = shown.length === 0 ? 'it printed nothing' : `its last lines:\n${shown.join('\n')}`
  return new KauriError('SCRIPT_FAILED', `${step.title} ${how}; ${output}`, {
    hint: hintFor(step, exit, lines),
    where: step.where,
  })
}

function describeCode(code: number): string {
  return code > 128
    ? `ended by signal ${code - 128} (exit code ${code})`
    : `failed with exit code ${code}`
}

const namesUnresolved =
  /temporary failure (?:in name resolution|resolving)|could not resolve|unable to resolve|name or service not known|network is unreachable|bad address/i

function hintFor(step: RunStep, exit: ContainerExit, lines: readonly string[]): string {
  if (step.network === 'none' && lines.some(line => namesUnresolved.test(line)))
    return 'scripts have no network; allow it with --network host'
  if (lines.some(line => line.includes('No space left on device')))
    return 'free space, or put the state elsewhere with --data-root DIR'
  if (exit.code === 127) return 'install the missing program with a <package> of the description'
  if (exit.code === 126) return 'check that the program is executable and its interpreter installed'
  return 'put "set -x" into the script to see each of its commands'
}
