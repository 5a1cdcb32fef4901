// Names of storage drivers, kauri's and other engines'.

import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import {
  parseSnapshotterChoice,
  type SnapshotterChoice,
} from '../../src/rootfs/snapshotter-choice.ts'

const choices: readonly [string | undefined, SnapshotterChoice][] = [
  [undefined, 'auto'],
  ['', 'auto'],
  ['auto', 'auto'],
  ['overlay', 'overlay'],
  ['overlay2', 'overlay'],
  ['overlayfs', 'overlay'],
  ['btrfs', 'btrfs'],
  ['native', 'copy'],
  ['copy', 'copy'],
  ['vfs', 'copy'],
]

for (const [text, choice] of choices)
  test(`${text ?? 'nothing'} chooses ${choice}`, t => t.is(parseSnapshotterChoice(text), choice))

const refused = {
  devicemapper: /docker has removed it/,
  aufs: /docker has removed it/,
  zfs: /overlay works on it/,
  'fuse-overlayfs': /without root rights/,
}

for (const [name, message] of Object.entries(refused))
  test(`${name} is refused with the reason and what to use`, t => {
    const error = t.throws(() => parseSnapshotterChoice(name), {
      instanceOf: KauriError,
      code: 'UNSUPPORTED',
      message,
    })
    t.regex(error?.hint ?? '', /overlay, btrfs, or copy/)
  })

for (const name of ['constructor', '__proto__'])
  test(`${name} is no snapshotter`, t => {
    t.throws(() => parseSnapshotterChoice(name), { code: 'USAGE' })
  })
