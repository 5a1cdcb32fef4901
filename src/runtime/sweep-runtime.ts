// Removes what containers of killed owners left on the host.

import { rmSync } from 'node:fs'
import { removeCgroup } from './cgroup.ts'
import { containerDirectory } from './container-files.ts'
import { isMountPointDirectory } from './mount-points.ts'
import { claimAbandoned } from './run-record.ts'

/**
 * Kills and removes what dead owners left: processes in their cgroups, the cgroups, mount point directories, records.
 * Idempotent, safe beside other commands; one readdir where there is nothing.
 */
export async function sweepRuntime(runRoot: string): Promise<void> {
  for (const claim of claimAbandoned(runRoot)) {
    const { id, cgroups, mountPoints, isFindable } = claim.record
    if (mountPoints !== undefined && isMountPointDirectory(mountPoints))
      rmSync(mountPoints, { recursive: true, force: true })
    await removeCgroup(cgroups)
    if (isFindable === true)
      rmSync(containerDirectory(runRoot, id), { recursive: true, force: true })
    // A claim that could not be worked off outlives this process, and another sweep takes it over.
    claim[Symbol.dispose]()
  }
}
