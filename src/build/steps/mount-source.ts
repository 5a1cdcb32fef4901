// What a `--mount` option shows of another root. Of a stage it is the stage's own tree with a writable layer on top, which
// is thrown away; of a context a copy that is kept as a snapshot, named by its content: an editor at work on the original
// changes neither what the running step sees nor what its result is remembered as.

import { KauriError, type SourcePosition } from '../../core/errors.ts'
import { type Digest, digestOf, hexOf } from '../../oci/digest.ts'
import type { MountedTree } from '../../oci/runtime-config.ts'
import { type GuestPath, guestPath, type SourceRoot } from '../../plan/plan.ts'
import { type Rootfs, type SnapshotId, snapshotId } from '../../rootfs/rootfs.ts'
import type { RootMount } from '../../runtime/runtime.ts'

interface SelectedSource {
  readonly digest: Digest
  readonly isDirectory: boolean
  copyTo(rootFd: number, target: GuestPath): Promise<void>
}
async function selectSource(..._: readonly unknown[]): Promise<SelectedSource> {
  throw new KauriError('INTERNAL', 'not there yet')
}

import type { StepContext } from './step.ts'

export interface MountSource {
  /** Of what is shown. */
  readonly digest: Digest
  readonly isDirectory: boolean
  /** Makes what is missing; the tree goes with the stack. */
  open(stack: AsyncDisposableStack): Promise<OpenedSource>
  /** Copies what is shown onto a name of another tree. */
  copyTo(rootFd: number, target: GuestPath): Promise<void>
}

export interface OpenedSource {
  readonly tree: MountedTree
  /** What is shown, inside the tree. */
  readonly path: GuestPath
}

/** Where a source stands in the plan. */
export interface NamedMountSource {
  readonly from: SourceRoot
  readonly source: GuestPath
  readonly where: SourcePosition | undefined
}

/** @throws FILE_NOT_FOUND */
export async function readMountSource(
  context: StepContext,
  { from, source, where }: NamedMountSource,
): Promise<MountSource> {
  const selected = await selectSource(context, from, source, { where })
  const { digest, isDirectory } = selected
  return {
    digest,
    isDirectory,
    copyTo: (rootFd, target) => selected.copyTo(rootFd, target),
    async open(stack) {
      const root =
        from.kind === 'stage'
          ? await context.prepareStage(from.stage)
          : await context.tools.snapshotter.prepare(await keepCopy(context, selected))
      return openedSource(stack.use(root), {
        isDirectory,
        path: from.kind === 'stage' ? source : copyPath,
      })
    },
  }
}

function openedSource(
  { mount }: Rootfs,
  { isDirectory, path }: { readonly isDirectory: boolean; readonly path: GuestPath },
): OpenedSource {
  return { tree: { kind: isDirectory ? 'directory' : 'file', ...layersOf(mount) }, path }
}

function layersOf(mount: RootMount): Omit<MountedTree, 'kind'> {
  if (mount.kind === 'directory') return { lower: [mount.path] }
  const { lower, upper, work } = mount
  return upper === undefined || work === undefined ? { lower } : { lower, upper, work }
}

/** The copy's only name, so that equal contents have one snapshot, whatever they are called. */
const copyPath = guestPath('/source')

/** Raised whenever a copy of equal content would look different from before. */
const copyFormat = 1

async function keepCopy(
  { tools: { snapshotter }, options }: StepContext,
  selected: SelectedSource,
): Promise<SnapshotId> {
  const id = snapshotId(hexOf(digestOf(`mounted copy ${copyFormat} ${selected.digest}`)))
  return await snapshotter.whileMaking(
    id,
    async () => {
      if ((await snapshotter.findSnapshot(id)) !== undefined) return id
      await using root = await snapshotter.prepare(undefined)
      {
        using tree = root.open()
        await selected.copyTo(tree.fd, copyPath)
      }
      return (await snapshotter.commit(root, id)).id
    },
    options.signal,
  )
}
