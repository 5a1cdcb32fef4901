// Builder flags: the `--name=value` words between an instruction and its arguments.

import { KauriError } from '../core/errors.ts'
import { withSuggestion } from './suggestion.ts'

/** `texts` may be given several times. */
export type FlagType = 'boolean' | 'text' | 'texts'

export interface InstructionFlags {
  /** Names of the flags that were given, each once, in order. */
  readonly used: readonly string[]
  /** Undefined where the flag was not given. */
  boolean(name: string): boolean | undefined
  text(name: string): string | undefined
  texts(name: string): readonly string[]
}

/** Flags as an instruction declares them. @throws DESCRIPTION_INVALID with BuildKit's words */
export function readFlags(
  written: readonly string[],
  types: Readonly<Record<string, FlagType>>,
): InstructionFlags {
  const values = new Map<string, string[]>()
  for (const word of written) {
    const equals = word.indexOf('=')
    const flag = equals < 0 ? word : word.slice(0, equals)
    const name = flag.slice(2)
    const type = Object.hasOwn(types, name) ? types[name] : undefined
    if (type === undefined)
      throw refused(withSuggestion(`unknown flag: ${flag}`, name, Object.keys(types)))
    const before = values.get(name)
    if (type !== 'texts' && before !== undefined) throw refused(`duplicate flag specified: ${flag}`)
    const value = valueOf(flag, type, equals < 0 ? undefined : word.slice(equals + 1))
    if (before === undefined) values.set(name, [value])
    else before.push(value)
  }
  return {
    used: [...values.keys()],
    boolean: name => {
      const [value] = values.get(name) ?? []
      return value === undefined ? undefined : value === 'true'
    },
    text: name => values.get(name)?.[0],
    texts: name => values.get(name) ?? [],
  }
}

function valueOf(flag: string, type: FlagType, value: string | undefined): string {
  if (type !== 'boolean') {
    if (value === undefined) throw refused(`missing a value on flag: ${flag}`)
    return value
  }
  if (value === '') throw refused(`missing a value on flag: ${flag}`)
  const lower = (value ?? 'true').toLowerCase()
  if (lower === 'true' || lower === 'false') return lower
  throw refused(`expecting boolean value for flag ${flag}, not: ${value}`)
}

/** The error for an instruction that breaks the language's rules; its place is added where that is known. */
export function refused(message: string): KauriError {
  return new KauriError('DESCRIPTION_INVALID', message)
}
