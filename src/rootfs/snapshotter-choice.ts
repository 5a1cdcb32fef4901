// What people call the ways to keep trees: kauri's own names, and those that other engines have for the same or for more.

import { KauriError } from '../core/errors.ts'

/** The ways to keep trees. */
export type SnapshotterName = 'overlay' | 'btrfs' | 'copy'

/** `auto`: the best that works where the state is. */
export type SnapshotterChoice = 'auto' | SnapshotterName

const choices: Readonly<Record<string, SnapshotterChoice>> = {
  '': 'auto',
  auto: 'auto',
  overlay: 'overlay',
  // docker's names
  overlay2: 'overlay',
  btrfs: 'btrfs',
  copy: 'copy',
  vfs: 'copy',
  // containerd's names
  overlayfs: 'overlay',
  native: 'copy',
}

/** Storage drivers of other engines that kauri has no part of, and why. */
const refused: Readonly<Record<string, string>> = {
  devicemapper:
    'thin pools of block devices lose data when they run full, and docker has removed it',
  aufs: 'no kernel of kernel.org has aufs, and docker has removed it',
  zfs: 'no kernel of kernel.org has ZFS; overlay works on it from OpenZFS 2.2, and copies share blocks there',
  'fuse-overlayfs': 'it is for users without root rights, which kauri has when it keeps trees',
}

/** Reads a person's choice; undefined is `auto`. @throws USAGE; UNSUPPORTED for what other engines have, or once had */
export function parseSnapshotterChoice(text: string | undefined): SnapshotterChoice {
  const choice = Object.hasOwn(choices, text ?? '') ? choices[text ?? ''] : undefined
  if (choice !== undefined) return choice
  const hint =
    '--snapshotter and KAURI_SNAPSHOTTER take auto, overlay, btrfs, or copy, which other engines call vfs'
  const reason = Object.hasOwn(refused, text ?? '') ? refused[text ?? ''] : undefined
  if (reason !== undefined)
    throw new KauriError('UNSUPPORTED', `no snapshotter ${text}: ${reason}`, { hint })
  throw new KauriError('USAGE', `there is no snapshotter "${text}"`, { hint })
}
