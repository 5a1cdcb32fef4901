// Makes a container that does not run yet: its record, what it was made from, and its tree, which has the container's id as
// its name from the beginning.

import { ignoreEvents } from '../core/events.ts'
import { type Snapshotter, snapshotId } from '../rootfs/rootfs.ts'
import { unpackImage } from '../rootfs/unpack-image.ts'
import type { ContainerRequest, StoredRequest } from './container.ts'
import { volumesBeside } from './container-config.ts'
import { tellEvent } from './container-events.ts'
import { makeVolumes, mountsOf } from './container-mounts.ts'
import { createContainer, type OwnedContainer } from './container-records.ts'
import type { LifeHost } from './life-host.ts'
import { newContainer } from './run-container.ts'
import { openVolumes } from './volumes.ts'

/** The container is this process's alone until the result is disposed. @throws USAGE, NAME_IN_USE, what unpackImage throws */
export async function createStopped(
  request: ContainerRequest,
  host: Pick<LifeHost, 'root' | 'runRoot' | 'snapshotter' | 'signal' | 'emit'>,
): Promise<OwnedContainer> {
  const { image, ...spec } = request
  const { snapshotter, signal, emit = ignoreEvents } = host
  const imageConfig = image.config.config ?? {}
  const mounts = mountsOf(imageConfig, request.mounts)
  const stored: StoredRequest = { spec, imageConfig, mounts }
  const container = await createContainer(host.root, newContainer(request, mounts), stored)
  try {
    const base = await unpackImage(image, { snapshotter, signal, emit })
    await makeTree(container.record.id, base, { snapshotter, signal })
    await makeVolumes(mounts, openVolumes(volumesBeside(host.root)))
    container.complete()
    tellEvent(host.runRoot, container.record, 'create')
    return container
  } catch (error) {
    container.forget()
    throw error
  }
}

async function makeTree(
  id: string,
  base: Awaited<ReturnType<typeof unpackImage>>,
  {
    snapshotter,
    signal,
  }: { readonly snapshotter: Snapshotter; readonly signal: AbortSignal | undefined },
): Promise<void> {
  // Kept for its own sake, so that it counts as settled: nobody could make it again.
  await using rootfs = await snapshotter.prepare(base, { signal, keepAs: snapshotId(id) })
  await snapshotter.commit(rootfs, snapshotId(id))
}
