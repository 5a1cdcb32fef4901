// In an overlay a name of a file with several parts from the others as soon as it is opened for writing. Where it is still
// equal in everything when the tree is done, the copy is removed: the name shows the file below again, and is one of its
// names. See hard-links.ts, which does the same in trees that are no overlay.

import { closeSync, constants, openSync } from 'node:fs'
import { overlayMarks, readRootXattrs } from '../layer/tree-xattrs.ts'
import { native, scanFields, scanWidth } from '../native/native.ts'
import { areEqual, keepingTimes } from './hard-links.ts'

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, S_IFMT, S_IFDIR } = constants

/** Removes such copies from an upper directory that is mounted nowhere; `belowFd` is the root of the tree below. */
export function dropEqualCopies(upper: string, belowFd: number): void {
  const fd = openSync(upper, O_RDONLY | O_DIRECTORY)
  try {
    dropIn(fd, belowFd)
  } finally {
    closeSync(fd)
  }
}

function dropIn(directoryFd: number, belowFd: number): void {
  const { names, stats } = native().scanDirectory(directoryFd, false)
  for (const [index, name] of names.entries()) {
    const field = (number: number): number => stats[index * scanWidth + number] ?? 0
    if ((field(scanFields.mode) & S_IFMT) === S_IFDIR) dropBelow(directoryFd, belowFd, name)
    else if (field(scanFields.nlink) === 1) dropEqual(directoryFd, belowFd, name)
  }
}

/** A directory that is new, or hides what is below it, has no copies. */
function dropBelow(parentFd: number, belowParentFd: number, name: string): void {
  const old = native().statAt(belowParentFd, name)
  if (old === undefined || (old.mode & S_IFMT) !== S_IFDIR) return
  const fds = [parentFd, belowParentFd].map(fd =>
    native().openAt(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
  )
  try {
    const [directoryFd = -1, belowFd = -1] = fds
    if (!overlayMarks(readRootXattrs(`/proc/self/fd/${directoryFd}`)).isOpaque)
      dropIn(directoryFd, belowFd)
  } finally {
    for (const fd of fds) closeSync(fd)
  }
}

function dropEqual(directoryFd: number, belowFd: number, name: string): void {
  const old = native().statAt(belowFd, name)
  if (old === undefined || old.nlink < 2) return
  if (areEqual({ directoryFd, name }, { directoryFd: belowFd, name }))
    keepingTimes(directoryFd, () => native().unlinkAt(directoryFd, name))
}
