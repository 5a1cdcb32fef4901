// WWW-Authenticate (RFC 9110 section 11.6.1): several challenges in one header or in several, with tokens or quoted strings
// as values. Registries write it in many ways, so reading never fails: what is not understood is left out.

/** One way to authenticate that a server offers; names are lower case. */
export interface Challenge {
  readonly scheme: string
  readonly parameters: ReadonlyMap<string, string>
}

const tokenForm = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y
const token68Form = /[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))/y
const spaceForm = /[ \t]*/y
const separatorForm = /[ \t,]*/y
const quotedForm = /"((?:[^"\\]|\\.)*)"/y

/** A header is longer than this only to waste somebody's time. */
const maxHeaderLength = 16 * 1024

/** The challenges of all WWW-Authenticate headers of an answer, in their order. */
export function parseChallenges(headers: readonly string[]): Challenge[] {
  return headers.flatMap(header => parseHeader(header.slice(0, maxHeaderLength)))
}

interface Cursor {
  readonly text: string
  at: number
}

function parseHeader(text: string): Challenge[] {
  const cursor: Cursor = { text, at: 0 }
  const challenges: Challenge[] = []
  for (;;) {
    take(cursor, separatorForm)
    const scheme = take(cursor, tokenForm)
    if (scheme === undefined) return challenges
    take(cursor, spaceForm)
    challenges.push({ scheme: scheme.toLowerCase(), parameters: parseParameters(cursor) })
  }
}

/** Up to the next word without `=`, which is another scheme. */
function parseParameters(cursor: Cursor): Map<string, string> {
  const parameters = new Map<string, string>()
  for (;;) {
    const before = cursor.at
    take(cursor, separatorForm)
    const parameter = parseParameter(cursor)
    if (parameter === undefined) {
      cursor.at = before
      // `Negotiate dG9rZW4=`: nothing that a registry client can use.
      if (parameters.size === 0) take(cursor, token68Form)
      return parameters
    }
    const [name, value] = parameter
    if (!parameters.has(name)) parameters.set(name, value)
  }
}

function parseParameter(cursor: Cursor): [string, string] | undefined {
  const name = take(cursor, tokenForm)
  if (name === undefined) return undefined
  take(cursor, spaceForm)
  if (cursor.text[cursor.at] !== '=') return undefined
  cursor.at++
  take(cursor, spaceForm)
  const quoted = take(cursor, quotedForm)
  const value = quoted?.slice(1, -1).replaceAll(/\\(.)/g, '$1') ?? take(cursor, tokenForm)
  return value === undefined ? undefined : [name.toLowerCase(), value]
}

function take(cursor: Cursor, form: RegExp): string | undefined {
  form.lastIndex = cursor.at
  const found = form.exec(cursor.text)?.[0]
  if (found === undefined) return undefined
  cursor.at += found.length
  return found
}
