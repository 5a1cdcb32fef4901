// Opens a container's root for this process and its children, as a mount that only a descriptor reaches.

import { closeSync, rmSync } from 'node:fs'
import path from 'node:path'
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

/** Opens what would be a container's root. An overlay without upper directory is read-only in any mode. */
export function openRootMount(mount: RootMount, mode: 'read-only' | 'read-write'): OpenTree {
  if (mount.kind === 'directory') return openTreeOf(native().cloneTreeDetached(mount.path, mode))
  if (!mount.volatile || mount.work === undefined)
    return openTreeOf(native().mountOverlayDetached({ ...mount, options: overlayOptions }))
  // The mark that a volatile mount leaves for the case of a crash would refuse the next one.
  rmSync(path.join(mount.work, 'work', 'incompat'), { recursive: true, force: true })
  const options = [...overlayOptions, 'volatile']
  return openTreeOf(native().mountOverlayDetached({ ...mount, options }))
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
