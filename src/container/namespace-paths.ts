// Namespaces of running containers that others join: `--pid container:NAME`.

import { KauriError } from '../core/errors.ts'
import type { ContainerSpec } from './container.ts'
import { getContainer } from './container-records.ts'

/** Where to look containers up, and who knows their processes. */
export interface NamespaceHost {
  /** Directory of all containers, `<dataRoot>/containers`. */
  readonly root: string
  /** The first process of a running container, by its id on the host. */
  readonly findPid?: ((id: string) => number | undefined) | undefined
}

/**
 * `/proc/PID/ns` of each container that the request names, by the word that names it.
 * @throws USAGE, CONTAINER_NOT_FOUND, CONTAINER_NOT_RUNNING
 */
export function namespacePathsOf(
  { namespaces }: Pick<ContainerSpec, 'namespaces'>,
  host: NamespaceHost,
): ReadonlyMap<string, string> {
  const paths = new Map<string, string>()
  for (const word of [namespaces.pid, namespaces.ipc])
    if (word.startsWith('container:')) paths.set(word, namespacePathOf(word, host))
  return paths
}

/** `/proc/PID/ns` of the container that `container:NAME` names. @throws USAGE, CONTAINER_NOT_FOUND, CONTAINER_NOT_RUNNING */
export function namespacePathOf(word: string, { root, findPid }: NamespaceHost): string {
  const container = getContainer(root, word.slice('container:'.length))
  const pid = findPid?.(container.id) ?? 0
  if (pid > 0) return `/proc/${pid}/ns`
  throw new KauriError('CONTAINER_NOT_RUNNING', `Container ${container.id} is not running`, {
    hint: `start it first: kauri start ${container.name}`,
  })
}
