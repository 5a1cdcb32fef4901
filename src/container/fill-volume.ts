// A volume's first content: what an image has at its place, with owners, modes, times, links and extended attributes.

import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import process from 'node:process'
import { applyTar } from '../layer/apply-tar.ts'
import { packTree } from '../layer/pack-tree.ts'

/** A directory that is to be filled, and a file beside the volume's record that is there meanwhile. */
export interface VolumePlace {
  readonly directory: string
  readonly mark: string
}

/** True while nothing is in the directory, or what is there is the half of a copy that was killed. */
export function needsFilling({ directory, mark }: VolumePlace): boolean {
  return existsSync(mark) || readdirSync(directory).length === 0
}

export interface FillWork {
  /** Of the image's directory; it may be open for its path alone. */
  readonly fd: number
  /** The volume's name, for errors. */
  readonly name: string
  readonly signal: AbortSignal | undefined
}

/**
 * Copies a directory; the caller keeps others from filling the same volume. A container that has the volume already may
 * change it meanwhile, so every name is resolved below the volume's descriptor: links lead nowhere else (CVE-2018-15664).
 * @throws ARCHIVE_INVALID where what is there is in the way, DISK_FULL, CANCELLED
 */
export async function fillVolume(
  place: VolumePlace,
  { fd, name, signal }: FillWork,
): Promise<void> {
  if (!needsFilling(place)) return
  writeFileSync(place.mark, '')
  const tar = packTree({ kind: 'tree', path: `/proc/${process.pid}/fd/${fd}` }, { signal })
  const directoryFd = openSync(place.directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await applyTar(tar, directoryFd, {
      name: `the image's content of the volume ${name}`,
      whiteouts: 'ordinary',
      ownership: 'archive',
      signal,
    })
  } finally {
    closeSync(directoryFd)
  }
  rmSync(place.mark)
}
