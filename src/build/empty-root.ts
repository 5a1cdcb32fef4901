// The root of a stage without anything, for those who read it.

import { closeSync, constants, mkdtempSync, openSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { oPath } from '../native/in-root.ts'
import type { OpenTree } from '../rootfs/rootfs.ts'

/** A directory that has no name any more, so nothing can ever be made in it. */
export function openEmptyRoot(): OpenTree {
  const directory = mkdtempSync(path.join(tmpdir(), 'kauri-empty-'))
  const fd = openSync(directory, oPath | constants.O_DIRECTORY)
  rmdirSync(directory)
  let isOpen = true
  return {
    path: `/proc/${process.pid}/fd/${fd}`,
    fd,
    [Symbol.dispose]() {
      if (isOpen) closeSync(fd)
      isOpen = false
    },
  }
}
