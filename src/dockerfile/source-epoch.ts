// SOURCE_DATE_EPOCH as a build argument or global ARG: a number, or the name of something whose time counts.

import { refused } from './instruction-flags.ts'
import type { VariableScope } from './variable-scope.ts'

/** What a build argument says about time. */
export interface EpochChoice {
  /** Seconds since 1970; undefined: nothing was said. */
  readonly seconds?: number
}

const name = 'SOURCE_DATE_EPOCH'

/** @throws DESCRIPTION_INVALID for anything but a number */
export function readSourceEpoch(
  buildArgs: ReadonlyMap<string, string>,
  globals: VariableScope,
): EpochChoice {
  const text = buildArgs.get(name) ?? globals.get(name) ?? ''
  if (text === '') return {}
  if (!/^[+-]?\d{1,15}$/.test(text)) throw refused(`invalid SOURCE_DATE_EPOCH: ${text}`)
  return { seconds: Number(text) }
}
