// The small pattern language of `${name#pattern}`, `${name%pattern}` and `${name/pattern/text}` in Dockerfiles: `*` and
// `?` match, and a backslash makes `*`, `?`, `\`, `}` and `/` plain. There are no bracket expressions.

import { KauriError } from '../core/errors.ts'

type Token =
  | { readonly kind: 'any' }
  | { readonly kind: 'one' }
  | { readonly kind: 'text'; readonly char: string }

const escapable = new Set(['*', '?', '\\', '}', '/'])

/** @throws DESCRIPTION_INVALID for a backslash before anything else, or at the end */
function tokenize(pattern: string): Token[] {
  const tokens: Token[] = []
  const chars = Array.from(pattern)
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? ''
    if (char === '*') tokens.push({ kind: 'any' })
    else if (char === '?') tokens.push({ kind: 'one' })
    else if (char !== '\\') tokens.push({ kind: 'text', char })
    else {
      const next = chars[++at]
      if (next === undefined || !escapable.has(next))
        throw new KauriError(
          'DESCRIPTION_INVALID',
          `invalid pattern (${pattern}) in substitution: invalid escape '\\${next ?? ''}'`,
        )
      tokens.push({ kind: 'text', char: next })
    }
  }
  return tokens
}

function toSource(tokens: readonly Token[], greedy: boolean): string {
  return tokens
    .map(token => {
      if (token.kind === 'any') return greedy ? '.*' : '.*?'
      if (token.kind === 'one') return '.'
      return RegExp.escape(token.char)
    })
    .join('')
}

/** `${name#pattern}`, and with `greedy` `${name##pattern}`. */
export function trimPrefix(pattern: string, value: string, greedy: boolean): string {
  const match = new RegExp(`^${toSource(tokenize(pattern), greedy)}`, 'u').exec(value)
  return match === null ? value : value.slice(match[0].length)
}

/** `${name%pattern}`, and with `greedy` `${name%%pattern}`: matching backwards finds the shortest or longest end. */
export function trimSuffix(pattern: string, value: string, greedy: boolean): string {
  const backwards = toSource(tokenize(pattern).toReversed(), greedy)
  const reversed = Array.from(value).toReversed().join('')
  const match = new RegExp(`^${backwards}`, 'u').exec(reversed)
  return match === null ? value : value.slice(0, value.length - match[0].length)
}

/** `${name/pattern/replacement}`, and with `all` `${name//pattern/replacement}`. */
export function replacePattern(
  value: string,
  pattern: string,
  { replacement, all }: { readonly replacement: string; readonly all: boolean },
): string {
  const source = toSource(tokenize(pattern), true)
  if (all) return value.replace(new RegExp(source, 'gu'), match => expandGroups(replacement, match))
  return value.replace(new RegExp(source, 'u'), () => replacement)
}

/** In the replace-all form `$0` and `${0}` stand for the match and every other `$name` for nothing. */
function expandGroups(replacement: string, match: string): string {
  return replacement.replace(/\$(\$|\w+|\{\w+\})/g, (_, name: string) => {
    if (name === '$') return '$'
    return name.replace(/[{}]/g, '') === '0' ? match : ''
  })
}
