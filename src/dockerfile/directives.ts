// Parser directives: `# key=value` lines at the very top of a Dockerfile. Anything else ends them.

import { KauriError } from '../core/errors.ts'
import { firstWord } from './lint-options.ts'

export interface Directive {
  readonly name: 'syntax' | 'escape' | 'check'
  readonly value: string
  readonly line: number
}

const directiveForm = /^([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/
const known = new Set(['syntax', 'escape', 'check'])

/** Directives as the parser takes them: they may be indented. @throws DESCRIPTION_INVALID where one is given twice */
export function readDirectives(lines: readonly string[]): Directive[] {
  return collectDirectives(
    lines.map(line => line.trimStart()),
    '#',
  )
}

function collectDirectives(lines: readonly string[], comment: string): Directive[] {
  const found: Directive[] = []
  for (const [index, line] of lines.entries()) {
    if (!line.startsWith(comment)) break
    const text = line
      .slice(comment.length)
      .trimStart()
      .replace(/[\r\n]+$/, '')
    const [, key = '', value = ''] = directiveForm.exec(text) ?? []
    const name = key.toLowerCase()
    if (!isDirectiveName(name)) break
    if (found.some(directive => directive.name === name))
      throw new KauriError('DESCRIPTION_INVALID', `only one ${name} parser directive can be used`, {
        hint: `line ${index + 1} gives it again`,
      })
    found.push({ name, value, line: index + 1 })
  }
  return found
}

function isDirectiveName(name: string): name is Directive['name'] {
  return known.has(name)
}

/** The escape character that the directives choose. @throws DESCRIPTION_INVALID for any other than backslash and backtick */
export function escapeOf(directives: readonly Directive[]): '\\' | '`' {
  const value = directives.find(directive => directive.name === 'escape')?.value ?? '\\'
  if (value !== '\\' && value !== '`')
    throw new KauriError(
      'DESCRIPTION_INVALID',
      `invalid escape token '${value}' does not match \` or \\`,
    )
  return value
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
  try {
    return collectDirectives(lines, comment).find(directive => directive.name === name)?.value
  } catch {
    return undefined
  }
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
