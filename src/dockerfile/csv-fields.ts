// One line of comma-separated values with quotes, as Go's encoding/csv reads it: the form of --mount and --device.

import { refused } from './instruction-flags.ts'

/** The fields of a line; `what` is named in refusals. @throws DESCRIPTION_INVALID with Go's words */
export function readCsvFields(line: string, what: string): string[] {
  const text = line.replace(/\r?\n$/, '')
  if (text === '') throw refused(`failed to parse csv ${what}: EOF`)
  const fields: string[] = []
  let at = 0
  for (;;) {
    const { field, end } =
      text[at] === '"' ? readQuotedField(text, at, what) : readPlainField(text, at, what)
    fields.push(field)
    if (end >= text.length) return fields
    at = end + 1
  }
}

interface Field {
  readonly field: string
  /** Index of the comma behind the field, or the line's length. */
  readonly end: number
}

function readPlainField(text: string, start: number, what: string): Field {
  const comma = text.indexOf(',', start)
  const end = comma < 0 ? text.length : comma
  const field = text.slice(start, end)
  const quote = field.indexOf('"')
  if (quote >= 0) throw badQuote(what, start + quote, 'bare " in non-quoted-field')
  return { field, end }
}

function readQuotedField(text: string, start: number, what: string): Field {
  let field = ''
  let at = start + 1
  for (;;) {
    const quote = text.indexOf('"', at)
    if (quote < 0) throw badQuote(what, at, 'extraneous or missing " in quoted-field')
    field += text.slice(at, quote)
    at = quote + 1
    if (at >= text.length || text[at] === ',') return { field, end: at }
    if (text[at] !== '"') throw badQuote(what, quote, 'extraneous or missing " in quoted-field')
    field += '"'
    at++
  }
}

function badQuote(what: string, index: number, reason: string): Error {
  return refused(
    `failed to parse csv ${what}: parse error on line 1, column ${index + 1}: ${reason}`,
  )
}
