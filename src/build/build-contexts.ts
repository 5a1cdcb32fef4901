// The contexts of one build, each opened and listed once for all steps of all stages. What was learnt of their files is
// kept when the build ends, however it ends.

import { closeSync, constants, openSync } from 'node:fs'
import { hasErrno, KauriError } from '../core/errors.ts'
import { oPath } from '../native/in-root.ts'
import type { BuildPlan } from '../plan/plan.ts'
import { type ContentIndex, openContentIndex } from './content-index.ts'
import { type SourceTree, sourceTree } from './source-tree.ts'

export interface OpenContext {
  /** Without what the ignore file leaves out; everything is root's. */
  readonly tree: SourceTree
  readonly contents: ContentIndex
}

/** Disposing it saves what was learnt and closes the contexts. */
export interface BuildContexts extends AsyncDisposable {
  /** A context of the plan, open until the contexts are disposed. @throws FILE_NOT_FOUND, DESCRIPTION_INVALID for its ignore patterns */
  open(name: string): OpenContext
}

/** Opens nothing before it is asked for. */
export function openBuildContexts({ contexts }: BuildPlan, dataRoot: string): BuildContexts {
  const opened = new Map<string, OpenContext & { readonly fd: number }>()
  return {
    open(name) {
      const known = opened.get(name)
      if (known !== undefined) return known
      const context = contexts[name]
      if (context === undefined)
        throw new KauriError('INTERNAL', `the plan has no context "${name}"`)
      const { directory, ignore } = context
      const fd = openRoot(directory)
      const tree = sourceTree(fd, { name: directory, keepsOwners: false, ignore })
      const open = { fd, tree, contents: openContentIndex(dataRoot, fd) }
      opened.set(name, open)
      return open
    },
    async [Symbol.asyncDispose]() {
      for (const { fd, contents } of opened.values()) {
        await contents.save()
        closeSync(fd)
      }
      opened.clear()
    },
  }
}

function openRoot(directory: string): number {
  try {
    return openSync(directory, oPath | constants.O_DIRECTORY)
  } catch (cause) {
    if (!hasErrno(cause, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw cause
    throw new KauriError('FILE_NOT_FOUND', `there is no directory ${directory}`, { cause })
  }
}
