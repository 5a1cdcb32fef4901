// How what runs beside containers starts kauri again: this program, with this state.

import path from 'node:path'
import process from 'node:process'
import type { HostCommand } from '../runtime/container-runtime.ts'
import type { CommandContext } from './command.ts'

/** This program with other words. */
export function ownCommand(
  context: Pick<CommandContext, 'dataRoot' | 'runRoot' | 'snapshotter'>,
): (words: readonly string[]) => HostCommand {
  const { dataRoot, runRoot } = context
  const { PATH = '', HOME = '/', KAURI_SNAPSHOTTER } = process.env
  const chosen = context.snapshotter ?? KAURI_SNAPSHOTTER
  const environment = [
    `PATH=${PATH}`,
    `HOME=${HOME}`,
    `KAURI_DATA_ROOT=${dataRoot}`,
    `KAURI_RUN_ROOT=${runRoot}`,
    ...(chosen === undefined ? [] : [`KAURI_SNAPSHOTTER=${chosen}`]),
  ]
  const [, program = ''] = process.argv
  return words => ({
    args: [process.execPath, ...process.execArgv, path.resolve(program), ...words],
    environment,
  })
}
