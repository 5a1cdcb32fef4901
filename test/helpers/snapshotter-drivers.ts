// The snapshotters that work below the directory for temporary files. Most machines have no btrfs there: an end-to-end test
// runs the tests that use this list once more with that directory on an image of one.

import { tmpdir } from 'node:os'
import process from 'node:process'
import { isBtrfs } from '../../src/rootfs/btrfs-snapshotter.ts'

/** `overlay` and `copy`, on btrfs `btrfs`, too. */
export const snapshotterDrivers: readonly ('overlay' | 'copy' | 'btrfs')[] =
  process.getuid?.() === 0 && isBtrfs(tmpdir()) ? ['overlay', 'copy', 'btrfs'] : ['overlay', 'copy']
