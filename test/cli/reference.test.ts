// docs/cli.md is made from the option tables. `UPDATE_GOLDEN=1 npx ava test/cli/reference.test.ts` writes it anew.

import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import type { CommandSpec, OptionSpec } from '../../src/cli/command.ts'
import { globalOptions } from '../../src/cli/global-options.ts'
import { loadGroups, optionMeaning, optionTerm, usageLine } from '../../src/cli/help.ts'
import { commandGroups } from '../../src/cli/registry.ts'

const file = path.join(import.meta.dirname, '../../docs/cli.md')

const introduction = `# Command line

Made from the option tables of \`src/cli/commands/\`; \`kauri COMMAND --help\` says the same.

Results go to standard output, progress and messages to standard error. Options may stand before, between or behind the
words of a command; \`--\` ends them. Exit statuses: 0 done, 1 failed, 2 wrong usage or invalid input; for \`run\` the
container's own, 125 for kauri's failures, 126 and 127 for a command that cannot be run or found, 128+n for signals.
An interrupt (Ctrl-C, SIGTERM) undoes what was begun.
`

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function optionRows(options: readonly OptionSpec[]): string[] {
  if (options.length === 0) return []
  const rows = options.map(
    option => `| \`${cell(optionTerm(option))}\` | ${cell(optionMeaning(option))} |`,
  )
  return [['| option | meaning |', '|---|---|', ...rows].join('\n')]
}

function commandSection(command: CommandSpec): string {
  return [
    `### kauri ${command.name}`,
    `${command.summary}.`,
    `    ${usageLine(command)}`,
    ...(command.details ?? []),
    ...optionRows(command.options),
  ].join('\n\n')
}

async function reference(): Promise<string> {
  const groups = await loadGroups(commandGroups)
  const sections = groups.flatMap(({ title, commands }) => [
    `## ${title}`,
    ...commands.map(commandSection),
  ])
  return `${[introduction, '## Options of every command', ...optionRows(globalOptions), ...sections].join('\n\n')}\n`
}

test('docs/cli.md says what the commands take', async t => {
  const wanted = await reference()
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, wanted)
  t.is(readFileSync(file, 'utf8'), wanted, 'run UPDATE_GOLDEN=1 npx ava test/cli/reference.test.ts')
})

test('the words in the registry are the names of the commands', async t => {
  for (const [name, load] of commandGroups.flatMap(group => Object.entries(group.commands)))
    t.is((await load()).command.name, name)
})

test('every option has its own name and letter, a value where it has choices, and a summary in one line', async t => {
  for (const { commands } of await loadGroups(commandGroups))
    for (const { name, summary, options } of commands) {
      const longs = options.map(option => option.long)
      const shorts = options.flatMap(option => option.short ?? [])
      t.is(new Set(longs).size, longs.length, name)
      t.is(new Set(shorts).size, shorts.length, name)
      t.regex(summary, /^[A-Z][^\n]*[^.]$/, name)
      for (const option of options) {
        t.regex(option.summary, /^[^\n]*[^.\n]$/, `${name} --${option.long}`)
        t.false(option.choices !== undefined && option.value === undefined, option.long)
      }
    }
})
