// Values as Go's standard library and docker's units read them; Dockerfiles take exactly these, with these refusals.

import { refused } from './instruction-flags.ts'

const trueWords = new Set(['1', 't', 'T', 'TRUE', 'true', 'True'])
const falseWords = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False'])

/** strconv.ParseBool; undefined for any other word. */
export function parseGoBoolean(text: string): boolean | undefined {
  if (trueWords.has(text)) return true
  return falseWords.has(text) ? false : undefined
}

/** strconv.ParseUint of 32 bits without a prefix; undefined for any other text. */
export function parseGoUint32(text: string, base: 8 | 10): number | undefined {
  if (!(base === 8 ? /^[0-7]{1,100}$/ : /^[0-9]{1,100}$/).test(text)) return undefined
  const value = Number.parseInt(text, base)
  return value <= 0xffff_ffff ? value : undefined
}

const unitPowers = 'kmgtp'

/** units.RAMInBytes: bytes with a binary unit, such as `64m` or `1.5 GiB`; undefined for any other text. */
export function parseGoBytes(text: string): number | undefined {
  const [, number = '', unit = '', tail = ''] =
    /^([+]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?) ?(?:([kmgtp])?(i?b)?)$/i.exec(text) ?? []
  if (number === '' || (unit === '' && tail.toLowerCase() === 'ib')) return undefined
  const power = unit === '' ? 0 : unitPowers.indexOf(unit.toLowerCase()) + 1
  const bytes = Math.trunc(Number(number) * 1024 ** power)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

const nanosecondsByUnit: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  '\u00b5s': 1e3,
  '\u03bcs': 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

/** Longest duration that Go's 64 bits hold. */
const maxNanoseconds = 2 ** 63

/** time.ParseDuration, such as `1m30s`, in nanoseconds. @throws DESCRIPTION_INVALID with Go's words */
export function parseGoDuration(text: string): number {
  const [, sign = '', rest = ''] = /^([+-]?)([^]*)$/.exec(text) ?? []
  if (rest === '0') return 0
  const invalid = refused(`time: invalid duration ${quoteGo(text)}`)
  if (rest === '') throw invalid
  const partForm = /(\d+(?:\.\d*)?|\.\d+)([^\d.]*)/gy
  let sum = 0
  let end = 0
  for (const [part, amount, unit = ''] of rest.matchAll(partForm)) {
    if (unit === '') throw refused(`time: missing unit in duration ${quoteGo(text)}`)
    const factor = Object.hasOwn(nanosecondsByUnit, unit) ? nanosecondsByUnit[unit] : undefined
    if (factor === undefined)
      throw refused(`time: unknown unit ${quoteGo(unit)} in duration ${quoteGo(text)}`)
    sum += Number(amount) * factor
    end += part.length
  }
  if (end !== rest.length || sum >= maxNanoseconds) throw invalid
  return Math.trunc(sign === '-' ? -sum : sum)
}

const shortEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}

/** A text in double quotes as Go's `%q` writes it. */
export function quoteGo(text: string): string {
  let quoted = ''
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0
    const short = shortEscapes[char]
    if (short !== undefined) quoted += short
    else if (code < 0x80) quoted += code < 0x20 || code === 0x7f ? `\\x${hex(code, 2)}` : char
    else if (/[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(char)) quoted += char
    else quoted += code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`
  }
  return `"${quoted}"`
}

function hex(code: number, width: number): string {
  return code.toString(16).padStart(width, '0')
}
