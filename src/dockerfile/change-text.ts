// The text forms that configuration instructions share: lines with continuations, JSON or shell commands, name=value words.

import { KauriError } from '../core/errors.ts'

/** Instructions, one each, with continuations joined and comments and empty lines left out. */
export function logicalLines(text: string): string[] {
  const lines: string[] = []
  let open = ''
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(?:#|$)/.test(line)) continue
    const continued = /^([^]*?)\\[ \t]*$/.exec(line)
    open += continued?.[1] ?? line
    if (continued !== null) continue
    lines.push(open.trim())
    open = ''
  }
  return open.trim() === '' ? lines : [...lines, open.trim()]
}

/** The strings of a JSON array; undefined for any text that is none. @throws USAGE where an item is no string */
export function jsonStrings(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(value)) return undefined
  const strings = value.filter(item => typeof item === 'string')
  if (strings.length !== value.length)
    throw new KauriError(
      'USAGE',
      'when using JSON array syntax, arrays must be comprised of strings only',
    )
  return strings
}

/** A command in either form; the shell gets the text as it was written. @throws USAGE for an empty one */
export function execOrShell(text: string, shell: readonly string[]): readonly string[] {
  if (text === '') throw new KauriError('USAGE', 'a command requires at least one argument')
  return jsonStrings(text) ?? [...shell, text]
}

/** Words as they stand, quotes and escapes kept; white space inside quotes does not split. */
function rawWords(text: string): string[] {
  return text.match(/(?:\\[^]|"(?:\\[^]|[^"\\])*"?|'[^']*'?|[^\s"'\\]|\\$)+/g) ?? []
}

/**
 * `a=1 b="2 3"`, or the old form with one name and the rest of the line as its value. Nothing is unquoted yet.
 * @throws USAGE
 */
export function nameValuePairs(instruction: string, text: string): [string, string][] {
  const words = rawWords(text)
  const [first] = words
  if (first === undefined)
    throw new KauriError('USAGE', `${instruction} requires at least one argument`)
  if (!first.includes('=')) {
    const value = text.slice(first.length).trim()
    if (value === '') throw new KauriError('USAGE', `${instruction} must have two arguments`)
    return [[first, value]]
  }
  return words.map(word => {
    const equals = word.indexOf('=')
    if (equals < 0)
      throw new KauriError(
        'USAGE',
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      )
    return [word.slice(0, equals), word.slice(equals + 1)]
  })
}
