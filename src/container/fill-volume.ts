// A volume's first content: what an image has at its place, with owners, modes, times, links and extended attributes.

import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { runChecked } from '../core/process.ts'
import { guardCommand } from '../native/guard.ts'
import { defaultPath } from '../oci/image-config.ts'

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

/** Copies a directory; the caller keeps others from filling the same volume. @throws PROCESS_FAILED, CANCELLED */
export async function fillVolume(
  place: VolumePlace,
  { fd, name, signal }: FillWork,
): Promise<void> {
  if (!needsFilling(place)) return
  writeFileSync(place.mark, '')
  const source = `/proc/${process.pid}/fd/${fd}/.`
  const words = ['cp', '-a', '--remove-destination', '--', source, place.directory]
  await runChecked([...guardCommand(), ...words], {
    env: { PATH: defaultPath, LC_ALL: 'C' },
    what: `filling the volume ${name}`,
    signal,
  })
  rmSync(place.mark)
}
