// Dockerfile text → syntax tree, as BuildKit's frontend reads it: continuations, comments between them, builder flags,
// heredocs. Meaning comes later: unknown instructions parse.

import { KauriError } from '../core/errors.ts'
import { escapeOf, readDirectives } from './directives.ts'
import { type Heredoc, heredocsOfLine } from './heredoc.ts'
import { refused } from './instruction-flags.ts'
import { blanks, readInstructionWords } from './instruction-words.ts'
import type { InstructionNode, SyntaxTree } from './syntax-tree.ts'
import { isSpace, trimBlanksEnd, trimSpace, trimSpaceStart, withoutBreak } from './white-space.ts'

/** Longest physical line in bytes. */
const maxLineBytes = 65_535

/** Far more than an image can have layers; what works on stages may then take time by the square. */
const maxInstructions = 10_000

/** @param file names the Dockerfile in errors. @throws DESCRIPTION_INVALID with file and line */
export function parseDockerfile(text: string, file: string): SyntaxTree {
  const lines = text.replace(/^\uFEFF/, '').split(/(?<=\n)/)
  const reader: LineReader = { lines, next: 0, place: undefined }
  try {
    return parseLines(reader)
  } catch (error) {
    if (!(error instanceof KauriError) || error.where !== undefined) throw error
    throw new KauriError(error.code, error.message, {
      hint: error.hint,
      where: { file, line: Math.max(1, reader.place ?? reader.next), column: 1 },
      cause: error,
    })
  }
}

interface LineReader {
  readonly lines: readonly string[]
  next: number
  /** The line that an error is about; undefined: the one that was read last. */
  place: number | undefined
}

function readLine(reader: LineReader): string | undefined {
  const line = reader.lines[reader.next]
  if (line === undefined || line === '') return undefined
  reader.next++
  const limit = line.endsWith('\n') ? maxLineBytes + 1 : maxLineBytes
  if (line.length * 3 > limit && Buffer.byteLength(line) > limit) {
    reader.place = undefined
    throw refused(`dockerfile line greater than max allowed size of ${maxLineBytes}`)
  }
  return line
}

function parseLines(reader: LineReader): SyntaxTree {
  const escape = readEscape(reader)
  const nodes: InstructionNode[] = []
  const emptyContinuations: { line: number; text: string }[] = []
  let comments: string[] = []
  for (let line = readLine(reader); line !== undefined; line = readLine(reader)) {
    const comment = commentOf(line)
    if (comment !== undefined) {
      if (comment === '') comments = []
      else comments.push(comment)
      continue
    }
    const startLine = reader.next
    reader.place = startLine
    const { joined, isContinued, hasEmptyLine } = joinContinuations(reader, line, escape)
    if (joined === '' && !isContinued) {
      reader.place = undefined
      continue
    }
    if (hasEmptyLine) emptyContinuations.push({ line: reader.next, text: joined })
    if (nodes.length === maxInstructions)
      throw refused(`dockerfile has more than ${maxInstructions} instructions`)
    const node = parseInstruction(joined, escape)
    const heredocs = mayHaveHeredocs(node) ? readHeredocs(reader, joined) : []
    nodes.push({ ...node, heredocs, comments, startLine, endLine: reader.next })
    comments = []
    reader.place = undefined
  }
  if (nodes.length === 0) throw refused('file with no instructions')
  return { nodes, escape, emptyContinuations }
}

/** The escape character that the directives choose; they are read past. */
function readEscape(reader: LineReader): '\\' | '`' {
  const directives = readDirectives(reader.lines)
  let escape: '\\' | '`' = '\\'
  for (const [index, directive] of directives.entries()) {
    const { name, line } = directive
    reader.place = line
    if (directives.slice(0, index).some(before => before.name === name))
      throw refused(`only one ${name} parser directive can be used`)
    if (name === 'escape') escape = escapeOf(directive)
  }
  reader.place = undefined
  reader.next = directives.length
  return escape
}

/** Text of a comment line, or undefined for other lines; an indented comment keeps its `#`, as in BuildKit. */
function commentOf(line: string): string | undefined {
  const content = withoutBreak(line)
  return trimSpaceStart(content).startsWith('#') ? trimSpace(content.slice(1)) : undefined
}

