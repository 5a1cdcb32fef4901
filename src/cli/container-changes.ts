// What `kauri diff CONTAINER` does.

import { listChanges } from '../container/container-change.ts'
import type { CommandInput } from './command.ts'
import { openContainers } from './container-host.ts'

/** A line for each change, as docker prints it. */
export async function diffContainer({
  positionals: [name = ''],
  context,
}: CommandInput): Promise<number> {
  const containers = await openContainers(context)
  const state = containers.get(name)
  const changes = await listChanges(state.id, await containers.trees())
  for (const { kind, path } of changes) context.print(`${kind} ${path}`)
  context.printJson(changes)
  return 0
}
