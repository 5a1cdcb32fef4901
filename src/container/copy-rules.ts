// Where `cp` puts what it copies, by docker's rules: they are those of cp -a, but that `SRC/.` is what is in a directory,
// and that a name that ends in a slash must be a directory.

import path from 'node:path'
import { KauriError } from '../core/errors.ts'

/** A source, as it was found. */
export interface CopySource {
  /** As the caller wrote it. */
  readonly text: string
  readonly isDirectory: boolean
}

/** What the destination is by now. */
export type CopyDestination =
  | { readonly kind: 'directory' }
  | { readonly kind: 'file' }
  /** Its parent may be missing, too. */
  | { readonly kind: 'missing'; readonly hasParent: boolean }

/** Into which directory an archive is unpacked, and under which name its one entry; undefined: as it is called. */
export interface CopyPlan {
  readonly into: 'destination' | 'parent'
  readonly rename: string | undefined
}

/** True for `x/` and `x/.`: what must be a directory. */
export function assertsDirectory(text: string): boolean {
  return text.endsWith('/') || text.endsWith('/.') || text === '.'
}

/** True for `x/.`: what is in the directory, not the directory itself. */
export function asksForContents(text: string): boolean {
  return text.endsWith('/.') || text === '.' || /^\/+$/.test(text)
}

/** The name that a path ends with; `.` where it asks for contents. */
export function baseName(text: string): string {
  return asksForContents(text) ? '.' : path.posix.basename(path.posix.normalize(text))
}

/** @throws USAGE with docker's words */
export function planCopy(
  { isDirectory }: CopySource,
  destination: CopyDestination,
  text: string,
): CopyPlan {
  const name = path.posix.basename(path.posix.normalize(text))
  switch (destination.kind) {
    case 'directory':
      return { into: 'destination', rename: undefined }
    case 'file':
      if (isDirectory) throw new KauriError('USAGE', 'cannot copy directory')
      if (assertsDirectory(text)) throw new KauriError('USAGE', `not a directory: ${text}`)
      return { into: 'parent', rename: name }
    case 'missing':
      if (!isDirectory && assertsDirectory(text))
        throw new KauriError('USAGE', `no such directory: ${text}`)
      if (!destination.hasParent)
        throw new KauriError('USAGE', `no such directory: ${path.posix.dirname(text)}`)
      return { into: 'parent', rename: name }
    default:
      return destination satisfies never
  }
}
