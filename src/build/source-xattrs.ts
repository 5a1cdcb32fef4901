// The extended attributes that travel from a source into an image: capabilities, access lists and the user's own. Labels
// and overlayfs marks belong to the machine they are on.

import { native } from '../native/native.ts'

export interface SourceXattr {
  readonly name: string
  readonly value: Buffer
}

const travels =
  /^(?:security\.capability|system\.posix_acl_(?:access|default)|user\.(?!overlay\.).*)$/

/** Those of a name in an open directory, sorted by name. */
export function readSourceXattrs(directoryFd: number, name: string): SourceXattr[] {
  return read(native().listXattrsAt(directoryFd, name), xattr =>
    native().getXattrAt(directoryFd, name, xattr),
  )
}

/** Those of an open directory itself. */
export function readDirectoryXattrs(directoryFd: number): SourceXattr[] {
  const self = `/proc/self/fd/${directoryFd}/.`
  return read(native().listXattrs(self), xattr => native().getXattr(self, xattr))
}

function read(names: readonly string[], get: (xattr: string) => Buffer): SourceXattr[] {
  if (names.length === 0) return []
  return names
    .filter(xattr => travels.test(xattr))
    .toSorted()
    .map(xattr => ({ name: xattr, value: get(xattr) }))
}
