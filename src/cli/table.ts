// Columns of text as docker prints them: at least ten characters wide, three spaces between.

const minWidth = 10
const gap = 3

/** Lines of a table; the last column is not padded. */
export function tableLines(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  const lines = [headings, ...rows]
  const widths = headings.map((_, column) =>
    Math.max(minWidth, ...lines.map(line => (line[column] ?? '').length + gap)),
  )
  return lines.map(line =>
    line
      .map((cell, column) => (column === line.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join(''),
  )
}
