// Where COPY and ADD put what they copy: the directories that a target needs are made, and where the target is a directory
// a file goes into it.

import { closeSync, constants, fstatSync, writeFileSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { native } from '../native/native.ts'
import type { ChmodExpression } from '../plan/chmod-expression.ts'
import type { GuestPath } from '../plan/plan.ts'
import { type Owner, rootOwner } from './copy-entries.ts'
import { baseOf, joinPath, parentOf } from './source-tree.ts'
import type { WalkRules } from './source-walk.ts'
import { isDirectoryStat, type TargetTree, targetTree } from './target-tree.ts'

/** Where copies go and how they look. */
export interface CopyTarget {
  /** An O_PATH descriptor of the tree's root. */
  readonly rootFd: number
  readonly target: GuestPath
  /** The target was written as a directory, which is made where it is missing. */
  readonly targetIsDirectory: boolean
  /** Of everything that is copied or made; undefined: as the source says. */
  readonly owner?: Owner | undefined
  readonly chmod?: ChmodExpression | undefined
}

/** Makes the directories that are needed, and says where the source goes. */
export function prepareDestination(
  tree: TargetTree,
  source: { readonly name: string; readonly becomes: 'file' | WalkRules['directory'] },
  { target, targetIsDirectory, owner, chmod }: CopyTarget,
): string {
  const looks = { mode: (chmod?.octal ?? 0o755) & 0o777, owner }
  const written = target.slice(1)
  tree.makeDirectories(tree.follow(targetIsDirectory ? written : parentOf(written)), looks)
  const place = tree.follow(written)
  const there = tree.stat(place)
  if (source.becomes !== 'file') {
    if (there === undefined)
      tree.makeDirectories(source.becomes === 'contents' ? place : parentOf(place), looks)
    return place
  }
  const destination =
    there !== undefined && isDirectoryStat(there) ? joinPath(place, source.name) : place
  tree.makeDirectories(parentOf(destination), looks)
  return destination
}

/** Removes what has the copy's name. @throws PROCESS_FAILED where that is a directory */
export function makeWay({
  into,
  destination,
}: {
  /** The directory that holds it. */
  readonly into: number
  readonly destination: string
}): void {
  const name = baseOf(destination)
  const there = native().statAt(into, name)
  if (there === undefined) return
  if (!isDirectoryStat(there)) return native().unlinkAt(into, name)
  throw new KauriError('PROCESS_FAILED', `cannot replace to directory /${destination} with file`, {
    hint: 'remove the directory in an earlier step',
  })
}

/** Writes a here-document: a file of root's, mode 0644, unless the target says otherwise. */
export function copyText(
  { name, text }: { readonly name: string; readonly text: string },
  to: CopyTarget,
): void {
  const tree = targetTree(to.rootFd)
  const destination = prepareDestination(tree, { name, becomes: 'file' }, to)
  const into = tree.open(parentOf(destination))
  try {
    makeWay({ into, destination })
    const { uid, gid } = to.owner ?? rootOwner
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
    const fd = native().openAt(into, baseOf(destination), flags, 0o600)
    try {
      writeFileSync(fd, text)
      const seconds = Math.floor(fstatSync(fd).mtimeMs / 1000)
      native().finishFile(fd, uid, gid, to.chmod?.apply(0o644, false) ?? 0o644, seconds, 0)
    } finally {
      closeSync(fd)
    }
  } finally {
    closeSync(into)
  }
}
