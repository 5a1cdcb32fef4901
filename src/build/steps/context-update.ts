// Brings a copy of a context's files up to what the context is now: a few edited files are copied, the rest stays.

import { closeSync, constants } from 'node:fs'
import path from 'node:path'
import { oPath, openPlace } from '../../native/in-root.ts'
import { native } from '../../native/native.ts'
import { guestPath } from '../../plan/plan.ts'
import { changedSource } from '../copy-source.ts'
import { hashText } from '../hash-file.ts'
import { readLinkOf } from '../source-patterns.ts'
import { copyPath, withSource } from '../source-selection.ts'
import { joinPath, parentOf } from '../source-tree.ts'
import type { CopiedPlace } from './context-copy.ts'
import {
  type ContextListing,
  describeLink,
  type ListedPlace,
  unknownEntry,
} from './context-listing.ts'
import type { StepContext } from './step.ts'

/** What makes one listing of another. */
export interface ListingChange {
  readonly removed: readonly string[]
  /** New, or other than before; parents before what is in them. */
  readonly changed: readonly string[]
}

/** More than this, and copying everything is not slower. */
const fewChanges = 100
const changedPart = 4

/** Undefined where so much changed that a new copy is as good. */
export function compareListings(
  before: ContextListing,
  after: ContextListing,
): ListingChange | undefined {
  const removed = [...before.keys()].filter(name => !after.has(name))
  const changed = [...after]
    .filter(([name, text]) => text === unknownEntry || before.get(name) !== text)
    .map(([name]) => name)
  const most = Math.max(fewChanges, after.size / changedPart)
  return removed.length + changed.length > most ? undefined : { removed, changed }
}

export interface UpdateTarget {
  /** An O_PATH descriptor of the tree's root. */
  readonly rootFd: number
  /** The copy in it. */
  readonly copy: string
}

/** Changes the copy. @throws PROCESS_FAILED where a file is no longer what its digest says */
export async function updateCopy(
  context: StepContext,
  {
    from,
    listed,
    change,
  }: {
    readonly from: CopiedPlace['from']
    readonly listed: ListedPlace
    readonly change: ListingChange
  },
  target: UpdateTarget,
): Promise<void> {
  const gone = new Set(change.removed)
  for (const name of change.removed) if (!gone.has(parentOf(name))) removeEntry(target, name)
  for (const name of change.changed) {
    const text = listed.entries.get(name) ?? ''
    if (text.startsWith('d')) putDirectory(target, name, Number.parseInt(text.slice(1), 8))
    else {
      removeEntry(target, name)
      await putFile(
        context,
        { from, name: joinPath(listed.path, name), text },
        {
          rootFd: target.rootFd,
          place: placeOf(target, name),
        },
      )
    }
  }
  const touched = new Set([...change.removed, ...change.changed].map(name => parentOf(name)))
  for (const name of [...touched, ...change.changed]) setTimes(target, name, listed)
}

function placeOf({ copy }: UpdateTarget, name: string): string {
  return path.posix.join(copy, name)
}

function removeEntry(target: UpdateTarget, name: string): void {
  using place = openPlace(target.rootFd, placeOf(target, name))
  native().removeTreeAt(place.directoryFd, place.name)
}

function putDirectory(target: UpdateTarget, name: string, mode: number): void {
  using place = openPlace(target.rootFd, placeOf(target, name))
  const { directoryFd, name: own } = place
  const calls = native()
  const there = calls.statAt(directoryFd, own)
  const isDirectory = there !== undefined && (there.mode & constants.S_IFMT) === constants.S_IFDIR
  if (!isDirectory) {
    calls.removeTreeAt(directoryFd, own)
    calls.makeDirectoryAt(directoryFd, own, 0o700)
    calls.setOwnerAt(directoryFd, own, 0, 0)
  }
  calls.setModeAt(directoryFd, own, mode)
}

async function putFile(
  context: StepContext,
  {
    from,
    name,
    text,
  }: {
    readonly from: CopiedPlace['from']
    /** In the context. */
    readonly name: string
    /** In the listing. */
    readonly text: string
  },
  { rootFd, place }: { readonly rootFd: number; readonly place: string },
): Promise<void> {
  const link = await withSource(context, from, async source => {
    const target = readLinkOf(source.tree, name)
    if (target === undefined || text === unknownEntry || text === describeLink(hashText(target)))
      return target
    throw changedSource(source, name)
  })
  if (link === undefined) {
    await copyPath(context, { from, path: name }, { rootFd, target: guestPath(place) })
    return
  }
  using into = openPlace(rootFd, place)
  native().makeSymlinkAt(link, into.directoryFd, into.name)
  native().setOwnerAt(into.directoryFd, into.name, 0, 0)
}

/** Of directories, which what happened in them has changed. */
function setTimes(target: UpdateTarget, name: string, { times }: ListedPlace): void {
  const time = times.get(name)
  if (time === undefined) return
  const fd = native().openInRoot(
    target.rootFd,
    placeOf(target, name),
    oPath | constants.O_DIRECTORY | constants.O_NOFOLLOW,
  )
  try {
    native().setTimes(`/proc/self/fd/${fd}/.`, ...time)
  } finally {
    closeSync(fd)
  }
}
