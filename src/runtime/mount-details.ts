// What a mount has beside its attributes, as the record that follows the mount's own in the launcher's plan.

import { KauriError } from '../core/errors.ts'
import type { IdMapping, RuntimeConfig, RuntimeMount } from '../oci/runtime-config.ts'
import type { MountOptions } from './mount-options.ts'
import { type PlanRecord, planTag } from './plan-writer.ts'

/** Numbers of `enum detail_flag`. */
const detailFlag = { propagationBelow: 1, idmapBelow: 2, copyUp: 4 } as const

/** True where the mount needs a record of its own for them. */
export function hasDetails(options: MountOptions): boolean {
  const { cleared, below, propagation, idmap, copiesUp } = options
  const isPlain = cleared === 0 && below.set === 0 && below.clear === 0 && idmap === 'no'
  return !isPlain || propagation !== undefined || copiesUp
}

/** @throws UNSUPPORTED for an idmapped mount that cannot be made, USAGE for one without maps */
export function mountDetailsRecord(
  mount: RuntimeMount,
  options: MountOptions,
  config: RuntimeConfig,
): PlanRecord {
  const { cleared, below, propagation, idmap, copiesUp } = options
  const [users, groups] = idmap === 'no' ? ['', ''] : mapsOf(mount, config)
  const flags =
    (propagation?.recursive === true ? detailFlag.propagationBelow : 0) |
    (idmap === 'below' ? detailFlag.idmapBelow : 0) |
    (copiesUp ? detailFlag.copyUp : 0)
  return [
    planTag.mountDetails,
    cleared,
    below.set,
    below.clear,
    propagation?.kind ?? 0,
    flags,
    users,
    groups,
  ]
}

function mapsOf(
  { destination, uidMappings, gidMappings }: RuntimeMount,
  { linux }: RuntimeConfig,
): readonly [users: string, groups: string] {
  if (linux.namespaces.some(({ type }) => type === 'user'))
    throw new KauriError(
      'UNSUPPORTED',
      `an idmapped mount on ${destination} cannot be made in a user namespace`,
      { hint: 'leave idmap out; files keep the owners that the namespace maps' },
    )
  if (uidMappings === undefined || gidMappings === undefined)
    throw new KauriError(
      'USAGE',
      `the idmapped mount on ${destination} has no uidMappings and gidMappings`,
    )
  return [mapText(uidMappings), mapText(gidMappings)]
}

/** As /proc/PID/uid_map takes it; of a mount, ids of the file system are on the left. */
function mapText(mappings: readonly IdMapping[]): string {
  return mappings
    .map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`)
    .join('')
}
