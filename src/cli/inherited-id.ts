// Ids of containers as their monitors hand them over.

import type { ContainerId } from '../container/container.ts'
import { asContainerId } from '../container/container-name.ts'
import { KauriError } from '../core/errors.ts'

/** @throws USAGE for what is no whole id */
export function inheritedId(text: string): ContainerId {
  const id = asContainerId(text)
  if (id !== undefined) return id
  throw new KauriError('USAGE', `${JSON.stringify(text)} is not the id of a container`, {
    hint: 'this command is for monitors alone',
  })
}
