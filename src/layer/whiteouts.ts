// How a layer says that something of the layers below is gone (image-spec v1.1.1 layer.md#whiteouts), and how overlayfs
// says the same in an upper directory.

/** `.wh.NAME` removes NAME of the layers below. */
export const whiteoutPrefix = '.wh.'

/** In a directory: nothing of the layers below shows through. */
export const opaqueName = '.wh..wh..opq'

/** What a name that starts with `.wh.` means. */
export type Whiteout =
  | { readonly kind: 'removed'; readonly name: string }
  | { readonly kind: 'opaque' }
  /** `.wh.` with nothing behind it, or with what is no name. */
  | { readonly kind: 'invalid' }

/** What the name of an entry says, or undefined where it is a name like any other. */
export function parseWhiteout(name: string): Whiteout | undefined {
  if (!name.startsWith(whiteoutPrefix)) return undefined
  if (name === opaqueName) return { kind: 'opaque' }
  const removed = name.slice(whiteoutPrefix.length)
  const isName = removed !== '' && removed !== '.' && removed !== '..'
  return isName ? { kind: 'removed', name: removed } : { kind: 'invalid' }
}
