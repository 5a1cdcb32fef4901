// What `kauri export CONTAINER` does. One that runs is seen through its first process, and held while it is packed.

import { closeSync } from 'node:fs'
import process from 'node:process'
import type { ContainerState } from '../container/container.ts'
import { openViewed, viewContainer } from '../container/container-view.ts'
import { packTree } from '../layer/pack-tree.ts'
import { snapshotId } from '../rootfs/rootfs.ts'
import { writeArchiveTo } from './archive-sink.ts'
import type { CommandContext } from './command.ts'
import { type Containers, openContainers } from './container-host.ts'
import { isUp } from './container-rows.ts'

/** Writes the tar to a file, or to standard output. */
export async function exportContainer(
  name: string,
  output: string | undefined,
  context: CommandContext,
): Promise<void> {
  const containers = await openContainers(context)
  const state = containers.get(name)
  const { signal, emit } = context
  if (isUp(state)) return await exportRunning(state, output, { containers, context })
  using tree = (await containers.trees()).open(snapshotId(state.id))
  const tar = packTree({ kind: 'tree', path: tree.path }, { signal, emit })
  await writeArchiveTo({ output, what: 'tar' }, tar, context)
}

async function exportRunning(
  state: ContainerState,
  output: string | undefined,
  { containers, context }: { readonly containers: Containers; readonly context: CommandContext },
): Promise<void> {
  const { runtime } = containers.host
  const { signal, emit } = context
  const mounted = mountedBelow(runtime.state(state.id)?.config.mounts ?? [])
  using view = viewContainer(state, await containers.lifeHost())
  using opened = new DisposableStack()
  const fd = openViewed(view.find('/'))
  opened.defer(() => closeSync(fd))
  const isHeld = state.status === 'running'
  if (isHeld) await runtime.pause(state.id)
  try {
    const source = { kind: 'tree', path: `/proc/${process.pid}/fd/${fd}` } as const
    const tar = packTree(source, { exclude: mounted, signal, emit })
    await writeArchiveTo({ output, what: 'tar' }, tar, context)
  } finally {
    if (isHeld) await runtime.resume(state.id)
  }
}

/** What is below a mount is not the container's own; the place itself is. */
function mountedBelow(
  mounts: readonly { readonly destination: string }[],
): (entry: string) => boolean {
  const places = mounts.map(({ destination }) => `${destination.replace(/^\/+|\/+$/g, '')}/`)
  return entry => places.some(place => place !== '/' && entry.startsWith(place))
}
