// Values of templates as Go prints and compares them, and the functions that docker's templates have.

import { templateError } from './template-tokens.ts'

/** A function of a template. */
export type TemplateFunction = (...values: readonly unknown[]) => unknown

/** What `{{.}}` prints. */
export function formatValue(value: unknown): string {
  if (value === undefined || value === null) return '<no value>'
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return `[${value.map(formatValue).join(' ')}]`
  if (typeof value === 'object') {
    const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    return `map[${entries.map(([key, one]) => `${key}:${formatValue(one)}`).join(' ')}]`
  }
  return JSON.stringify(value) ?? ''
}

/** False for nothing, zero, and what is empty. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return Boolean(value)
}

/** Go's JSON: what HTML would misread is escaped. */
function goJson(value: unknown): string {
  const text = JSON.stringify(value ?? null)
  return text.replaceAll(
    /[<>&\u2028\u2029]/gu,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  throw templateError(`${formatValue(value)} is no text`)
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string' || Array.isArray(value)) return value.length
  if (typeof value === 'object' && value !== null) return Object.keys(value).length
  throw templateError(`${formatValue(value)} has no length`)
}

/** An element of a list or map, and of what that is, and so on. @throws USAGE beyond the end of a list */
function indexed(value: unknown, ...keys: readonly unknown[]): unknown {
  return keys.reduce<unknown>((current, key) => {
    if (Array.isArray(current)) {
      const at = Number(key)
      if (at in current) return current[at]
      throw templateError(`index out of range: ${formatValue(key)}`)
    }
    if (typeof current === 'object' && current !== null)
      return Object.entries(current).find(([name]) => name === String(key))?.[1] ?? ''
    throw templateError(`${formatValue(current)} cannot be indexed`)
  }, value)
}

/** The verbs of Printf that make sense for what templates hold. */
function formatted(form: unknown, ...values: readonly unknown[]): string {
  let next = 0
  return textOf(form).replaceAll(
    /%([-+ 0]*)(\d*)(?:\.(\d+))?([a-zA-Z%])/gu,
    (whole, ...groups: readonly (string | undefined)[]) => {
      const [flags = '', width, precision, verb = ''] = groups
      if (verb === '%') return '%'
      if (next >= values.length) return `%!${verb}(MISSING)`
      const text = verbText(verb, values[next++], precision) ?? whole
      const size = Number(width)
      if (flags.includes('-')) return text.padEnd(size)
      return flags.includes('0') ? text.padStart(size, '0') : text.padStart(size)
    },
  )
}

function verbText(verb: string, value: unknown, precision: string | undefined): string | undefined {
  switch (verb) {
    case 's':
    case 'v':
    case 't':
      return precision === undefined ? formatValue(value) : formatValue(value).slice(0, +precision)
    case 'd':
      return formatValue(value)
    case 'q':
      return JSON.stringify(formatValue(value))
    case 'f':
      return Number(value).toFixed(Number(precision ?? 6))
    case 'x':
      return typeof value === 'number'
        ? value.toString(16)
        : Buffer.from(formatValue(value)).toString('hex')
    default:
      return undefined
  }
}

function compared(name: string, check: (order: number) => boolean): TemplateFunction {
  return (a, b) => {
    if (typeof a !== typeof b) throw templateError(`${name} compares values of one kind`)
    const [x, y] = [a, b]
    if (typeof x === 'number' && typeof y === 'number') return check(x - y)
    const [left, right] = [formatValue(x), formatValue(y)]
    return check(left < right ? -1 : left > right ? 1 : 0)
  }
}

/** By name; `and`, `or` and `not` give one of their values, as in Go. */
export const templateFunctions: Readonly<Record<string, TemplateFunction>> = {
  and: (...values) => values.find(value => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  not: value => !isTrue(value),
  eq: (first, ...others) => others.some(other => formatValue(other) === formatValue(first)),
  ne: (a, b) => formatValue(a) !== formatValue(b),
  lt: compared('lt', order => order < 0),
  le: compared('le', order => order <= 0),
  gt: compared('gt', order => order > 0),
  ge: compared('ge', order => order >= 0),
  len: lengthOf,
  index: indexed,
  slice: (value, from, to) =>
    Array.isArray(value)
      ? value.slice(Number(from ?? 0), to === undefined ? undefined : Number(to))
      : textOf(value).slice(Number(from ?? 0), to === undefined ? undefined : Number(to)),
  print: (...values) => values.map(formatValue).join(''),
  println: (...values) => `${values.map(formatValue).join(' ')}\n`,
  printf: formatted,
  json: goJson,
  split: (text, separator) => textOf(text).split(textOf(separator)),
  join: (list, separator) =>
    Array.isArray(list) ? list.map(formatValue).join(textOf(separator)) : formatValue(list),
  title: text => textOf(text).replace(/^./u, letter => letter.toUpperCase()),
  lower: text => textOf(text).toLowerCase(),
  upper: text => textOf(text).toUpperCase(),
  pad: (text, before, after) =>
    textOf(text) === ''
      ? ''
      : `${' '.repeat(Number(before))}${textOf(text)}${' '.repeat(Number(after))}`,
  truncate: (text, length) => Array.from(textOf(text)).slice(0, Number(length)).join(''),
}
