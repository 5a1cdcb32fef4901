// Names of storage drivers, kauri's and other engines'.

import test from 'ava'
import {
  parseSnapshotterChoice,
  type SnapshotterChoice,
} from '../../src/rootfs/open-snapshotter.ts'

const choices: readonly [string | undefined, SnapshotterChoice][] = [
  [undefined, 'auto'],
  ['', 'auto'],
  ['auto', 'auto'],
  ['overlay', 'overlay'],
  ['overlay2', 'overlay'],
  ['copy', 'copy'],
  ['vfs', 'copy'],
]

for (const [text, choice] of choices)
  test(`${text ?? 'nothing'} chooses ${choice}`, t => t.is(parseSnapshotterChoice(text), choice))

for (const name of ['devicemapper', 'aufs'])
  test(`${name} is refused with the reason and what to use`, t => {
    t.throws(() => parseSnapshotterChoice(name), {
      code: 'UNSUPPORTED',
      message: /docker has removed it/,
    })
  })

for (const name of ['zfs', 'constructor', '__proto__'])
  test(`${name} is no snapshotter`, t => {
    t.throws(() => parseSnapshotterChoice(name), { code: 'USAGE' })
  })
