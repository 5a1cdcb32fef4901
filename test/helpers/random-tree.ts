// Trees with everything that a file system has, changed by a seed: names of all kinds, links of both kinds, devices, fifos,
// attributes, access lists, capabilities, holes, owners, set-id bits, nanoseconds. All by native/'s calls, as Node's own know no
// names that are not UTF-8.

import { closeSync, constants, ftruncateSync, writeSync } from 'node:fs'
import { native } from '../../src/native/native.ts'

/** A small generator whose numbers are the same everywhere (mulberry32): whole numbers below `below`. */
export type Random = (below: number) => number

export function randomNumbers(seed: number): Random {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** Few, so that what comes later meets what was there. `\udcff` is the byte 0xff, which is not UTF-8. */
const names = [
  'a',
  'b',
  'file with spaces',
  'new\nline',
  'byte-\udcff\udc80',
  'ümlaut-☃',
  `${'n'.repeat(251)}-end`,
  'p'.repeat(120),
  '-dash',
  'wh.no-whiteout',
  '.hidden',
]

const modes = [0o644, 0o600, 0o755, 0o4755, 0o2755, 0o1777, 0o000, 0o6711]
const owners = [0, 1, 1000, 65534, 2_097_152, 4_000_000_000]
const times: readonly (readonly [number, number])[] = [
  [0, 0],
  [1_000_000_000, 1],
  [1_700_000_000, 999_999_999],
  [8_589_934_592, 0],
  [-1, 500],
  [-1_000_000, 0],
]

/** Version 2, then entries of tag, permissions and id: a user 1000 who may read, and a mask (linux/posix_acl_xattr.h). */
const accessList = Buffer.from(
  '0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000400ffffffff',
  'hex',
)
/** CAP_NET_RAW, permitted and effective, version 2 (linux/capability.h). */
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')

const { O_RDONLY, O_RDWR, O_CREAT, O_DIRECTORY, S_IFMT, S_IFDIR, S_IFREG } = constants
const { S_IFCHR, S_IFBLK, S_IFIFO } = constants

/** A name in an open directory. */
interface Place {
  readonly directoryFd: number
  readonly name: string
}

/** Does `steps` works on the tree; what the tree does not let be done is not done, in every copy of it alike. */
export function changeTree(rootFd: number, random: Random, steps: number): void {
  for (let step = 0; step < steps; step++)
    inDirectory(rootFd, random, directoryFd => {
      const work = works[random(works.length)]
      const name = names[random(names.length)] ?? 'a'
      try {
        work?.({ directoryFd, name }, random, rootFd)
      } catch (error) {
        if (!(error instanceof Error && 'errno' in error)) throw error
      }
    })
}

/** Goes down by chance, at most four directories. */
function inDirectory(rootFd: number, random: Random, work: (directoryFd: number) => void): void {
  const opened: number[] = [native().openInRoot(rootFd, '.', O_RDONLY | O_DIRECTORY)]
  try {
    for (let depth = random(5); depth > 0; depth--) {
      const fd = opened.at(-1) ?? -1
      const directories = native()
        .scanDirectory(fd)
        .names.filter(name => ((native().statAt(fd, name)?.mode ?? 0) & S_IFMT) === S_IFDIR)
      const next = directories[random(Math.max(1, directories.length))]
      if (next !== undefined) opened.push(native().openAt(fd, next, O_RDONLY | O_DIRECTORY))
    }
    work(opened.at(-1) ?? -1)
  } finally {
    for (const fd of opened) closeSync(fd)
  }
}

type Work = (place: Place, random: Random, rootFd: number) => void

const makeFile: Work = ({ directoryFd, name }, random) => {
  const fd = native().openAt(directoryFd, name, O_RDWR | O_CREAT, 0o644)
  try {
    ftruncateSync(fd, 0)
    writeSync(fd, Buffer.alloc(random(3000), 65 + random(26)), 0)
  } finally {
    closeSync(fd)
  }
}

const makeSparse: Work = ({ directoryFd, name }, random) => {
  const fd = native().openAt(directoryFd, name, O_RDWR | O_CREAT, 0o600)
  try {
    ftruncateSync(fd, 0)
    for (let at = 0; at < 3; at++) writeSync(fd, 'data', random(400_000))
    ftruncateSync(fd, 500_000 + random(500_000))
  } finally {
    closeSync(fd)
  }
}

const makeDirectory: Work = ({ directoryFd, name }) =>
  native().makeDirectoryAt(directoryFd, name, 0o755)

const remove: Work = ({ directoryFd, name }) => native().removeTreeAt(directoryFd, name)

const makeSymlink: Work = ({ directoryFd, name }, random) =>
  native().makeSymlinkAt(
    ['a', '../b', `/${'long/'.repeat(40)}`, 'byte-\udcfe', names[random(names.length)] ?? ''][
      random(5)
    ] ?? 'a',
    directoryFd,
    name,
  )

const makeNode: Work = ({ directoryFd, name }, random) => {
  const type = [S_IFCHR, S_IFBLK, S_IFIFO][random(3)] ?? S_IFIFO
  native().makeNodeAt(directoryFd, name, type | 0o640, 1 + random(300), random(70_000))
}

const makeLink: Work = ({ directoryFd, name }, random, rootFd) =>
  inDirectory(rootFd, random, otherFd =>
    native().makeLinkAt(directoryFd, name, otherFd, names[random(names.length)] ?? 'a'),
  )

/** An overlay refuses to rename directories, for which mv(1) copies. */
const rename: Work = ({ directoryFd, name }, random, rootFd) =>
  inDirectory(rootFd, random, otherFd => {
    if (((native().statAt(directoryFd, name)?.mode ?? S_IFDIR) & S_IFMT) === S_IFDIR) return
    native().renameAt(directoryFd, name, otherFd, names[random(names.length)] ?? 'a')
  })

/** Opened for writing and left as it is: an overlay copies it up. */
const openOnly: Work = ({ directoryFd, name }) => {
  if (((native().statAt(directoryFd, name)?.mode ?? 0) & S_IFMT) !== S_IFREG) return
  closeSync(native().openAt(directoryFd, name, O_RDWR))
}

const setMode: Work = ({ directoryFd, name }, random) =>
  native().setModeAt(directoryFd, name, modes[random(modes.length)] ?? 0)

const setOwner: Work = ({ directoryFd, name }, random) =>
  native().setOwnerAt(
    directoryFd,
    name,
    owners[random(owners.length)] ?? 0,
    owners[random(owners.length)] ?? 0,
  )

const setTimes: Work = ({ directoryFd, name }, random) => {
  const [seconds, nanoseconds] = times[random(times.length)] ?? [0, 0]
  native().setTimesAt(directoryFd, name, seconds, nanoseconds)
}

const setAttribute: Work = ({ directoryFd, name }, random) => {
  const choices: readonly (readonly [string, Buffer])[] = [
    ['user.note', Buffer.from(['red', 'blue', '', 'a\0b\n='][random(4)] ?? '')],
    ['trusted.note', Buffer.alloc(random(200), 7)],
    ['security.capability', capability],
    ['system.posix_acl_access', accessList],
    ['system.posix_acl_default', accessList],
  ]
  const [xattr, value] = choices[random(choices.length)] ?? ['user.note', Buffer.alloc(0)]
  native().setXattrAt(directoryFd, name, xattr, value)
}

const removeAttribute: Work = ({ directoryFd, name }) => {
  for (const xattr of native().listXattrsAt(directoryFd, name))
    native().removeXattrAt(directoryFd, name, xattr)
}

const replaceByAnother: Work = (place, random, rootFd) => {
  remove(place, random, rootFd)
  const others = [makeFile, makeDirectory, makeSymlink, makeNode]
  others[random(others.length)]?.(place, random, rootFd)
}

const works: readonly Work[] = [
  makeFile,
  makeFile,
  makeFile,
  makeSparse,
  makeDirectory,
  makeDirectory,
  makeDirectory,
  makeSymlink,
  makeNode,
  makeLink,
  makeLink,
  rename,
  openOnly,
  setMode,
  setOwner,
  setTimes,
  setTimes,
  setAttribute,
  setAttribute,
  removeAttribute,
  remove,
  replaceByAnother,
  replaceByAnother,
]

/** Gives what was written now one time: two runs then differ in nothing. */
export function settleTimes(rootFd: number): void {
  const visit = (directoryFd: number): void => {
    for (const name of native().scanDirectory(directoryFd).names) {
      const stat = native().statAt(directoryFd, name)
      if (stat === undefined) continue
      if ((stat.mode & S_IFMT) === S_IFDIR) {
        const fd = native().openAt(directoryFd, name, O_RDONLY | O_DIRECTORY)
        try {
          visit(fd)
        } finally {
          closeSync(fd)
        }
      }
      if (stat.mtimeSeconds > 1_750_000_000 && stat.mtimeSeconds < 8_000_000_000)
        native().setTimesAt(directoryFd, name, 1_600_000_000, 0)
    }
  }
  const fd = native().openInRoot(rootFd, '.', O_RDONLY | O_DIRECTORY)
  try {
    visit(fd)
    native().setTimes(`/proc/self/fd/${fd}/.`, 1_600_000_000, 0)
  } finally {
    closeSync(fd)
  }
}
