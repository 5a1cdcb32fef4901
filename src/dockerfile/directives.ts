// Parser directives: `# key=value` lines at the very top of a Dockerfile. Anything else ends them.

import { KauriError } from '../core/errors.ts'

export interface Directive {
  readonly name: 'syntax' | 'escape' | 'check'
  readonly value: string
  readonly line: number
}

const directiveForm = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/
const known = new Set(['syntax', 'escape', 'check'])

/** @throws DESCRIPTION_INVALID where one is given twice */
export function readDirectives(lines: readonly string[]): Directive[] {
  const found: Directive[] = []
  for (const [index, line] of lines.entries()) {
    const [, key = '', value = ''] = directiveForm.exec(line.replace(/[\r\n]+$/, '')) ?? []
    const name = key.toLowerCase()
    if (!isDirectiveName(name)) break
    if (found.some(directive => directive.name === name))
      throw new KauriError('DESCRIPTION_INVALID', `only one ${name} parser directive can be used`)
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
