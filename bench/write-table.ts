// Puts a table into a page, between its two marks.

import { readFile, writeFile } from 'node:fs/promises'
import { formatTable, type Line } from './table.ts'

const begin = '<!-- bench:begin -->'
const end = '<!-- bench:end -->'

/** Replaces what is between the marks of the page. */
export async function writeTable(
  file: string,
  lines: readonly Line[],
  machine: string,
): Promise<void> {
  const page = await readFile(file, 'utf8')
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`${file} has no lines ${begin} and ${end}`)
  const before = page.slice(0, from + begin.length)
  await writeFile(file, `${before}\n\n${machine}\n\n${formatTable(lines)}\n\n${page.slice(to)}`)
}
