// Names out of archives. What a name may do is decided here, once: a leading slash is dropped, `.` and doubled slashes
// too; `..` may go up inside the archive and not above it; the empty name and NUL are errors. Links that earlier entries
// made are none of this file's business: the kernel keeps those inside (native's openInRoot).

/** The root of an archive. */
export const rootPath = '.'

/** `depth` counts the components. */
export type CleanPath =
  | { readonly kind: 'path'; readonly path: string; readonly depth: number }
  | { readonly kind: 'refused'; readonly why: string }

/** The path below the root without `.`, `..` and needless slashes, or why it is none. */
export function cleanTarPath(text: string): CleanPath {
  if (text === '') return { kind: 'refused', why: 'an entry has an empty name' }
  if (text.includes('\0')) return { kind: 'refused', why: 'a name has a NUL byte' }
  const parts: string[] = []
  for (const part of text.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined)
      return { kind: 'refused', why: 'a name leads out of the root with ".."' }
  }
  return {
    kind: 'path',
    path: parts.length === 0 ? rootPath : parts.join('/'),
    depth: parts.length,
  }
}

/** `a/b` of `a/b/c`; the root of a name without slash. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? rootPath : path.slice(0, slash)
}

/** The last component. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** A name in a directory; the directory may be the root. */
export function joinPath(directory: string, name: string): string {
  return directory === rootPath ? name : `${directory}/${name}`
}
