// Where a path of a tree leads when its links are followed inside the tree, also where something on the way is missing:
// BuildKit makes what a dangling link of a target points to, and the names in its errors are those of such paths.

import { KauriError } from '../core/errors.ts'

/** What the follower asks of a tree; paths are relative to its root. */
export interface LinkView {
  /** What a symbolic link says; undefined for everything else, and for nothing. */
  readLink(entryPath: string): string | undefined
}

const mostLinks = 255

/** The path without links, relative to the root; what is missing stays as it is written. @throws FILE_NOT_FOUND for a loop */
export function followLinks(view: LinkView, written: string): string {
  const pending = written.split('/')
  let done: string[] = []
  for (let links = 0; pending.length > 0; ) {
    const name = pending.shift() ?? ''
    if (name === '' || name === '.') continue
    if (name === '..') {
      done.pop()
      continue
    }
    const target = view.readLink([...done, name].join('/'))
    if (target === undefined) {
      done.push(name)
      continue
    }
    if (++links > mostLinks)
      throw new KauriError('FILE_NOT_FOUND', `/${written.replace(/^\//, '')}: too many links`)
    if (target.startsWith('/')) done = []
    pending.unshift(...target.split('/'))
  }
  return done.join('/')
}
