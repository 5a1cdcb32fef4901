// Words of a command line against a table of options. Understands what docker's and KIWI's users type: --opt=value,
// --opt value, -xvalue, -x=value, -it, --switch=false, and -- to end the options.

import { closestWord } from '../core/closest-word.ts'
import { KauriError } from '../core/errors.ts'
import type { OptionSpec, ParsedOptions } from './command.ts'

/** What the words say, before anything is required of them. */
export interface ScannedWords {
  /** By long name, in the order given; switches are `true` or `false`. */
  readonly values: ReadonlyMap<string, readonly (string | boolean)[]>
  readonly operands: readonly string[]
  /** The first thing that is wrong; scanning went on behind it. */
  readonly problem: KauriError | undefined
}

export interface ScanLimits {
  /** Options end behind this many operands; undefined: only at `--`. */
  readonly operandsBeforeEnd?: number | undefined
}

/** Options of a command and the global ones; on a clash the command's own wins. */
export function optionTable(...groups: readonly (readonly OptionSpec[])[]): OptionTable {
  const byLong = new Map<string, OptionSpec>()
  const byShort = new Map<string, OptionSpec>()
  for (const option of groups.flat()) {
    if (byLong.has(option.long)) continue
    byLong.set(option.long, option)
    if (option.short !== undefined && !byShort.has(option.short)) byShort.set(option.short, option)
  }
  return { byLong, byShort }
}

export interface OptionTable {
  readonly byLong: ReadonlyMap<string, OptionSpec>
  readonly byShort: ReadonlyMap<string, OptionSpec>
}

/** Splits words into options and operands. */
export function scanWords(
  words: readonly string[],
  table: OptionTable,
  limits: ScanLimits = {},
): ScannedWords {
  const values = new Map<string, (string | boolean)[]>()
  const operands: string[] = []
  let problem: KauriError | undefined
  const store = (option: OptionSpec, value: string | boolean): void => {
    const kept = values.get(option.long)
    if (kept === undefined) values.set(option.long, [value])
    else kept.push(value)
  }
  const maxOperands = limits.operandsBeforeEnd ?? Number.POSITIVE_INFINITY
  let index = 0
  while (index < words.length) {
    const word = words[index] ?? ''
    if (operands.length >= maxOperands) {
      operands.push(...words.slice(index))
      break
    }
    index++
    if (word === '--') {
      operands.push(...words.slice(index))
      break
    }
    if (word === '-' || !word.startsWith('-')) {
      operands.push(word)
      continue
    }
    try {
      const takesNext = word.startsWith('--')
        ? readLong(word, words[index], table, store)
        : readShort(word, words[index], table, store)
      if (takesNext) index++
    } catch (error) {
      if (!(error instanceof KauriError)) throw error
      problem ??= error
    }
  }
  return { values, operands, problem }
}

type Store = (option: OptionSpec, value: string | boolean) => void

/** Reads `--name` or `--name=value`; true when the next word was its value. @throws USAGE */
function readLong(
  word: string,
  next: string | undefined,
  table: OptionTable,
  store: Store,
): boolean {
  const equals = word.indexOf('=')
  const name = equals < 0 ? word.slice(2) : word.slice(2, equals)
  const attached = equals < 0 ? undefined : word.slice(equals + 1)
  const option = table.byLong.get(name)
  if (option === undefined) throw unknownOption(`--${name}`, name, table)
  return storeValue(option, { shown: `--${name}`, attached, next }, table, store)
}

/** Reads `-x`, `-xvalue`, `-x=value` or switches in a row; true when the next word was a value. @throws USAGE */
function readShort(
  word: string,
  next: string | undefined,
  table: OptionTable,
  store: Store,
): boolean {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at] ?? ''
    const option = table.byShort.get(letter)
    if (option === undefined) throw unknownOption(`-${letter}`, word.slice(1), table)
    const rest = word.slice(at + 1)
    if (option.value === undefined && !rest.startsWith('=')) {
      store(option, true)
      continue
    }
    const attached = rest === '' ? undefined : rest.startsWith('=') ? rest.slice(1) : rest
    return storeValue(option, { shown: `-${letter}`, attached, next }, table, store)
  }
  return false
}

interface GivenValue {
  readonly shown: string
  readonly attached: string | undefined
  readonly next: string | undefined
}

function storeValue(
  option: OptionSpec,
  { shown, attached, next }: GivenValue,
  table: OptionTable,
  store: Store,
): boolean {
  if (option.value === undefined) {
    if (attached !== undefined && attached !== 'true' && attached !== 'false')
      throw new KauriError('USAGE', `${shown} is a switch and takes no value '${attached}'`)
    store(option, attached !== 'false')
    return false
  }
  const value = attached ?? next
  if (value === undefined) throw new KauriError('USAGE', `${shown} needs a value ${option.value}`)
  if (attached === undefined && isOptionWord(value, table))
    throw new KauriError('USAGE', `${shown} needs a value ${option.value}, but ${value} follows`, {
      hint: `write ${shown}=${value} if that is the value`,
    })
  if (option.choices !== undefined && !option.choices.includes(value))
    throw new KauriError(
      'USAGE',
      `${shown} must be one of ${option.choices.join(', ')}, not '${value}'`,
      { hint: didYouMean(closestWord(value, option.choices)) },
    )
  store(option, value)
  return attached === undefined
}

function isOptionWord(word: string, { byLong }: OptionTable): boolean {
  return word.startsWith('--') && byLong.has(word.slice(2).split('=')[0] ?? '')
}

function unknownOption(shown: string, typed: string, { byLong }: OptionTable): KauriError {
  const near = closestWord(typed, byLong.keys())
  return new KauriError('USAGE', `unknown option ${shown}`, {
    hint: didYouMean(near === undefined ? undefined : `--${near}`) ?? 'see --help for the options',
  })
}

/** The hint for a word that is nearly another one. */
export function didYouMean(word: string | undefined): string | undefined {
  return word === undefined ? undefined : `did you mean ${word}?`
}

/** Typed access to scanned options; of a single option that was repeated the last one counts. */
export function parsedOptions(
  values: ScannedWords['values'],
  { byLong }: OptionTable,
): ParsedOptions {
  const given = (long: string): readonly (string | boolean)[] => {
    if (!byLong.has(long)) throw new KauriError('INTERNAL', `--${long} is in no option table`)
    return values.get(long) ?? []
  }
  const text = (long: string): string | undefined => {
    const last = given(long).at(-1)
    return typeof last === 'string' ? last : undefined
  }
  return {
    flag: (long, otherwise = false) => (given(long).at(-1) ?? otherwise) === true,
    text,
    requiredText: long => {
      const value = text(long)
      if (value === undefined) throw new KauriError('USAGE', `--${long} is required`)
      return value
    },
    texts: long => given(long).filter(value => typeof value === 'string'),
  }
}

/** Checks what the table requires. @throws USAGE */
export function checkRequired(
  values: ScannedWords['values'],
  options: readonly OptionSpec[],
): void {
  const missing = options.filter(option => option.required && !values.has(option.long))
  if (missing.length === 0) return
  const names = missing.map(
    ({ long, value }) => `--${long}${value === undefined ? '' : ` ${value}`}`,
  )
  throw new KauriError(
    'USAGE',
    `${names.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} required`,
  )
}
