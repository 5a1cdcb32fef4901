// Findings about input files as people read them: position, message, the line, a caret under the place, and what to do.

import { type Diagnostic, formatPosition } from './errors.ts'

const maxExcerptColumns = 120

/**
 * One finding as text of one to three lines and no final line break:
 * `config.xml:12:5: error: unknown element <packges>; did you mean <packages>? [element-unknown]`, the line, the caret.
 */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { severity, rule, message, hint, where, excerpt } = diagnostic
  const lines = [`${formatPosition(where)}: ${severity}: ${message} [${rule}]`]
  if (excerpt !== undefined && excerpt.trim() !== '')
    lines.push(...underline(excerpt, where.column))
  if (hint !== undefined) lines.push(`    hint: ${hint}`)
  return lines.join('\n')
}

/** Findings in the order of their places, file by file; equal ones once. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const byKey = new Map(
    diagnostics.map(one => [`${formatPosition(one.where)} ${one.message}`, one]),
  )
  return [...byKey.values()].toSorted(
    (a, b) =>
      compareText(a.where.file, b.where.file) ||
      a.where.line - b.where.line ||
      a.where.column - b.where.column,
  )
}

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** The line, cut to what fits around the column, and a caret below it; tabs are kept so that both lines align. */
function underline(excerpt: string, column: number): string[] {
  const characters = Array.from(excerpt, character =>
    isControl(character) ? '\u{fffd}' : character,
  )
  const from = Math.max(
    0,
    Math.min(column - 1 - maxExcerptColumns / 2, characters.length - maxExcerptColumns),
  )
  const shown = characters.slice(from, from + maxExcerptColumns)
  const before = characters
    .slice(from, column - 1)
    .map(character => (character === '\t' ? '\t' : ' '))
  return [`    ${shown.join('').trimEnd()}`, `    ${before.join('')}^`]
}

/** True for what would act on a terminal instead of being seen. */
function isControl(character: string): boolean {
  return /[\p{Cc}\p{Cf}]/u.test(character) && character !== '\t'
}
