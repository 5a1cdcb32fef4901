// What a container changed in its image's tree, whether it runs or not: as a list, and as what a layer is packed from.

import path from 'node:path'
import { hasErrno } from '../core/errors.ts'
import { walkChanges } from '../layer/change-walk.ts'
import type { PackSource } from '../layer/layer.ts'
import { walkTree } from '../layer/tree-walk.ts'
import { openPlace } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import { type OpenTree, type Snapshotter, snapshotId } from '../rootfs/rootfs.ts'

/** A change, in docker's letters: added, changed, deleted. */
export interface ChangedPath {
  readonly kind: 'A' | 'C' | 'D'
  readonly path: string
}

/** What to pack, and the image's tree, which is held open for it. */
export interface ContainerChange extends Disposable {
  readonly source: PackSource
  /** The image's tree; undefined where it is empty. */
  readonly below: OpenTree | undefined
}

/** Opens the change; nothing of the container is locked. @throws SNAPSHOT_INVALID where the image's tree is gone */
export async function openContainerChange(
  id: string,
  snapshotter: Snapshotter,
): Promise<ContainerChange> {
  const name = snapshotId(id)
  const parent = (await snapshotter.findSnapshot(name))?.parent
  const change = snapshotter.changes(name)
  const below = parent === undefined ? undefined : snapshotter.open(parent)
  const isClone = change.kind === 'tree-diff' && change.isClone === true
  return {
    below,
    source:
      below === undefined
        ? { kind: 'tree', path: change.path }
        : {
            kind: 'changes',
            paths: [change.path],
            isOverlay: change.kind === 'overlay-upper',
            isClone,
            below: below.path,
          },
    [Symbol.dispose]: () => below?.[Symbol.dispose](),
  }
}

/** Every path that is other than in the image, in the order of the names. */
export async function listChanges(
  id: string,
  snapshotter: Snapshotter,
): Promise<readonly ChangedPath[]> {
  using change = await openContainerChange(id, snapshotter)
  const { source, below } = change
  if (source.kind !== 'changes' || below === undefined) {
    const roots = source.kind === 'tree' ? [source.path] : []
    const walk = walkTree({ roots, isOverlay: false, enters: () => true })
    return [...walk].map(entry => ({ kind: 'A', path: shown(entry.path) }))
  }
  const changes: ChangedPath[] = []
  for (const { walked, isGone } of walkChanges({
    ...source,
    ignoresTimes: false,
    enters: () => true,
  })) {
    const kind = isGone ? 'D' : isInTree(below, walked.path) ? 'C' : 'A'
    changes.push({ kind, path: shown(walked.path) })
  }
  return changes
}

/** A link itself counts, wherever it leads. */
function isInTree({ fd }: OpenTree, entry: string): boolean {
  try {
    using place = openPlace(fd, entry)
    return native().statAt(place.directoryFd, place.name) !== undefined
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return false
    throw error
  }
}

function shown(entry: string): string {
  return path.posix.join('/', entry)
}
