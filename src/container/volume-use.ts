// Which volumes containers use: the record of a container names its volumes from before they are made until it is removed,
// so nothing has to be counted.

import type { ContainerMount } from './mount-request.ts'
import type { Volumes } from './volumes.ts'

/** A volume of a container, as its record names it. */
export interface UsedVolume {
  readonly name: string
  /** True: made for this container alone. */
  readonly anonymous: boolean
}

/** What a record says of the container's mounts. */
export function volumesOf(mounts: readonly ContainerMount[]): readonly UsedVolume[] {
  return mounts.flatMap(mount =>
    mount.kind === 'volume' && mount.name !== undefined
      ? [{ name: mount.name, anonymous: mount.anonymous }]
      : [],
  )
}

/** Part of a container's record. */
export interface VolumeUser {
  readonly id: string
  readonly volumes: readonly UsedVolume[]
}

/** The containers that use a volume. */
export function usersOf(name: string, containers: readonly VolumeUser[]): readonly string[] {
  return containers
    .filter(({ volumes }) => volumes.some(used => used.name === name))
    .map(({ id }) => id)
}

/** Removes the volumes that were made for a container and that no other one uses; its record is gone already. */
export async function removeAnonymousVolumes(
  volumes: Volumes,
  { volumes: used }: Pick<VolumeUser, 'volumes'>,
  others: () => readonly VolumeUser[],
): Promise<void> {
  for (const { name, anonymous } of used)
    if (anonymous) await volumes.remove(name, () => usersOf(name, others()).length > 0)
}
