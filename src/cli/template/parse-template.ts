// Reads a template: actions nest by `if`, `range` and `with`, which end at their `end`.

import type { Body, Call, Operand, Piece, Pipeline, TemplateNode } from './template-syntax.ts'
import { splitTemplate, type Token, templateError } from './template-tokens.ts'

/** @throws USAGE for what is no template */
export function parseTemplate(text: string): readonly TemplateNode[] {
  const reader = pieceReader(splitTemplate(text))
  const { nodes, stop } = readNodes(reader)
  if (stop !== undefined) throw templateError(`{{${stop.text}}} without a beginning`)
  return nodes
}

interface PieceReader {
  next(): Piece | undefined
}

function pieceReader(pieces: readonly Piece[]): PieceReader {
  let at = 0
  return { next: () => pieces[at++] }
}

/** Up to the end, or to the action that ends this body or begins its other half. */
function readNodes(reader: PieceReader): { nodes: TemplateNode[]; stop: Stop | undefined } {
  const nodes: TemplateNode[] = []
  for (let piece = reader.next(); piece !== undefined; piece = reader.next()) {
    if (piece.kind === 'text') {
      nodes.push(piece)
      continue
    }
    const [first, ...rest] = piece.tokens
    const word = first?.kind === 'word' ? first.text : ''
    if (word === 'end' || word === 'else') return { nodes, stop: { text: word, rest } }
    nodes.push(readAction(word, piece.tokens, reader))
  }
  return { nodes, stop: undefined }
}

interface Stop {
  readonly text: 'end' | 'else'
  /** What follows the word: `if X` behind `else`. */
  readonly rest: readonly Token[]
}

function readAction(word: string, tokens: readonly Token[], reader: PieceReader): TemplateNode {
  const rest = tokens.slice(1)
  switch (word) {
    case 'if':
    case 'with':
      return { kind: word, pipeline: parsePipeline(rest), body: readBody(reader) }
    case 'range': {
      const { names, pipeline } = readRange(rest)
      return { kind: 'range', names, pipeline: parsePipeline(pipeline), body: readBody(reader) }
    }
    default: {
      const [variable, sign, ...value] = tokens
      const isAssignment = sign?.kind === 'sign' && (sign.text === ':=' || sign.text === '=')
      if (variable?.kind === 'variable' && isAssignment)
        return { kind: 'assign', name: variable.text, pipeline: parsePipeline(value) }
      return { kind: 'print', pipeline: parsePipeline(tokens) }
    }
  }
}

function readRange(tokens: readonly Token[]): {
  readonly names: readonly string[]
  readonly pipeline: readonly Token[]
} {
  const sign = tokens.findIndex(({ kind, text }) => kind === 'sign' && text === ':=')
  if (sign < 0) return { names: [], pipeline: tokens }
  const names = tokens.slice(0, sign).filter(({ kind }) => kind === 'variable')
  if (names.length === 0 || names.length > 2)
    throw templateError('range takes one or two variables before :=')
  return { names: names.map(({ text }) => text), pipeline: tokens.slice(sign + 1) }
}

function readBody(reader: PieceReader): Body {
  const { nodes, stop } = readNodes(reader)
  if (stop === undefined) throw templateError('an if, range or with has no {{end}}')
  if (stop.text === 'end') return { nodes, otherwise: [] }
  const [next] = stop.rest
  if (next?.kind === 'word' && (next.text === 'if' || next.text === 'with'))
    return { nodes, otherwise: [readAction(next.text, stop.rest, reader)] }
  const otherwise = readNodes(reader)
  if (otherwise.stop?.text !== 'end') throw templateError('an {{else}} has no {{end}}')
  return { nodes, otherwise: otherwise.nodes }
}

function parsePipeline(tokens: readonly Token[]): Pipeline {
  const { pipeline, end } = readPipeline(tokens, 0)
  if (end < tokens.length) throw templateError(`${tokens[end]?.text} stands alone`)
  return pipeline
}

function readPipeline(
  tokens: readonly Token[],
  start: number,
): { readonly pipeline: Pipeline; readonly end: number } {
  const calls: Call[] = []
  let at = start
  for (;;) {
    const operands: Operand[] = []
    for (let token = tokens[at]; token !== undefined && !isEnd(token); token = tokens[at]) {
      const { operand, end } = readOperand(tokens, at)
      operands.push(operand)
      at = end
    }
    const [callee, ...rest] = operands
    if (callee === undefined) throw templateError('a value is missing')
    calls.push({ callee, arguments: rest })
    if (tokens[at]?.text !== '|' || tokens[at]?.kind !== 'sign') return { pipeline: calls, end: at }
    at++
  }
}

function isEnd({ kind, text }: Token): boolean {
  return kind === 'sign' && (text === '|' || text === ')')
}

function readOperand(
  tokens: readonly Token[],
  start: number,
): { readonly operand: Operand; readonly end: number } {
  const first = tokens[start]
  if (first === undefined) throw templateError('a value is missing')
  if (first.kind === 'field') return withFields({ kind: 'dot' }, tokens, start)
  if (first.kind === 'sign') {
    if (first.text !== '(') throw templateError(`${first.text} is in the wrong place`)
    const { pipeline, end } = readPipeline(tokens, start + 1)
    if (tokens[end]?.text !== ')') throw templateError('a ( has no )')
    return withFields({ kind: 'group', pipeline }, tokens, end + 1, true)
  }
  return withFields(baseOf(first), tokens, start + 1, true)
}

const constants: Readonly<Record<string, boolean | null>> = { true: true, false: false, nil: null }

function baseOf({ kind, text }: Token): Operand['base'] {
  switch (kind) {
    case 'dot':
    case 'field':
      return { kind: 'dot' }
    case 'variable':
      return { kind: 'variable', name: text }
    case 'number':
      return { kind: 'literal', value: Number(text) }
    case 'text':
      return { kind: 'literal', value: text }
    case 'word': {
      const value = Object.hasOwn(constants, text) ? constants[text] : undefined
      return value === undefined ? { kind: 'function', name: text } : { kind: 'literal', value }
    }
    case 'sign':
      throw templateError(`${text} is in the wrong place`)
    default:
      return kind satisfies never
  }
}

/** `.A.B`: fields that follow without a space. */
function withFields(
  base: Operand['base'],
  tokens: readonly Token[],
  start: number,
  mustJoin = false,
): { readonly operand: Operand; readonly end: number } {
  const fields: string[] = []
  let at = start
  for (let token = tokens[at]; token?.kind === 'field'; token = tokens[at]) {
    if (!token.joined && (mustJoin || fields.length > 0)) break
    fields.push(token.text)
    at++
  }
  return { operand: { base, fields }, end: at }
}
