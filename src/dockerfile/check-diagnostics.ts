// Findings of build checks, and errors of the front end, as diagnostics that people read: with the line and a place in it.

import {
  type Diagnostic,
  type KauriError,
  redactCredentials,
  type SourcePosition,
} from '../core/errors.ts'
import { brokenDockerfile } from './check-rules.ts'
import type { CheckFinding } from './linter.ts'

/** The Dockerfile that findings are about. */
export interface CheckedText {
  readonly file: string
  readonly text: string
}

/** Longer lines are not shown. */
const maxExcerptCharacters = 2000

/**
 * Findings in their order; `isError` where the Dockerfile asked for findings to make the build fail.
 * The column is that of what the finding quotes, or of the line's first word.
 */
export function checkDiagnostics(
  findings: readonly CheckFinding[],
  { file, text }: CheckedText,
  isError = false,
): Diagnostic[] {
  const lines = text.split('\n')
  return findings.map(finding => {
    const { line, column } = placeOf(finding, lines)
    return {
      severity: isError ? 'error' : 'warning',
      rule: finding.rule,
      message: redactCredentials(finding.detail),
      where: { file, line, column },
      ...excerptOf(lines, line),
    }
  })
}

/** What made reading or lowering a Dockerfile fail; other files than this one keep their own position. */
export function errorDiagnostic(error: KauriError, { file, text }: CheckedText): Diagnostic {
  const lines = text.split('\n')
  const where = error.where ?? { file, line: 1, column: 1 }
  return {
    severity: 'error',
    rule: brokenDockerfile,
    message: error.message.replace(/^dockerfile parse error on line \d+: /, ''),
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    where: where.file === file ? { ...where, column: columnOf(lines, where) } : where,
    ...(where.file === file ? excerptOf(lines, where.line) : {}),
  }
}

function columnOf(lines: readonly string[], { line, column }: SourcePosition): number {
  return column > 1 ? column : firstColumn(lines[line - 1] ?? '')
}

function excerptOf(lines: readonly string[], line: number): Pick<Diagnostic, 'excerpt'> {
  const excerpt = lines[line - 1]?.replace(/\r$/, '')
  return excerpt === undefined || excerpt.length > maxExcerptCharacters
    ? {}
    : { excerpt: redactCredentials(excerpt) }
}

/** Where in the instruction the quoted word of a finding stands: as a variable, or as it is. */
function placeOf(
  { detail, startLine, endLine }: CheckFinding,
  lines: readonly string[],
): { line: number; column: number } {
  const quoted = /'([^']+)'|"([^"]+)"/.exec(detail)
  const word = (quoted?.[1] ?? quoted?.[2] ?? '').replace(/^\$/, '')
  const forms = word === '' ? [] : [`$${word}`, `\${${word}`, word]
  for (const form of forms)
    for (let line = startLine; line <= Math.min(endLine, startLine + maxSearchedLines); line++) {
      const index = lines[line - 1]?.indexOf(form) ?? -1
      if (index >= 0) return { line, column: charactersBefore(lines[line - 1] ?? '', index) + 1 }
    }
  return { line: startLine, column: firstColumn(lines[startLine - 1] ?? '') }
}

/** Instructions with here-documents can be long. */
const maxSearchedLines = 100

function firstColumn(line: string): number {
  return charactersBefore(line, line.length - line.trimStart().length) + 1
}

/** Columns count characters, not UTF-16 units. */
function charactersBefore(line: string, index: number): number {
  return Array.from(line.slice(0, index)).length
}
