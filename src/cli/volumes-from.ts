// --volumes-from: the volumes and binds of other containers, which need not run.

import path from 'node:path'
import { inheritedMounts } from '../container/container-mounts.ts'
import { getContainer, getRequest } from '../container/container-records.ts'
import type { ContainerMount } from '../container/mount-request.ts'
import type { CommandContext } from './command.ts'
import { badValue } from './option-values.ts'

/** `CONTAINER[:ro|:rw]` each; what the caller mounts in the same place goes before it. @throws USAGE, CONTAINER_NOT_FOUND */
export function mountsFrom(
  texts: readonly string[],
  own: readonly ContainerMount[],
  { dataRoot }: Pick<CommandContext, 'dataRoot'>,
): readonly ContainerMount[] {
  const root = path.join(dataRoot, 'containers')
  const mounts = new Map<string, ContainerMount>()
  for (const text of texts) {
    const [, name = '', access] = /^([^:]+)(?::(ro|rw|z|Z))?$/.exec(text) ?? []
    if (name === '') throw badValue('--volumes-from', text, 'write CONTAINER, CONTAINER:ro or :rw')
    const request = getRequest(root, getContainer(root, name))
    const chosen = access === 'ro' || access === 'rw' ? access : undefined
    for (const mount of inheritedMounts(request.mounts, chosen))
      mounts.set(mount.destination, mount)
  }
  for (const { destination } of own) mounts.delete(destination)
  return [...own, ...mounts.values()]
}
