// What a `--mount` option shows of another root. Of a stage it is the stage's own tree with a writable layer on top, which
// is thrown away; of a context a copy that is kept as a snapshot, named by its content: an editor at work on the original
// changes neither what the running step sees nor what its result is remembered as.

import { closeSync, fstatSync } from 'node:fs'
import type { SourcePosition } from '../../core/errors.ts'
import { oPath } from '../../native/in-root.ts'
import { native } from '../../native/native.ts'
import type { Digest } from '../../oci/digest.ts'
import type { MountedTree } from '../../oci/runtime-config.ts'
import type { GuestPath, SourceRoot } from '../../plan/plan.ts'
import type { OpenTree, Rootfs } from '../../rootfs/rootfs.ts'
import type { RootMount } from '../../runtime/runtime.ts'
import { digestPath } from '../source-selection.ts'
import { copyName, openContextCopy } from './context-copy.ts'
import { locatedError } from './located-error.ts'
import type { StepContext } from './step.ts'

/** A place in another root. */
export interface MountSource {
  readonly from: SourceRoot
  readonly path: GuestPath
  readonly where: SourcePosition | undefined
}

/** The digest of what is there, links followed inside the root. @throws FILE_NOT_FOUND in BuildKit's words */
export async function digestMountSource(
  context: StepContext,
  { from, path, where }: MountSource,
): Promise<Digest> {
  try {
    return await digestPath(context, from, path)
  } catch (error) {
    throw locatedError(error, where)
  }
}

export interface OpenedSource {
  readonly tree: MountedTree
  /** What is shown, inside the tree. */
  readonly path: GuestPath
}

/** Makes what is missing; the tree goes with the stack. `digest` is what digestMountSource said. */
export async function openMountSource(
  context: StepContext,
  { from, path }: MountSource,
  { digest, stack }: { readonly digest: Digest; readonly stack: AsyncDisposableStack },
): Promise<OpenedSource> {
  const { snapshotter } = context.tools
  if (from.kind === 'stage') {
    using tree = await context.openStage(from.stage)
    const kind = kindIn(tree, path)
    return openedSource(stack.use(await context.prepareStage(from.stage)), { kind, path })
  }
  const copy = await openContextCopy(context, { from, path, digest })
  stack.use(copy)
  const kind = kindIn(copy.tree, copyName)
  return openedSource(stack.use(await snapshotter.prepare(copy.snapshot)), { kind, path: copyName })
}

function openedSource(
  { mount }: Rootfs,
  { kind, path }: { readonly kind: MountedTree['kind']; readonly path: GuestPath },
): OpenedSource {
  return { tree: { kind, ...layersOf(mount) }, path }
}

/** What is at a path, links followed inside the tree. */
function kindIn(tree: OpenTree, path: GuestPath): MountedTree['kind'] {
  const fd = native().openInRoot(tree.fd, path, oPath)
  try {
    return fstatSync(fd).isDirectory() ? 'directory' : 'file'
  } finally {
    closeSync(fd)
  }
}

function layersOf(mount: RootMount): Omit<MountedTree, 'kind'> {
  if (mount.kind === 'directory') return { lower: [mount.path] }
  const { lower, upper, work } = mount
  return upper === undefined || work === undefined ? { lower } : { lower, upper, work }
}
