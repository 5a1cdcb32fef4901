// What `kauri container prune` does.

import process from 'node:process'
import type { ContainerState } from '../container/container.ts'
import { KauriError } from '../core/errors.ts'
import type { CommandInput } from './command.ts'
import { hasLabels, parseFilters } from './container-filters.ts'
import { openContainers } from './container-host.ts'
import { momentNanoseconds } from './duration.ts'
import { humanSize } from './human-units.ts'
import { removeOne } from './remove-containers.ts'

/** Prints the ids of what went, and the space that it took. */
export async function pruneContainers({ options, context }: CommandInput): Promise<number> {
  if (!options.flag('force') && process.stdin.isTTY)
    throw new KauriError('USAGE', 'this removes all stopped containers', {
      hint: 'run it with --force if that is what you want',
    })
  const isWanted = pruneFilter(options.texts('filter'))
  const containers = await openContainers(context)
  const { containerSize } = await import('../container/container-size.ts')
  const removed: string[] = []
  let bytes = 0
  for (const state of containers.list()) {
    if (state.status !== 'created' && state.status !== 'exited' && state.status !== 'dead') continue
    if (!isWanted(state)) continue
    const { ownBytes } = await containerSize(state.id, await containers.trees())
    await removeOne(state, { isForced: false, volumes: false }, containers)
    removed.push(state.id)
    bytes += ownBytes
  }
  if (removed.length > 0) context.print('Deleted Containers:')
  for (const id of removed) context.print(id)
  if (removed.length > 0) context.print('')
  context.print(`Total reclaimed space: ${humanSize(bytes)}`)
  context.printJson({ ContainersDeleted: removed, SpaceReclaimed: bytes })
  return 0
}

const nanosecondsPerMillisecond = 1_000_000n

function pruneFilter(texts: readonly string[]): (state: ContainerState) => boolean {
  const filters = parseFilters(texts, ['until', 'label', 'label!'])
  const before = (filters.get('until') ?? []).map(text =>
    Number(momentNanoseconds('--filter until', text, Date.now()) / nanosecondsPerMillisecond),
  )
  return ({ createdMs, labels }) =>
    before.every(timeMs => createdMs < timeMs) &&
    hasLabels(labels, filters.get('label') ?? []) &&
    (filters.get('label!') ?? []).every(label => !hasLabels(labels, [label]))
}
