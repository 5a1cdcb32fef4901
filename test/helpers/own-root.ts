// A directory as the root of a tree, by descriptor, without any mount.

import { closeSync, constants, mkdirSync, openSync } from 'node:fs'

export interface OwnRoot extends Disposable {
  readonly fd: number
}

/** Makes the directory where it is missing. */
export function openOwnRoot(directory: string): OwnRoot {
  mkdirSync(directory, { recursive: true })
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}
