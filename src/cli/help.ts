// Help texts, made from the option tables: what a terminal shows and what docs/cli.md holds say the same.

import type { CommandSpec, OptionSpec } from './command.ts'
import { globalOptions } from './global-options.ts'
import type { CommandGroup } from './registry.ts'

const widthColumns = 100
const maxTermColumns = 34

/** A command group with its files loaded. */
export interface LoadedGroup {
  readonly title: string
  readonly commands: readonly CommandSpec[]
}

/** Loads every command; for overviews and the reference. */
export async function loadGroups(groups: readonly CommandGroup[]): Promise<LoadedGroup[]> {
  return await Promise.all(
    groups.map(async ({ title, commands }) => ({
      title,
      commands: await Promise.all(
        Object.values(commands).map(async load => (await load()).command),
      ),
    })),
  )
}

/** `kauri system build [OPTIONS] OPERANDS`. */
export function usageLine({ name, operands }: CommandSpec): string {
  return ['kauri', name, '[OPTIONS]', ...(operands === undefined ? [] : [operands])].join(' ')
}

/** `-t, --tag NAME`. */
export function optionTerm({ long, short, value }: OptionSpec): string {
  const name = short === undefined ? `--${long}` : `-${short}, --${long}`
  return value === undefined ? name : `${name} ${value}`
}

/** The summary with what the table knows beside it: choices, whether it is required, whether it may be repeated. */
export function optionMeaning({ summary, choices, required, repeat }: OptionSpec): string {
  const notes = [
    ...(choices === undefined ? [] : [`one of ${choices.join(', ')}`]),
    ...(required ? ['required'] : []),
    ...(repeat ? ['may be repeated'] : []),
  ]
  return notes.length === 0 ? summary : `${summary} (${notes.join('; ')})`
}

/** Global options as this command takes them: without those that it has itself, or whose letter it uses otherwise. */
export function inheritedOptions(command: CommandSpec): readonly OptionSpec[] {
  const longs = new Set(command.options.map(option => option.long))
  const shorts = new Set(command.options.map(option => option.short))
  return globalOptions
    .filter(option => !longs.has(option.long))
    .map(option => {
      if (option.short === undefined || !shorts.has(option.short)) return option
      const { short: _, ...withoutShort } = option
      return withoutShort
    })
}

/** Help of one command. */
export function commandHelp(command: CommandSpec): string {
  const sections = [
    `usage: ${usageLine(command)}`,
    wrap(`${command.summary}.`, widthColumns).join('\n'),
    ...(command.details ?? []).map(paragraph => wrap(paragraph, widthColumns).join('\n')),
    ...optionSection('Options', command.options),
    ...optionSection('Options of every command', inheritedOptions(command)),
  ]
  return `${sections.join('\n\n')}\n`
}

/** The list of commands, or of those whose name begins with the words. */
export function overview(groups: readonly LoadedGroup[], words: readonly string[]): string {
  const prefix = words.join(' ')
  const shown = groups
    .map(({ title, commands }) => ({
      title,
      commands: commands.filter(
        ({ name }) => prefix === '' || name === prefix || name.startsWith(`${prefix} `),
      ),
    }))
    .filter(({ commands }) => commands.length > 0)
  const sections = [
    `usage: kauri ${[...words, 'COMMAND'].join(' ')} [OPTIONS]`,
    ...(prefix === ''
      ? ['Builds Linux base images from KIWI descriptions, keeps them as layers, runs them.']
      : []),
    ...shown.map(({ title, commands }) =>
      [title, ...columns(commands.map(({ name, summary }) => [name, summary]))].join('\n'),
    ),
    ...(prefix === '' ? optionSection('Options of every command', globalOptions) : []),
    'kauri COMMAND --help tells more about a command.',
  ]
  return `${sections.join('\n\n')}\n`
}

function optionSection(title: string, options: readonly OptionSpec[]): string[] {
  if (options.length === 0) return []
  const rows = options.map(option => [optionTerm(option), optionMeaning(option)] as const)
  return [[title, ...columns(rows)].join('\n')]
}

/** Two columns; a term that is too wide gets a line of its own. */
function columns(rows: readonly (readonly [term: string, meaning: string])[]): string[] {
  const termColumns = Math.min(maxTermColumns, Math.max(...rows.map(([term]) => term.length)))
  const indent = ' '.repeat(termColumns + 4)
  return rows.flatMap(([term, meaning]) => {
    const [first = '', ...rest] = wrap(meaning, widthColumns - indent.length)
    const below = rest.map(line => `${indent}${line}`)
    return term.length > termColumns
      ? [`  ${term}`, `${indent}${first}`, ...below]
      : [`  ${term.padEnd(termColumns)}  ${first}`, ...below]
  })
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}
