// `kauri help [COMMAND]`: the same texts as --help.

import { KauriError } from '../../core/errors.ts'
import type { CommandSpec } from '../command.ts'
import { commandHelp, loadGroups, overview } from '../help.ts'

export const command: CommandSpec = {
  name: 'help',
  summary: 'Show the commands, or what one of them does',
  operands: '[COMMAND]',
  options: [],
  run: async ({ positionals, context }) => {
    // The table of commands names this file, so it is loaded when it is needed and not before.
    const { commandGroups } = await import('../registry.ts')
    const groups = await loadGroups(commandGroups)
    const commands = groups.flatMap(group => group.commands)
    const name = positionals.join(' ')
    const exact = commands.find(one => one.name === name)
    const isPrefix = commands.some(one => one.name.startsWith(`${name} `))
    if (exact === undefined && name !== '' && !isPrefix)
      throw new KauriError('USAGE', `unknown command '${name}'`, { hint: 'see kauri help' })
    const text = exact === undefined ? overview(groups, positionals) : commandHelp(exact)
    context.print(text.trimEnd())
    return 0
  },
}
