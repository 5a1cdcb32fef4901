// What the parser makes of a Dockerfile: one node for each instruction, with its words as written, before any meaning.

import { quoteGo } from './go-values.ts'
import type { Heredoc } from './heredoc.ts'

export interface InstructionNode {
  /** The instruction's word as written. */
  readonly keyword: string
  /** Builder flags with their dashes: `--from=base`. */
  readonly flags: readonly string[]
  /** Words after the flags; what a word is depends on the instruction. */
  readonly words: readonly string[]
  /** The words came from a JSON list. */
  readonly isJson: boolean
  /** The instruction that ONBUILD holds. */
  readonly trigger?: InstructionNode
  readonly heredocs: readonly Heredoc[]
  /** The line with its continuations joined. */
  readonly original: string
  /** Comments directly above, without `#`. */
  readonly comments: readonly string[]
  /** First and last line, from 1, heredocs included. */
  readonly startLine: number
  readonly endLine: number
}

export interface SyntaxTree {
  readonly nodes: readonly InstructionNode[]
  readonly escape: '\\' | '`'
  /** Instructions with empty lines among their continuations: the line, from 1, at which they end, and their text. */
  readonly emptyContinuations: readonly { readonly line: number; readonly text: string }[]
}

/** The form of BuildKit's own parser tests: `(run "make")`, flags in brackets, words quoted as Go does. */
export function formatNode(node: InstructionNode): string {
  const parts = [node.keyword.toLowerCase()]
  if (node.flags.length > 0) parts.push(`[${node.flags.map(quoteGo).join(' ')}]`)
  if (node.trigger !== undefined) parts.push(formatNode(node.trigger))
  return `(${[...parts, ...node.words.map(quoteGo)].join(' ')})`
}
