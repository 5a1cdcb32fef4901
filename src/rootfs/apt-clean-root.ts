// Removes what package managers leave behind and what would differ between two equal builds: lists, downloads, logs,
// backups, caches with times in them, and the identity of one machine.

import { closeSync, constants } from 'node:fs'
import path from 'node:path'
import { existsInRoot, openPlace, writeFileInRoot } from '../native/in-root.ts'
import { native } from '../native/native.ts'

const fileTypeMask = 0o170000
const directoryType = 0o040000

/** Everything below these goes; the directories stay. */
const emptied = [
  '/var/lib/apt/lists',
  '/var/lib/apt/mirrors',
  '/var/cache/apt/archives',
  '/var/log/apt',
]

/** Names, or patterns of names in their directory, that go. */
const removed = [
  '/var/cache/apt/*.bin',
  '/var/lib/dpkg/*-old',
  '/var/lib/dpkg/lock',
  '/var/lib/dpkg/lock-frontend',
  '/var/lib/dpkg/triggers/Lock',
  '/var/lib/dpkg/triggers/Unincorp',
  '/var/backups/*',
  '/var/cache/debconf/*-old',
  '/var/cache/ldconfig/aux-cache',
  '/var/log/dpkg.log',
  '/var/log/alternatives.log',
  '/var/log/bootstrap.log',
  '/var/lib/dbus/machine-id',
  '/var/lib/systemd/random-seed',
  '/var/lib/urandom/random-seed',
  '/etc/.pwd.lock',
]

/** Cleans a tree; does nothing to what is clean already. */
export function cleanDebianRoot(rootFd: number): void {
  for (const directory of emptied) removeMatching(rootFd, directory, () => true, isKeptBelow)
  for (const pattern of removed) {
    const [directory, name] = [path.posix.dirname(pattern), path.posix.basename(pattern)]
    const [before = '', after] = name.split('*')
    removeMatching(
      rootFd,
      directory,
      found =>
        after === undefined
          ? found === name
          : found.length >= before.length + after.length &&
            found.startsWith(before) &&
            found.endsWith(after),
      () => false,
    )
  }
  forgetMachine(rootFd)
}

/** apt wants these directories when it runs in the image. */
function isKeptBelow(name: string): boolean {
  return name === 'partial'
}

/** An empty file is what systemd fills at the first boot, and what containers share. */
function forgetMachine(rootFd: number): void {
  const file = '/etc/machine-id'
  if (!existsInRoot(rootFd, file)) return
  using place = openPlace(rootFd, file)
  const stat = native().statAt(place.directoryFd, place.name)
  if (stat === undefined || stat.size === 0 || (stat.mode & fileTypeMask) !== 0o100000) return
  writeFileInRoot(rootFd, file, '', { mode: 0o444, uid: 0, gid: 0 })
}

function removeMatching(
  rootFd: number,
  directory: string,
  matches: (name: string) => boolean,
  isKept: (name: string) => boolean,
): void {
  if (!existsInRoot(rootFd, directory)) return
  const calls = native()
  const fd = calls.openInRoot(rootFd, directory, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (!isDirectory(rootFd, directory)) return
    for (const name of calls.scanDirectory(fd).names)
      if (matches(name) && !isKept(name)) calls.removeTreeAt(fd, name)
  } finally {
    closeSync(fd)
  }
}

function isDirectory(rootFd: number, directory: string): boolean {
  using place = openPlace(rootFd, directory)
  const stat = native().statAt(place.directoryFd, place.name)
  return stat !== undefined && (stat.mode & fileTypeMask) === directoryType
}
