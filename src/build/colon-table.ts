// Account files: lines of fields with colons between them, named by the first field (passwd(5), group(5), shadow(5)).
// Lines that are not touched stay as they are, also those that are no records.

/** Records by name, in the order of their lines. */
export interface ColonTable {
  has(name: string): boolean
  /** Fields after the name. */
  get(name: string): readonly string[] | undefined
  /** Replaces the record's line, or adds one behind the last record. */
  set(name: string, fields: readonly string[]): void
  records(): Iterable<readonly [name: string, fields: readonly string[]]>
  /** The text, with a line break at its end where there is any line. */
  format(): string
}

/** Reads a table; every text is one. */
export function parseColonTable(text: string): ColonTable {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  const find = (name: string): number =>
    lines.findIndex(line => isRecord(line) && nameOf(line) === name)
  return {
    has: name => find(name) >= 0,
    get: name => lines[find(name)]?.split(':').slice(1),
    set: (name, fields) => {
      const line = [name, ...fields].join(':')
      const index = find(name)
      if (index >= 0) lines[index] = line
      else lines.splice(endOfRecords(lines), 0, line)
    },
    *records() {
      for (const line of lines) if (isRecord(line)) yield [nameOf(line), line.split(':').slice(1)]
    },
    format: () => lines.map(line => `${line}\n`).join(''),
  }
}

function nameOf(line: string): string {
  return line.split(':', 1)[0] ?? ''
}

/** Comments, empty lines and the `+` and `-` lines of NIS (nsswitch.conf(5), compat) are none. */
function isRecord(line: string): boolean {
  return line !== '' && !/^[#+-]/.test(line)
}

/** Before the `+` and `-` lines of NIS, which must stay last: what follows them is not looked at. */
function endOfRecords(lines: readonly string[]): number {
  const firstNis = lines.findIndex(line => /^[+-]/.test(line))
  return firstNis < 0 ? lines.length : firstNis
}
