// Removes a container that does not run: its tree, its record, and, where asked for, the volumes that are its own alone.

import { KauriError } from '../core/errors.ts'
import { type Snapshotter, snapshotId } from '../rootfs/rootfs.ts'
import type { ContainerRuntime } from '../runtime/container-runtime.ts'
import type { ContainerState } from './container.ts'
import { volumesBeside } from './container-config.ts'
import {
  listContainers,
  markDead,
  type OwnedContainer,
  type SweptContainer,
  takeContainer,
} from './container-records.ts'
import { removeAnonymousVolumes } from './volume-use.ts'
import { openVolumes } from './volumes.ts'

export interface RemoveHost {
  /** Directory of all containers. */
  readonly root: string
  readonly snapshotter: Snapshotter
  readonly runtime: Pick<ContainerRuntime, 'state' | 'delete'>
}

export interface RemoveOptions {
  /** Volumes that have no name go, too. */
  readonly volumes: boolean
}

/** The clean-up of the last run may still be under way. */
const patientMs = 10_000

/** @throws LOCK_BUSY where it runs; what could not be removed is there still then, as dead */
export async function removeContainer(
  state: ContainerState,
  options: RemoveOptions,
  host: RemoveHost,
): Promise<void> {
  await removeOwned(await takeContainer(host.root, state.id, patientMs), options, host)
}

/** The same, of a container that this process has. */
export async function removeOwned(
  container: OwnedContainer,
  { volumes }: RemoveOptions,
  host: RemoveHost,
): Promise<void> {
  const { root, snapshotter } = host
  const { record } = container
  try {
    await forgetRun(record.id, host)
    await removeTree(snapshotter, record.id)
    container.forget()
  } catch (error) {
    markDead(root, record.id)
    container[Symbol.dispose]()
    throw error
  }
  if (volumes)
    await removeAnonymousVolumes(openVolumes(volumesBeside(root)), record, () =>
      listContainers(root),
    )
}

/** What a killed monitor left below the run-time directory. */
async function forgetRun(id: string, { runtime }: RemoveHost): Promise<void> {
  if (runtime.state(id) !== undefined) await runtime.delete(id, { force: true })
}

/** Another command may be reading it for a moment. */
async function removeTree(snapshotter: Snapshotter, id: string): Promise<void> {
  for (const deadlineMs = Date.now() + 2000; ; ) {
    try {
      return await snapshotter.remove(snapshotId(id))
    } catch (error) {
      const isBusy = error instanceof KauriError && error.code === 'LOCK_BUSY'
      if (!isBusy || Date.now() > deadlineMs) throw error
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
}

/** What swept containers had beside their records; what is in use, or was never made, is left to garbage collection. */
export async function dropSwept(swept: readonly SweptContainer[], host: RemoveHost): Promise<void> {
  const { root, snapshotter } = host
  for (const { id, volumes } of swept) {
    await forgetRun(id, host)
    await snapshotter.remove(snapshotId(id)).catch(() => {})
    if (volumes.some(({ anonymous }) => anonymous))
      await removeAnonymousVolumes(openVolumes(volumesBeside(root)), { volumes }, () =>
        listContainers(root),
      )
  }
}
