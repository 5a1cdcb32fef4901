// A user's home in a tree: made from the distribution's skeleton, or, where an overlay brought it, given to the user.

import { closeSync, constants } from 'node:fs'
import path from 'node:path'
import { existsInRoot, makeDirectoriesInRoot, oPath, openPlace } from '../native/in-root.ts'
import { native, scanFields, scanWidth } from '../native/native.ts'
import { type GuestPath, guestPath } from '../plan/plan.ts'
import type { OpenTree } from '../rootfs/rootfs.ts'
import type { Home } from './account-files.ts'
import { openContextSource } from './context-scan.ts'
import { copyEntries, rootOwner } from './copy-entries.ts'
import type { LoginPolicy } from './login-policy.ts'

/** Debian's name for the home of users without one; it is never made. */
const noHome = '/nonexistent'

/** Makes a home that was asked for, or hands over what is there. */
export async function setUpHome(tree: OpenTree, home: Home, policy: LoginPolicy): Promise<void> {
  const directory = guestPath(home.path)
  if (directory === noHome || home.path === '') return
  if (existsInRoot(tree.fd, directory)) handOver(tree, directory, home)
  else if (home.isAskedFor) await makeHome(tree, directory, { home, policy })
}

async function makeHome(
  tree: OpenTree,
  directory: GuestPath,
  { home, policy }: { readonly home: Home; readonly policy: LoginPolicy },
): Promise<void> {
  const owner = { uid: home.uid, gid: home.gid }
  makeDirectoriesInRoot(tree.fd, path.posix.dirname(directory), { mode: 0o755, ...rootOwner })
  if (existsInRoot(tree.fd, `${policy.skeleton}/.`)) {
    using skeleton = openContextSource(tree.path, { context: '', path: policy.skeleton })
    await copyEntries(skeleton, { rootFd: tree.fd, target: directory, owner })
  } else makeDirectoriesInRoot(tree.fd, directory, { mode: policy.homeMode, ...owner })
  using place = openPlace(tree.fd, directory)
  native().setModeAt(place.directoryFd, place.name, policy.homeMode)
}

/**
 * What belongs to root in the home of a user who was asked for came with an overlay, whose files are root's, and becomes
 * the user's; what belonged to the user's former id follows the id.
 */
function handOver(tree: OpenTree, directory: GuestPath, home: Home): void {
  // A top directory such as / or /bin is somebody's "home" without being his.
  const isOwn = directory.split('/').length > 2 && home.uid !== 0
  const claimRoots = home.isAskedFor && isOwn
  if (!claimRoots && home.formerUid === undefined) return
  using place = openPlace(tree.fd, directory)
  const changeOwner = (directoryFd: number, name: string, uid: number): void => {
    if (uid === 0 && claimRoots) native().setOwnerAt(directoryFd, name, home.uid, home.gid)
    else if (uid === home.formerUid) native().setOwnerAt(directoryFd, name, home.uid, -1)
  }
  const top = native().statAt(place.directoryFd, place.name)
  if (top === undefined || (top.mode & constants.S_IFMT) !== constants.S_IFDIR) return
  changeOwner(place.directoryFd, place.name, top.uid)
  walk(place.directoryFd, place.name, changeOwner)
}

type Visit = (directoryFd: number, name: string, uid: number) => void

function walk(parentFd: number, directory: string, visit: Visit): void {
  const fd = native().openAt(parentFd, directory, oPath | constants.O_DIRECTORY)
  try {
    const { names, stats } = native().scanDirectory(fd)
    for (const [index, name] of names.entries()) {
      const field = (which: keyof typeof scanFields): number =>
        stats[index * scanWidth + scanFields[which]] ?? 0
      visit(fd, name, field('uid'))
      if ((field('mode') & constants.S_IFMT) === constants.S_IFDIR) walk(fd, name, visit)
    }
  } finally {
    closeSync(fd)
  }
}
