// What the parser makes of a Dockerfile: one node for each instruction, with its words as written, before any meaning.

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
  /** Lines, from 1, at which an instruction with empty continuation lines ends. */
  readonly emptyContinuations: readonly number[]
}

/** The form of BuildKit's own parser tests: `(run "make")`, flags in brackets, words quoted as Go does. */
export function formatNode(node: InstructionNode): string {
  const parts = [node.keyword.toLowerCase()]
  if (node.flags.length > 0) parts.push(`[${node.flags.map(quoteGo).join(' ')}]`)
  if (node.trigger !== undefined) parts.push(formatNode(node.trigger))
  parts.push(...node.words.map(quoteGo))
  return `(${parts.join(' ')})`
}

const shortEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}

function quoteGo(text: string): string {
  let quoted = ''
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0
    const short = shortEscapes[char]
    if (short !== undefined) quoted += short
    else if (code < 0x80) quoted += code < 0x20 || code === 0x7f ? `\\x${hex(code, 2)}` : char
    else if (/[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(char)) quoted += char
    else quoted += code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`
  }
  return `"${quoted}"`
}

function hex(code: number, width: number): string {
  return code.toString(16).padStart(width, '0')
}
