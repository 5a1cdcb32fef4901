// Opens a container's root for this process and its children, as a mount that only a descriptor reaches.

import { closeSync } from 'node:fs'
import process from 'node:process'
import { native } from '../native/native.ts'
import type { RootMount } from '../runtime/runtime.ts'
import type { OpenTree } from './rootfs.ts'

/**
 * What makes an upper directory say all by itself what changed: no redirects to names in the layers below, no
 * metadata-only copies. Without them a layer packed from it would miss files.
 */
export const overlayOptions: readonly string[] = [
  'redirect_dir=off',
  'metacopy=off',
  'index=off',
  'xino=off',
]

/** Opens what would be a container's root. */
export function openRootMount(mount: RootMount): OpenTree {
  if (mount.kind === 'directory') return openTreeOf(native().cloneTreeDetached(mount.path))
  return openTreeOf(native().mountOverlayDetached({ ...mount, options: overlayOptions }))
}

function openTreeOf(fd: number): OpenTree {
  let open = true
  return {
    // not /proc/self: children see it, too
    path: `/proc/${process.pid}/fd/${fd}`,
    fd,
    [Symbol.dispose]() {
      if (open) closeSync(fd)
      open = false
    },
  }
}
