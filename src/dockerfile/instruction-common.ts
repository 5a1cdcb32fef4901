// What every reader of an instruction needs: where it stands, and the refusals that several instructions share.

import { refused } from './instruction-flags.ts'
import type { InstructionCommon } from './instructions.ts'
import type { InstructionNode } from './syntax-tree.ts'

/** The members that all instructions have. */
export function commonOf(node: InstructionNode): InstructionCommon {
  const { keyword, startLine, endLine, comments } = node
  return { keyword, original: node.original.trim(), startLine, endLine, comments }
}

/** The one argument of an instruction that takes one. @throws DESCRIPTION_INVALID */
export function oneArgument(node: InstructionNode): string {
  const [word] = node.words
  if (word === undefined || node.words.length > 1)
    throw refused(`${node.keyword.toUpperCase()} requires exactly one argument`)
  return word
}

/** @throws DESCRIPTION_INVALID where there is no argument */
export function requireArguments(node: InstructionNode): void {
  if (node.words.length === 0)
    throw refused(`${node.keyword.toUpperCase()} requires at least one argument`)
}

/** What a comment `# NAME text` above an instruction says about a name; empty: nothing. */
export function descriptionOf(comments: readonly string[], name: string): string {
  if (name === '') return ''
  const prefix = `${name} `
  return comments.find(comment => comment.startsWith(prefix))?.slice(prefix.length) ?? ''
}
