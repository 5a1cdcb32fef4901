// One line of a .dockerignore as moby's pattern matcher understands it: Go's filepath.Match with `**` for any number of
// directories. Not gitignore: patterns are anchored at the context's root and a trailing slash means nothing.

import { KauriError } from '../core/errors.ts'

export interface IgnorePattern {
  /** Written with `!`: what it matches is taken in again. */
  readonly negated: boolean
  /** The cleaned pattern without `!`. */
  readonly text: string
  matches(path: string): boolean
}

/** @throws DESCRIPTION_INVALID for `!` alone and for patterns that are none */
export function compileIgnorePattern(line: string): IgnorePattern {
  const negated = line.startsWith('!')
  if (line === '!') throw new KauriError('DESCRIPTION_INVALID', 'illegal exclusion pattern: "!"')
  const text = negated ? line.slice(1) : line
  checkSyntax(text)
  return { negated, text, matches: createMatcher(text) }
}

/** Go's filepath.Clean for slash paths: no doubled slashes, `.` or inner `..`; empty becomes `.`. */
export function cleanPath(path: string): string {
  const rooted = path.startsWith('/')
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.length > 0 && parts.at(-1) !== '..') parts.pop()
    else if (!rooted) parts.push('..')
  }
  const joined = parts.join('/')
  return rooted ? `/${joined}` : joined || '.'
}

/** Refuses what Go's filepath.Match calls a bad pattern: open brackets, empty ranges, a backslash at the end. */
function checkSyntax(text: string): void {
  const bad = new KauriError('DESCRIPTION_INVALID', `syntax error in pattern: ${text}`)
  const chars = Array.from(text)
  let at = 0
  const readRangeEnd = (): void => {
    const char = chars[at++]
    if (char === undefined || char === '-' || char === ']') throw bad
    if (char === '\\' && chars[at++] === undefined) throw bad
    if (at >= chars.length) throw bad
  }
  while (at < chars.length) {
    const char = chars[at++]
    if (char === '\\' && chars[at++] === undefined) throw bad
    if (char !== '[') continue
    if (chars[at] === '^') at++
    for (let ranges = 0; ranges === 0 || chars[at] !== ']'; ranges++) {
      readRangeEnd()
      if (chars[at] !== '-') continue
      at++
      readRangeEnd()
    }
    at++
  }
}

function isPlain(part: string): boolean {
  return !/[*?[\]\\]/.test(part)
}

/** The plain forms that need no regular expression: a path, `dir/**`, and `**name`, which also matches inside names. */
function createMatcher(text: string): (path: string) => boolean {
  if (isPlain(text)) return path => path === text
  if (text.endsWith('**') && isPlain(text.slice(0, -2)) && text !== '**') {
    const prefix = text.slice(0, -2)
    return path => path.startsWith(prefix)
  }
  if (text.startsWith('**') && isPlain(text.slice(2))) {
    const suffix = text.slice(2)
    return path => path.endsWith(suffix) || (suffix.startsWith('/') && path === suffix.slice(1))
  }
  const expression = new RegExp(`^${toSource(Array.from(text))}$`, 'u')
  return path => expression.test(path)
}

function toSource(chars: readonly string[]): string {
  let source = ''
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? ''
    if (char === '*' && chars[at + 1] === '*') {
      at += chars[at + 2] === '/' ? 2 : 1
      source += at + 1 < chars.length ? '(?:[^\\n]*/)?' : '[^\\n]*'
    } else if (char === '*') source += '[^/]*'
    else if (char === '?') source += '[^/]'
    else if (char === '[') {
      const { source: set, end } = bracketSource(chars, at)
      source += set
      at = end
    } else if (char === '\\') source += RegExp.escape(chars[++at] ?? '\\')
    else source += RegExp.escape(char)
  }
  return source
}

/** A bracket expression; its syntax was checked, so it has an end. */
function bracketSource(chars: readonly string[], start: number): { source: string; end: number } {
  let at = start + 1
  const negated = chars[at] === '^'
  if (negated) at++
  let set = ''
  for (let members = 0; members === 0 || chars[at] !== ']'; members++) {
    const escaped = chars[at] === '\\'
    const char = chars[escaped ? at + 1 : at] ?? ''
    at += escaped ? 2 : 1
    set += char === '-' && !escaped ? '-' : RegExp.escape(char)
    if (at >= chars.length) break
  }
  return { source: `[${negated ? '^' : ''}${set}]`, end: at }
}
