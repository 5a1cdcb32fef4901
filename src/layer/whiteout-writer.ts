// Does what the whiteouts of a layer say (image-spec v1.1.1 layer.md#whiteouts). They are about the layers below only: what
// the same layer writes stays, before or after them.

import { closeSync, constants } from 'node:fs'
import { native } from '../native/native.ts'
import { type EntryWriter, markOpaque } from './entry-writer.ts'
import { TreeError } from './open-directories.ts'
import { joinPath, nameOf, parentOf, rootPath } from './tar-path.ts'
import { parseWhiteout, whiteoutPrefix } from './whiteouts.ts'

/** Told of each path before it is written; true for what is a whiteout, and done. */
export type TakeWhiteout = (path: string) => boolean

/** Whiteouts done in the way of `mode` (see ApplyOptions.whiteouts). @throws TreeError for one that names nothing */
export function createWhiteoutWriter(
  mode: 'ordinary' | 'delete' | 'overlay',
  writer: EntryWriter,
): TakeWhiteout {
  if (mode === 'ordinary') return () => false
  const effects = mode === 'overlay' ? overlayEffects(writer) : deletingEffects(writer)
  return path => {
    if (!path.includes(whiteoutPrefix)) {
      effects.wrote(path)
      return false
    }
    // Older docker kept its own notes in layers under such names (AUFS).
    if (path.split('/').some(isAufsNote)) return true
    if (path.startsWith(whiteoutPrefix, 0) && path.includes('/')) throw belowWhiteout()
    if (parentOf(path).includes(`/${whiteoutPrefix}`)) throw belowWhiteout()
    const whiteout = parseWhiteout(nameOf(path))
    if (whiteout === undefined) {
      effects.wrote(path)
      return false
    }
    if (whiteout.kind === 'invalid') throw new TreeError('it is a whiteout of nothing')
    if (whiteout.kind === 'opaque') effects.hideAll(parentOf(path))
    else effects.hide(joinPath(parentOf(path), whiteout.name))
    return true
  }
}

function isAufsNote(name: string): boolean {
  return name.startsWith('.wh..wh.') && parseWhiteout(name)?.kind !== 'opaque'
}

function belowWhiteout(): TreeError {
  return new TreeError('it is below a name that means that something is gone')
}

interface Effects {
  wrote(path: string): void
  /** Hides a name of the layers below. */
  hide(path: string): void
  /** Hides all that the layers below have in a directory. */
  hideAll(directory: string): void
}

/** In an upper directory, which holds nothing but this layer. */
function overlayEffects(writer: EntryWriter): Effects {
  return {
    wrote: () => {},
    hideAll: directory => markOpaque(writer.directory(directory)),
    hide: path => {
      const { directoryFd, name } = writer.place(path)
      const existing = native().statAt(directoryFd, name)
      if (existing === undefined) native().makeNodeAt(directoryFd, name, constants.S_IFCHR, 0, 0)
      else if ((existing.mode & constants.S_IFMT) === constants.S_IFDIR)
        markOpaque(writer.directory(path))
    },
  }
}

/** In a whole tree: what this layer did not write is from below. */
function deletingEffects(writer: EntryWriter): Effects {
  const written = new Set<string>([rootPath])
  const removeUnwritten = (path: string): void => {
    if (!written.has(path)) {
      writer.remove(path)
      return
    }
    for (const name of listDirectory(writer, path)) removeUnwritten(joinPath(path, name))
  }
  return {
    wrote: path => {
      for (let above = path; !written.has(above); above = parentOf(above)) written.add(above)
    },
    hide: removeUnwritten,
    hideAll: directory => {
      for (const name of listDirectory(writer, directory))
        removeUnwritten(joinPath(directory, name))
    },
  }
}

/** Names in a directory; none of what is no directory, or a link to one. */
function listDirectory(writer: EntryWriter, path: string): readonly string[] {
  const fd = writer.findDirectory(path)
  if (fd === undefined) return []
  try {
    return native().scanDirectory(fd).names
  } finally {
    closeSync(fd)
  }
}
