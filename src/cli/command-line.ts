// Which command the words of a command line call. Options may stand before, between and behind the words of the command
// (KIWI's users write `--profile P system build`), so a command is recognised with its own option table: it is the one
// for which the first operands are its name.

import { closestWord } from '../core/closest-word.ts'
import { KauriError } from '../core/errors.ts'
import type { CommandSpec, ParsedOptions } from './command.ts'
import { globalOptions } from './global-options.ts'
import {
  checkRequired,
  didYouMean,
  type OptionTable,
  optionTable,
  parsedOptions,
  type ScannedWords,
  scanWords,
} from './option-parser.ts'
import type { CommandGroup, LoadCommand } from './registry.ts'

/** What a command line asks for. */
export type Invocation =
  | {
      readonly kind: 'run'
      readonly command: CommandSpec
      readonly options: ParsedOptions
      readonly positionals: readonly string[]
    }
  | { readonly kind: 'help'; readonly command: CommandSpec }
  | { readonly kind: 'version' }
  /** Help for all commands, or for those that begin with the words. */
  | { readonly kind: 'overview'; readonly words: readonly string[]; readonly asked: boolean }

/** A failure before the command ran; the exit status depends on which command it was. */
export interface CommandLineFailure {
  readonly error: KauriError
  readonly command: CommandSpec | undefined
}

interface Candidate {
  readonly words: readonly string[]
  readonly load: LoadCommand
  /** Index of its first word in the line. */
  readonly at: number
}

interface Match {
  readonly command: CommandSpec
  readonly table: OptionTable
  readonly scanned: ScannedWords
  readonly positionals: readonly string[]
}

/** Finds the command and reads its options. Usage errors come back as values, with the command where it is known. */
export async function readCommandLine(
  args: readonly string[],
  groups: readonly CommandGroup[],
): Promise<Invocation | CommandLineFailure> {
  const match = await findMatch(args, groups)
  if (match === undefined) return withoutCommand(args, groups)
  const { command, table, scanned, positionals } = match
  const options = parsedOptions(scanned.values, table)
  if (options.flag('help')) return { kind: 'help', command }
  if (asksForVersion(command, options)) return { kind: 'version' }
  try {
    if (scanned.problem !== undefined) throw scanned.problem
    checkRequired(scanned.values, command.options)
    checkOperandCount(command, positionals)
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    return { error, command }
  }
  return { kind: 'run', command, options, positionals }
}

/** An option of that name may be the command's own. */
function asksForVersion(command: CommandSpec, options: ParsedOptions): boolean {
  return !command.options.some(({ long }) => long === 'version') && options.flag('version')
}

async function findMatch(
  args: readonly string[],
  groups: readonly CommandGroup[],
): Promise<Match | undefined> {
  let first: Match | undefined
  for (const { words, load } of candidates(args, groups)) {
    const { command } = await load()
    const table = optionTable(command.options, globalOptions)
    const scanned = scanWords(args, table, {
      operandsBeforeEnd: command.stopsAtOperand ? words.length + 1 : undefined,
    })
    if (!words.every((word, index) => scanned.operands[index] === word)) continue
    const match = { command, table, scanned, positionals: scanned.operands.slice(words.length) }
    if (scanned.problem === undefined) return match
    first ??= match
  }
  return first
}

/** Commands whose words all stand in the line in their order; the earliest first, and of those the longest name. */
function candidates(args: readonly string[], groups: readonly CommandGroup[]): Candidate[] {
  const found: Candidate[] = []
  for (const [name, load] of groups.flatMap(group => Object.entries(group.commands))) {
    const words = name.split(' ')
    const at = args.indexOf(words[0] ?? '')
    if (at < 0) continue
    let from = at
    const allThere = words.every(word => {
      const index = args.indexOf(word, from)
      from = index + 1
      return index >= 0
    })
    if (allThere) found.push({ words, load, at })
  }
  return found.toSorted((a, b) => a.at - b.at || b.words.length - a.words.length)
}

/** The line names no command: an overview where help was asked for or nothing was said, else a usage error. */
function withoutCommand(
  args: readonly string[],
  groups: readonly CommandGroup[],
): Invocation | CommandLineFailure {
  const scanned = scanWords(args, optionTable(globalOptions))
  const names = groups.flatMap(group => Object.keys(group.commands))
  const known = prefixWords(scanned.operands, names)
  const isComplete = known.length === scanned.operands.length
  if (scanned.values.has('help') && isComplete)
    return { kind: 'overview', words: known, asked: true }
  if (scanned.values.has('version') && scanned.operands.length === 0) return { kind: 'version' }
  if (isComplete && scanned.problem !== undefined)
    return { error: scanned.problem, command: undefined }
  if (args.length === 0) return { kind: 'overview', words: [], asked: false }
  if (isComplete)
    return {
      command: undefined,
      error: new KauriError(
        'USAGE',
        known.length === 0 ? 'no command is given' : `'${known.join(' ')}' is half a command`,
        { hint: `see kauri ${[...known, '--help'].join(' ')}` },
      ),
    }
  return { command: undefined, error: unknownCommand(scanned.operands, known, names) }
}

/** The operands that begin the name of some command. */
function prefixWords(operands: readonly string[], names: readonly string[]): readonly string[] {
  let known = 0
  while (known < operands.length) {
    const prefix = operands.slice(0, known + 1).join(' ')
    if (!names.some(name => name === prefix || name.startsWith(`${prefix} `))) break
    known++
  }
  return operands.slice(0, known)
}

function unknownCommand(
  operands: readonly string[],
  known: readonly string[],
  names: readonly string[],
): KauriError {
  const typed = operands.slice(0, known.length + 1).join(' ')
  const nextWords = names
    .filter(name => known.length === 0 || name.startsWith(`${known.join(' ')} `))
    .map(name =>
      name
        .split(' ')
        .slice(0, known.length + 1)
        .join(' '),
    )
  const near = closestWord(typed, new Set(nextWords))
  return new KauriError('USAGE', `unknown command '${typed}'`, {
    hint:
      didYouMean(near === undefined ? undefined : `kauri ${near}`) ??
      `see kauri ${[...known, '--help'].join(' ')}`,
  })
}

function checkOperandCount(command: CommandSpec, positionals: readonly string[]): void {
  const { name, operands, minOperands = 0 } = command
  const { maxOperands = operands === undefined ? 0 : Number.POSITIVE_INFINITY } = command
  if (positionals.length >= minOperands && positionals.length <= maxOperands) return
  const usage = `kauri ${name} [OPTIONS]${operands === undefined ? '' : ` ${operands}`}`
  const extra = positionals[maxOperands]
  throw new KauriError(
    'USAGE',
    extra === undefined
      ? `${name} needs ${operands ?? 'an operand'}`
      : `${name} takes no further word '${extra}'`,
    { hint: `usage: ${usage}` },
  )
}
