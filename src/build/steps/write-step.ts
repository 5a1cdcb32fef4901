// Steps that write a few words into the root: a file, or a symbolic link. All they do stands in the step.

import path from 'node:path'
import { makeDirectoriesInRoot, openPlace, writeFileInRoot } from '../../native/in-root.ts'
import { native } from '../../native/native.ts'
import type { GuestPath, LinkStep, WriteStep } from '../../plan/plan.ts'
import { rootOwner } from '../copy-entries.ts'
import { nothingInstalled, type PreparedStep } from './step.ts'

/** A file of root's, in place of what has its name; missing directories are made. */
export function prepareWrite(step: WriteStep): PreparedStep {
  return {
    reads: null,
    async perform({ root }) {
      using tree = root.open()
      makeParents(tree.fd, step.target)
      writeFileInRoot(tree.fd, step.target, step.text, { mode: step.mode, ...rootOwner })
      return nothingInstalled
    },
  }
}

/** A symbolic link in place of what has its name, but for a directory (EISDIR); missing directories are made. */
export function prepareLink(step: LinkStep): PreparedStep {
  return {
    reads: null,
    async perform({ root }) {
      using tree = root.open()
      makeParents(tree.fd, step.target)
      using place = openPlace(tree.fd, step.target)
      const temporary = `.kauri-tmp-${process.pid}-link`
      native().makeSymlinkAt(step.to, place.directoryFd, temporary)
      try {
        native().renameAt(place.directoryFd, temporary, place.directoryFd, place.name)
      } finally {
        native().removeTreeAt(place.directoryFd, temporary)
      }
      return nothingInstalled
    },
  }
}

function makeParents(rootFd: number, target: GuestPath): void {
  makeDirectoriesInRoot(rootFd, path.posix.dirname(target), { mode: 0o755, ...rootOwner })
}
