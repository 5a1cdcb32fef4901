// The field format of Debian's world (deb822(5), deb-control(5)): stanzas of `Name: value` with continuation lines. It
// is the format of packages' control files, dpkg's status, repository indexes and apt's .sources files.

export interface ControlField {
  readonly name: string
  /** Continuation lines follow after a line break, without the blank they start with in the file. */
  readonly value: string
}

/** One paragraph: fields in file order, looked up without regard to case. */
export interface Stanza {
  readonly fields: readonly ControlField[]
  get(name: string): string | undefined
}

/** Reads stanzas; lines that start with `#` are comments, what is neither field nor continuation is skipped. */
export function parseStanzas(text: string): Stanza[] {
  const stanzas: Stanza[] = []
  let fields: { name: string; value: string }[] = []
  const finish = (): void => {
    if (fields.length > 0) stanzas.push(stanzaOf(fields))
    fields = []
  }
  for (const line of text.split('\n')) {
    if (line.trim() === '') finish()
    else if (line.startsWith('#')) continue
    else if (line.startsWith(' ') || line.startsWith('\t')) continueField(fields, line)
    else startField(fields, line)
  }
  finish()
  return stanzas
}

/** Makes a stanza of fields. */
export function stanzaOf(fields: readonly ControlField[]): Stanza {
  const byName = new Map(fields.map(field => [field.name.toLowerCase(), field.value]))
  return { fields, get: name => byName.get(name.toLowerCase()) }
}

/** Writes a stanza, without the empty line that separates it from the next. */
export function formatStanza({ fields }: Pick<Stanza, 'fields'>): string {
  return fields.map(formatField).join('')
}

function formatField({ name, value }: ControlField): string {
  const [first = '', ...rest] = value.split('\n')
  const start = first === '' ? `${name}:\n` : `${name}: ${first}\n`
  return start + rest.map(line => ` ${line}\n`).join('')
}

function startField(fields: { name: string; value: string }[], line: string): void {
  const colon = line.indexOf(':')
  if (colon <= 0) return
  fields.push({ name: line.slice(0, colon), value: line.slice(colon + 1).trim() })
}

function continueField(fields: { name: string; value: string }[], line: string): void {
  const field = fields.at(-1)
  if (field !== undefined) field.value += `\n${line.slice(1).trimEnd()}`
}

/** Names of the packages that a relation field speaks of, alternatives and virtual names among them; no versions. */
export function relationNames(value: string | undefined): string[] {
  if (value === undefined) return []
  return value
    .split(/[,|]/)
    .map(part => part.trim().split(/[\s(:[<]/, 1)[0] ?? '')
    .filter(name => name !== '')
}
