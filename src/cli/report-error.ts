// A failure as people read it: what, where, the line it is about, and what to do. Loaded when something fails.

import { formatDiagnostic } from '../core/diagnostics.ts'
import { formatPosition, KauriError, redactCredentials } from '../core/errors.ts'
import { printable, printableLine } from './printable.ts'

const maxCauses = 8

/** The text for standard error, with its final line break. `debug` adds stack traces. */
export function describeError(error: unknown, debug: boolean): string {
  const lines =
    error instanceof KauriError ? describeKauriError(error) : describeUnexpected(error, debug)
  if (debug) lines.push(...stacks(error))
  return `${printable(redactCredentials(lines.join('\n')))}\n`
}

function describeKauriError(error: KauriError): string[] {
  const position = error.where === undefined ? undefined : formatPosition(error.where)
  const place =
    position === undefined || error.message.startsWith(position) || error.diagnostics.length > 0
      ? ''
      : `${position}: `
  return [
    `kauri: ${place}${error.message}`,
    ...becauses(error),
    ...outputLines(error.output),
    ...error.excerpt,
    ...error.diagnostics.map(formatDiagnostic),
    ...(error.hint === undefined ? [] : [`hint: ${error.hint}`]),
  ]
}

/** What a failed program said last. */
function outputLines(lines: readonly string[]): string[] {
  if (lines.length === 0) return []
  return ['its last output:', ...lines.map(line => `  | ${printableLine(line)}`)]
}

function describeUnexpected(error: unknown, debug: boolean): string[] {
  const message = error instanceof Error ? error.message : String(error)
  return [
    `kauri: unexpected error: ${message}`,
    ...becauses(error),
    ...(debug
      ? []
      : ['hint: run it again with --debug for the place in the code, and report both']),
  ]
}

/** What the causes say beyond what was said already. */
function becauses(error: unknown): string[] {
  let said = error instanceof Error ? error.message : ''
  const lines: string[] = []
  for (const cause of causesOf(error)) {
    const message = cause instanceof Error ? cause.message : String(cause)
    if (message === '' || said.includes(message)) continue
    lines.push(`  because: ${message}`)
    said += `\n${message}`
  }
  return lines
}

function stacks(error: unknown): string[] {
  return [error, ...causesOf(error)].flatMap((one, depth) => {
    if (!(one instanceof Error)) return [`${depth === 0 ? '' : 'caused by: '}${String(one)}`]
    const code = 'code' in one && typeof one.code === 'string' ? ` [${one.code}]` : ''
    return [`${depth === 0 ? '' : 'caused by: '}${one.stack ?? one.message}${code}`]
  })
}

function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = []
  let current = error
  while (current instanceof Error && current.cause !== undefined && causes.length < maxCauses) {
    current = current.cause
    causes.push(current)
  }
  return causes
}
