// Lists as docker prints them: a table of columns, a line of JSON for each row, or what a template says.

import { KauriError } from '../core/errors.ts'
import type { CommandContext } from './command.ts'
import { tableLines } from './table.ts'

/** Rows of a list, and what its columns are called. */
export interface Listing {
  /** Headings by the names of the fields in templates, such as `ID: 'CONTAINER ID'`. */
  readonly headings: Readonly<Record<string, string>>
  /** The columns of the table where no format is given. */
  readonly columns: readonly string[]
  /** Fields by name: text, or for templates alone a function such as `Label "key"`. */
  readonly rows: readonly Readonly<Record<string, unknown>>[]
}

/** `table`, `table TEMPLATE`, `json`, a template, or undefined for the table of the default columns. @throws USAGE */
export async function listingLines(
  { headings, columns, rows }: Listing,
  format: string | undefined,
): Promise<string[]> {
  if (format === undefined || format === '' || format === 'table') {
    const cells = rows.map(row => columns.map(column => textOf(row[column])))
    return tableLines(
      columns.map(column => headings[column] ?? column),
      cells,
    )
  }
  if (format === 'json') return rows.map(row => JSON.stringify(row))
  const { goTemplate } = await import('./template/go-template.ts')
  const isTable = /^table\s/.test(format)
  const text = isTable ? format.slice('table '.length) : format
  const template = goTemplate(
    text.replaceAll(String.raw`\t`, '\t').replaceAll(String.raw`\n`, '\n'),
  )
  const lines = rows.map(row => template.render(row))
  if (!isTable) return lines
  const [titles = [], ...cells] = [template.render(headingsOf(headings)), ...lines].map(line =>
    line.split('\t'),
  )
  return tableLines(titles, cells)
}

/** Prints a list; with `--json` all of it as one document. */
export async function printListing(
  context: CommandContext,
  listing: Listing,
  format: string | undefined,
): Promise<void> {
  if (context.json && format !== undefined)
    throw new KauriError('USAGE', '--json and --format exclude each other')
  for (const line of await listingLines(listing, format)) context.print(line)
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** In the head of a table functions such as `Label "key"` are called by their argument. */
function headingsOf(headings: Readonly<Record<string, string>>): object {
  return { ...headings, Label: (key: unknown) => String(key).toUpperCase() }
}
