// Removes what containers of killed owners left on the host.

import { rmSync } from 'node:fs'
import { removeCgroup } from './cgroup.ts'
import { isMountPointDirectory } from './mount-points.ts'
import { claimAbandoned } from './run-record.ts'

/**
 * Kills and removes what dead owners left: processes in their cgroups, the cgroups, mount point directories, records.
 * Idempotent, safe beside other commands; one readdir where there is nothing.
 */
export async function sweepRuntime(runRoot: string): Promise<void> {
  for (const abandoned of claimAbandoned(runRoot)) {
    using claim = abandoned
    const { cgroups, mountPoints } = claim.record
    await removeCgroup(cgroups)
    if (mountPoints !== undefined && isMountPointDirectory(mountPoints))
      rmSync(mountPoints, { recursive: true, force: true })
  }
}
