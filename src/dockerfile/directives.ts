// Parser directives: `# key=value` lines at the very top of a Dockerfile. Anything else ends them.

import { refused } from './instruction-flags.ts'
import { firstWord } from './lint-options.ts'
import { trimSpace, trimSpaceStart, withoutBreak } from './white-space.ts'

export interface Directive {
  readonly name: 'syntax' | 'escape' | 'check'
  readonly value: string
  readonly line: number
}

const directiveForm = /^([a-zA-Z][a-zA-Z0-9]*)\s*=([^]+)$/
const known = new Set(['syntax', 'escape', 'check'])

/** Directives as the parser takes them: they may be indented. One that is given twice is the last. */
export function readDirectives(lines: readonly string[]): Directive[] {
  return collectDirectives(lines, '#', true)
}

function collectDirectives(
  lines: readonly string[],
  comment: string,
  mayBeIndented: boolean,
): Directive[] {
  const found: Directive[] = []
  for (const [index, raw] of lines.entries()) {
    const line = withoutBreak(mayBeIndented ? trimSpaceStart(raw) : raw)
    if (!line.startsWith(comment)) break
    const directive = readDirective(trimSpaceStart(line.slice(comment.length)), index + 1)
    if (directive === undefined) break
    const isRepeated = found.some(({ name }) => name === directive.name)
    found.push(directive)
    if (isRepeated) break
  }
  return found
}

function readDirective(text: string, line: number): Directive | undefined {
  const [, key = '', value = ''] = directiveForm.exec(text) ?? []
  const name = key.toLowerCase()
  // A value of blanks alone is the last of them.
  return isDirectiveName(name)
    ? { name, value: trimSpace(value) || value.slice(-1), line }
    : undefined
}

function isDirectiveName(name: string): name is Directive['name'] {
  return known.has(name)
}

/** The escape character of a directive. @throws DESCRIPTION_INVALID for any other than backslash and backtick */
export function escapeOf({ value }: Directive): '\\' | '`' {
  if (value === '\\' || value === '`') return value
  throw refused(`invalid escape token '${value}' does not match \` or \\`)
}

/** The lines in which `check` and `syntax` are looked for: a `#!` line above them is passed over. */
function topLines(text: string): string[] {
  const lines = text
    .slice(0, maxDirectiveCharacters)
    .replace(/^\uFEFF/, '')
    .split('\n')
  return lines[0]?.startsWith('#!') === true ? lines.slice(1) : lines
}

/** Directives stand at the top; a whole file need not be split for them. */
const maxDirectiveCharacters = 65_536

function findDirective(
  lines: readonly string[],
  name: Directive['name'],
  comment: string,
): string | undefined {
  return collectDirectives(lines, comment, false).find(directive => directive.name === name)?.value
}

/** Options of the build checks that a Dockerfile asks for; empty: none. */
export function readCheckDirective(text: string): string {
  return firstWord(findDirective(topLines(text), 'check', '#') ?? '')
}

/** The frontend that a Dockerfile names, and its whole value; undefined where it names none. */
export function readSyntaxDirective(
  text: string,
): { readonly reference: string; readonly commandLine: string } | undefined {
  const lines = topLines(text)
  const value =
    findDirective(lines, 'syntax', '#') ??
    findDirective(lines, 'syntax', '//') ??
    syntaxOfJson(text)
  return value === undefined ? undefined : { reference: firstWord(value), commandLine: value }
}

/** A build definition in another language may be JSON with a member `syntax`. */
function syntaxOfJson(text: string): string | undefined {
  if (!/^\s*\{/.test(text)) return undefined
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('syntax' in value)) return undefined
    return typeof value.syntax === 'string' ? value.syntax : undefined
  } catch {
    return undefined
  }
}
