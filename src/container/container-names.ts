// Which container has which name: a link for each name, which points to an id. Making a link is one step of the kernel, so
// no two containers have one name.

import { existsSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { ContainerId } from './container.ts'
import { asContainerId, checkContainerName, inventContainerName } from './container-name.ts'

const namesDirectory = '.names'

/** Who wants which name; undefined: any. */
export interface NameClaim {
  readonly id: ContainerId
  readonly name?: string | undefined
}

/** Gives the container its name; the name of a container that is gone is free. @throws USAGE, NAME_IN_USE */
export function claimName(root: string, { id, name: asked }: NameClaim): string {
  mkdirSync(path.join(root, namesDirectory), { recursive: true, mode: 0o711 })
  for (;;) {
    const name = asked === undefined ? inventContainerName() : checkContainerName(asked)
    const file = path.join(root, namesDirectory, name)
    try {
      symlinkSync(id, file)
      return name
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw error
    }
    const holder = ownerOf(file)
    if (holder === undefined || !existsSync(path.join(root, holder))) rmSync(file, { force: true })
    else if (asked !== undefined)
      throw new KauriError(
        'NAME_IN_USE',
        `the container name ${name} is in use by container ${holder.slice(0, 12)}`,
        { hint: `remove that container with kauri rm ${name}, or take another name` },
      )
  }
}

/** Takes the name away, where it is this container's. */
export function freeName(root: string, id: ContainerId, name: string): void {
  const file = path.join(root, namesDirectory, name)
  if (ownerOf(file) === id) rmSync(file, { force: true })
}

function ownerOf(nameFile: string): ContainerId | undefined {
  try {
    return asContainerId(readlinkSync(nameFile))
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'EINVAL')) return undefined
    throw error
  }
}
