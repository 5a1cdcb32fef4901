// What `kauri top` does: ps(1) of the host, and of its lines those whose process is the container's.

import { KauriError } from '../core/errors.ts'
import { runProcess } from '../core/process.ts'
import { guardCommand } from '../native/guard.ts'
import { defaultPath } from '../oci/image-config.ts'
import { requireRunning } from './attach-command.ts'
import type { CommandInput } from './command.ts'
import { openContainers } from './container-host.ts'
import { tableLines } from './table.ts'

/** Prints ps's own columns. */
export async function topCommand({
  positionals: [name = '', ...words],
  context,
}: CommandInput): Promise<number> {
  const containers = await openContainers(context)
  const state = containers.get(name)
  if (state.status !== 'paused') requireRunning(state)
  const pids = new Set(containers.host.runtime.processes(state.id))
  const options = words.length === 0 ? ['-ef'] : words
  const lines = await runPs(options, context.signal)
  const { titles, rows } = chosenRows(lines, pids)
  for (const line of tableLines(titles, rows)) context.print(line.trimEnd())
  context.printJson({ Titles: titles, Processes: rows })
  return 0
}

async function runPs(options: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
  const { exitCode, stdout, stderr } = await runProcess([...guardCommand(), 'ps', ...options], {
    env: { PATH: defaultPath, LC_ALL: 'C' },
    signal,
  })
  if (exitCode === 0) return stdout.split('\n').filter(line => line.trim() !== '')
  throw new KauriError('USAGE', `ps ${options.join(' ')} failed: ${stderr.trim().slice(0, 300)}`, {
    hint: 'install procps, or see man ps for its options',
  })
}

/** The last column takes all that is left of the line. */
function chosenRows(
  lines: readonly string[],
  pids: ReadonlySet<number>,
): { readonly titles: readonly string[]; readonly rows: readonly (readonly string[])[] } {
  const titles = (lines[0] ?? '').trim().split(/\s+/)
  const pidColumn = titles.indexOf('PID')
  if (pidColumn < 0)
    throw new KauriError('USAGE', "Couldn't find PID field in ps output", {
      hint: 'the columns that ps shows must have PID among them',
    })
  const rows = lines.slice(1).flatMap(line => {
    const words = line.trim().split(/\s+/)
    if (!pids.has(Number(words[pidColumn]))) return []
    const last = titles.length - 1
    return [[...words.slice(0, last), words.slice(last).join(' ')]]
  })
  return { titles, rows }
}
