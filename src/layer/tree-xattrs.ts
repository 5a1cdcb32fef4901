// Which extended attributes belong to an image. Those of overlayfs describe one host's mount and would do harm in another
// (a redirect shows other directories), SELinux labels and EVM signatures are made by the host's policy and keys.

import { native } from '../native/native.ts'

const hostOnly = ['security.selinux', 'security.evm', 'system.nfs4_acl'] as const
const hostOnlyPrefixes = ['trusted.overlay.', 'user.overlay.', 'btrfs.'] as const

/** False for what neither goes into a layer nor is taken from one. */
export function isImageXattr(name: string): boolean {
  return (
    !hostOnly.some(other => other === name) &&
    !hostOnlyPrefixes.some(prefix => name.startsWith(prefix))
  )
}

/** Every extended attribute of a name in a directory. */
export function readXattrs(directoryFd: number, name: string): Map<string, Buffer> {
  const calls = native()
  const names = calls.listXattrsAt(directoryFd, name)
  return new Map(names.map(xattr => [xattr, calls.getXattrAt(directoryFd, name, xattr)]))
}

/** Every extended attribute of a tree's root directory. */
export function readRootXattrs(root: string): Map<string, Buffer> {
  const calls = native()
  const self = `${root}/.`
  return new Map(calls.listXattrs(self).map(xattr => [xattr, calls.getXattr(self, xattr)]))
}

/** What overlayfs keeps in extended attributes of an upper directory (kernel Documentation/filesystems/overlayfs.rst). */
export interface OverlayMarks {
  /** Nothing of the directories below shows through. */
  readonly isOpaque: boolean
  /** Contents or names that are elsewhere: redirect_dir or metacopy was on. */
  readonly isIndirect: boolean
}

/** What an entry's attributes say of it, with the names of root's and of users' overlays. */
export function overlayMarks(xattrs: ReadonlyMap<string, Buffer>): OverlayMarks {
  const has = (key: string): boolean =>
    xattrs.has(`trusted.overlay.${key}`) || xattrs.has(`user.overlay.${key}`)
  const opaque = xattrs.get('trusted.overlay.opaque') ?? xattrs.get('user.overlay.opaque')
  return {
    isOpaque: opaque?.toString('latin1') === 'y',
    isIndirect: has('redirect') || has('metacopy'),
  }
}

/** The attributes that go into the layer. */
export function imageXattrs(xattrs: ReadonlyMap<string, Buffer>): ReadonlyMap<string, Buffer> {
  return new Map([...xattrs].filter(([name]) => isImageXattr(name)))
}
