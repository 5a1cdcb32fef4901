// All that a layer can say of a tree, as plain data to compare.

import { createHash } from 'node:crypto'
import { closeSync, constants, readSync } from 'node:fs'
import { native, type Stat } from '../../src/native/native.ts'

/** What an entry is; `firstName` is the first of the names of a file that has several. */
export interface EntryFacts {
  readonly mode: string
  readonly owner: string
  readonly mtimeSeconds: number
  readonly content: string
  readonly xattrs: Readonly<Record<string, string>>
  readonly firstName: string
}

const { O_RDONLY, O_DIRECTORY, O_NONBLOCK, S_IFMT, S_IFDIR, S_IFREG, S_IFLNK } = constants

/** Every entry by its path; the root's is empty, and its time is 0, as it changes with every entry. */
export function treeFacts(rootFd: number): Map<string, EntryFacts> {
  const facts = new Map<string, EntryFacts>()
  const firstNames = new Map<string, string>()
  const visit = (directoryFd: number, prefix: string): void => {
    for (const name of native().scanDirectory(directoryFd).names) {
      const stat = native().statAt(directoryFd, name)
      if (stat === undefined) continue
      const path = prefix + name
      const identity = `${stat.dev}:${stat.inodeHigh}:${stat.inodeLow}`
      const firstName = firstNames.get(identity) ?? path
      if ((stat.mode & S_IFMT) !== S_IFDIR) firstNames.set(identity, firstName)
      facts.set(path, factsOf({ directoryFd, name, stat, firstName }))
      if ((stat.mode & S_IFMT) !== S_IFDIR) continue
      const fd = native().openAt(directoryFd, name, O_RDONLY | O_DIRECTORY)
      try {
        visit(fd, `${path}/`)
      } finally {
        closeSync(fd)
      }
    }
  }
  const fd = native().openInRoot(rootFd, '.', O_RDONLY | O_DIRECTORY)
  try {
    const root = `/proc/self/fd/${fd}/.`
    const { mode, uid, gid } = native().statFile(root)
    const names = native().listXattrs(root)
    const xattrs = names.map(name => [name, native().getXattr(root, name).toString('hex')] as const)
    facts.set('', {
      mode: mode.toString(8),
      owner: `${uid}:${gid}`,
      mtimeSeconds: 0,
      content: '',
      xattrs: Object.fromEntries(xattrs.filter(isKept)),
      firstName: '',
    })
    visit(fd, '')
    return facts
  } finally {
    closeSync(fd)
  }
}

function isKept([name]: readonly [string, string]): boolean {
  return !name.startsWith('trusted.overlay.')
}

interface Entry {
  readonly directoryFd: number
  readonly name: string
  readonly stat: Stat
  readonly firstName: string
}

function factsOf({ directoryFd, name, stat, firstName }: Entry): EntryFacts {
  const calls = native()
  const xattrs = calls
    .listXattrsAt(directoryFd, name)
    .map(xattr => [xattr, calls.getXattrAt(directoryFd, name, xattr).toString('hex')] as const)
  return {
    mode: stat.mode.toString(8),
    owner: `${stat.uid}:${stat.gid}`,
    mtimeSeconds: stat.mtimeSeconds,
    content: contentOf({ directoryFd, name, stat }),
    xattrs: Object.fromEntries(xattrs.filter(isKept)),
    firstName,
  }
}

function contentOf({ directoryFd, name, stat }: Omit<Entry, 'firstName'>): string {
  switch (stat.mode & S_IFMT) {
    case S_IFREG:
      return `${stat.size} ${hashOf(directoryFd, name)}`
    case S_IFLNK:
      return native().readLinkAt(directoryFd, name)
    case S_IFDIR:
      return ''
    default:
      return String(stat.rdev)
  }
}

function hashOf(directoryFd: number, name: string): string {
  const fd = native().openAt(directoryFd, name, O_RDONLY | O_NONBLOCK)
  const hash = createHash('sha256')
  const buffer = Buffer.alloc(64 * 1024)
  try {
    for (let got = readSync(fd, buffer); got > 0; got = readSync(fd, buffer))
      hash.update(buffer.subarray(0, got))
    return hash.digest('hex')
  } finally {
    closeSync(fd)
  }
}