/** The instruction's line with all that continues it; only the first loses its leading white space. */
function joinContinuations(
  reader: LineReader,
  first: string,
  escape: '\\' | '`',
): { joined: string; isContinued: boolean; hasEmptyLine: boolean } {
  const start = cutContinuation(trimSpaceStart(withoutBreak(first)), escape)
  let { text: joined, continues } = start
  let hasEmptyLine = false
  while (continues) {
    const line = readLine(reader)
    if (line === undefined) break
    if (commentOf(line) !== undefined) continue
    const content = withoutBreak(line)
    if (trimSpaceStart(content) === '') {
      hasEmptyLine = true
      continue
    }
    const cut = cutContinuation(content, escape)
    joined += cut.text
    continues = cut.continues
  }
  return { joined, isContinued: start.continues, hasEmptyLine }
}

/** An escape character at the end of a line continues it, unless another one stands before it. */
function cutContinuation(line: string, escape: '\\' | '`'): { text: string; continues: boolean } {
  const trimmed = trimBlanksEnd(line)
  const continues = trimmed.endsWith(escape) && trimmed.at(-2) !== escape
  return continues ? { text: trimmed.slice(0, -1), continues } : { text: line, continues }
}

type BareNode = Omit<InstructionNode, 'heredocs' | 'comments' | 'startLine' | 'endLine'>

/** ONBUILD within ONBUILD is refused when it is understood; here it only must not fill the stack. */
const maxTriggers = 100

function parseInstruction(line: string, escape: '\\' | '`', depth = 0): BareNode {
  const trimmed = trimSpace(line)
  const blank = blanks.exec(trimmed)
  const keyword = blank === null ? trimmed : trimmed.slice(0, blank.index)
  const { flags, rest } = takeFlags(
    blank === null ? '' : trimmed.slice(blank.index + blank[0].length),
    escape,
  )
  const node = { keyword, flags, original: line }
  if (keyword.toLowerCase() !== 'onbuild')
    return { ...node, ...readInstructionWords(keyword, rest, escape) }
  if (rest === '') return { ...node, words: [], isJson: false }
  if (depth > maxTriggers) throw refused("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
  const trigger = { ...parseInstruction(rest, escape, depth + 1), heredocs: [], comments: [] }
  return { ...node, words: [], isJson: false, trigger: { ...trigger, startLine: 0, endLine: 0 } }
}

/** Takes the leading words that start with `--`; a bare `--` ends them. Quotes and escapes are resolved. */
function takeFlags(text: string, escape: '\\' | '`'): { flags: string[]; rest: string } {
  const flags: string[] = []
  let rest = trimSpaceStart(text)
  while (rest.startsWith('--')) {
    const { word, length } = readFlag(rest, escape)
    rest = trimSpaceStart(rest.slice(length))
    if (word === '--') break
    flags.push(word)
  }
  return { flags, rest: trimSpace(rest) }
}

function readFlag(text: string, escape: '\\' | '`'): { word: string; length: number } {
  let word = ''
  let quote = ''
  let at = 0
  for (; at < text.length; at++) {
    const char = text[at] ?? ''
    if (quote === '' && isSpace(char)) break
    if (char === escape) word += text[++at] ?? ''
    else if (char === quote) quote = ''
    else if (quote === '' && (char === '"' || char === "'")) quote = char
    else word += char
  }
  return { word, length: at }
}

const heredocInstructions = new Set(['add', 'copy', 'run'])

function mayHaveHeredocs(node: BareNode): boolean {
  const inner = node.trigger ?? node
  return heredocInstructions.has(inner.keyword.toLowerCase()) && !inner.isJson
}

function readHeredocs(reader: LineReader, joined: string): Heredoc[] {
  if (!joined.includes('<<')) return []
  return heredocsOfLine(joined).map(heredoc => {
    let content = ''
    for (let line = readLine(reader); line !== undefined; line = readLine(reader)) {
      const text = heredoc.chomp ? line.replace(/^\t+/, '') : line
      if (withoutBreak(text) === heredoc.name) return { ...heredoc, content }
      content += line
    }
    throw new KauriError('DESCRIPTION_INVALID', 'unterminated heredoc', {
      hint: `end it with a line that is just ${heredoc.name}`,
    })
  })
}
