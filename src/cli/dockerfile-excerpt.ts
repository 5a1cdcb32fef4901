// The lines of a Dockerfile that a failure is about, as BuildKit shows them.

import { KauriError, type SourcePosition } from '../core/errors.ts'
import type { FoundDockerfile } from './dockerfile-file.ts'

const linesAround = 4

/** The error with the lines it is about, where it is about the Dockerfile; anything else as it is. */
export function withExcerpt(error: unknown, dockerfile: FoundDockerfile): unknown {
  if (!(error instanceof KauriError) || error.where?.file !== dockerfile.name) return error
  const { code, message, hint, where, cause, output, diagnostics } = error
  // Findings show their own lines.
  if (diagnostics.length > 0) return error
  const excerpt = excerptOf(dockerfile.text, where)
  const copy = new KauriError(code, message, { hint, where, cause, output, diagnostics, excerpt })
  if (error.stack !== undefined) copy.stack = error.stack
  return copy
}

/** So much of a long instruction, and of a long line, is shown. */
const mostLines = 20
const mostCharacters = 300

/** The instruction's lines, marked, and some around them. */
export function excerptOf(text: string, where: SourcePosition): string[] {
  const lines = text.replace(/\r?\n$/, '').split(/\r?\n/)
  const first = Math.max(1, Math.min(where.line, lines.length))
  const whole = lastLineOf(lines, first)
  const last = Math.min(whole, first + mostLines - 1)
  const from = Math.max(1, first - linesAround)
  const to = whole > last ? last : Math.min(lines.length, last + linesAround)
  const rule = '-'.repeat(20)
  const shown = lines.slice(from - 1, to).map((line, index) => {
    const number = from + index
    const mark = number >= first && number <= last ? '>>>' : '   '
    return `${String(number).padStart(4)} | ${mark} ${cut(line)}`
  })
  const more = whole > last ? [`     | >>> … ${whole - last} more lines`] : []
  return [`${where.file}:${where.line}`, rule, ...shown, ...more, rule]
}

function cut(line: string): string {
  return line.length <= mostCharacters ? line : `${line.slice(0, mostCharacters)}…`
}

/** Lines that end in the escape character go on; comments and empty lines between them belong to them. */
function lastLineOf(lines: readonly string[], first: number): number {
  let last = first
  while (last < lines.length && /[\\`][ \t]*$/.test(lines[last - 1] ?? '')) {
    last++
    while (last < lines.length && /^\s*(?:#.*)?$/.test(lines[last - 1] ?? '')) last++
  }
  return last
}
