// Splits a template into text and actions, and actions into words.

import { KauriError } from '../../core/errors.ts'
import type { Piece } from './template-syntax.ts'

/** A word of an action. A field stands without its dot; `joined` says that nothing is between it and the word before. */
export interface Token {
  readonly kind: 'field' | 'dot' | 'variable' | 'word' | 'text' | 'number' | 'sign'
  readonly text: string
  readonly joined: boolean
}

/** The error for a template that cannot be understood, or not be filled in. */
export function templateError(problem: string): KauriError {
  return new KauriError('USAGE', `the template of --format: ${problem}`, {
    hint: "write it as for docker, such as '{{.ID}} {{.Status}}', 'table {{.Names}}' or json",
  })
}

/** @throws USAGE where an action does not end, or has something in it that is no word */
export function splitTemplate(template: string): Piece[] {
  const pieces: Piece[] = []
  let rest = template
  for (;;) {
    const start = rest.indexOf('{{')
    if (start < 0) break
    const end = endOfAction(rest, start + 2)
    const inside = rest.slice(start + 2, end)
    const before = rest.slice(0, start)
    pieces.push({ kind: 'text', text: /^-\s/.test(inside) ? before.trimEnd() : before })
    rest = rest.slice(end + 2)
    if (/\s-$/.test(inside)) rest = rest.trimStart()
    const action = inside.replace(/^-\s/, '').replace(/\s-$/, '').trim()
    if (!action.startsWith('/*')) pieces.push({ kind: 'action', tokens: tokensOf(action) })
  }
  pieces.push({ kind: 'text', text: rest })
  return pieces.filter(piece => piece.kind !== 'text' || piece.text !== '')
}

/** Braces inside of quotes end nothing. */
function endOfAction(text: string, from: number): number {
  const quoted = /"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\]|\\.)'|\}\}/gu
  quoted.lastIndex = from
  for (let match = quoted.exec(text); match !== null; match = quoted.exec(text))
    if (match[0] === '}}') return match.index
  throw templateError('an action {{ has no end }}')
}

const tokenForms: readonly (readonly [Token['kind'], RegExp])[] = [
  ['text', /"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\]|\\.)'/uy],
  ['number', /[+-]?\d+(?:\.\d+)?/uy],
  ['field', /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ['dot', /\./uy],
  ['variable', /\$[\p{L}\p{N}_]*/uy],
  ['word', /[\p{L}_][\p{L}\p{N}_]*/uy],
  ['sign', /:=|[(),|=]/uy],
]

function tokensOf(action: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  let joined = false
  while (at < action.length) {
    const space = /\s+/uy
    space.lastIndex = at
    if (space.test(action)) {
      at = space.lastIndex
      joined = false
      continue
    }
    const token = tokenAt(action, at, joined)
    tokens.push(token.token)
    at = token.end
    joined = true
  }
  return tokens
}

function tokenAt(
  action: string,
  at: number,
  joined: boolean,
): { readonly token: Token; readonly end: number } {
  for (const [kind, form] of tokenForms) {
    form.lastIndex = at
    const [text] = form.exec(action) ?? []
    if (text === undefined) continue
    const end = at + text.length
    if (kind === 'text') return { token: { kind, text: unquoted(text), joined }, end }
    return { token: { kind, text: text.replace(/^[.$]/u, ''), joined }, end }
  }
  throw templateError(`${JSON.stringify(action.slice(at, at + 20))} is no word of a template`)
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '0': '\0' }

function unquoted(text: string): string {
  const inside = text.slice(1, -1)
  if (text.startsWith('`')) return inside
  return inside.replaceAll(/\\(u[\da-fA-F]{4}|x[\da-fA-F]{2}|.)/gu, (_, escape: string) =>
    escape.length > 1
      ? String.fromCodePoint(Number.parseInt(escape.slice(1), 16))
      : (escapes[escape] ?? escape),
  )
}
