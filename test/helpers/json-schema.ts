// As much of JSON schema (draft 4) as the image specification's schemas use.

import { readFileSync } from 'node:fs'
import path from 'node:path'

type Schema = Readonly<Record<string, unknown>>

/** What is wrong with a value, one line each; [] where it fits the schema in that file. */
export function schemaFindings(file: string, value: unknown): string[] {
  const root = read(file)
  return findings({ schema: root, root, directory: path.dirname(file) }, value, '$')
}

interface Place {
  readonly schema: Schema
  /** The document that `#/…` means. */
  readonly root: Schema
  readonly directory: string
}

function read(file: string): Schema {
  return JSON.parse(readFileSync(file, 'utf8'))
}

function resolve(place: Place, reference: string): Place {
  const [file = '', pointer = ''] = reference.split('#')
  const root = file === '' ? place.root : read(path.join(place.directory, file))
  let schema: unknown = root
  for (const word of pointer.split('/').filter(part => part !== '')) schema = Object(schema)[word]
  return { ...place, root, schema: Object(schema) }
}

function findings(place: Place, value: unknown, at: string): string[] {
  const { schema } = place
  if (typeof schema['$ref'] === 'string') return findings(resolve(place, schema['$ref']), value, at)
  return [
    ...typeFindings(schema['type'], value, at),
    ...numberFindings(schema, value, at),
    ...textFindings(schema, value, at),
    ...objectFindings(place, value, at),
    ...listFindings(place, value, at),
    ...choiceFindings(place, value, at),
  ]
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'integer' : typeof value
}

function typeFindings(type: unknown, value: unknown, at: string): string[] {
  if (type === undefined) return []
  const allowed = Array.isArray(type) ? type : [type]
  const actual = typeOf(value)
  return allowed.includes(actual) || (actual === 'integer' && allowed.includes('number'))
    ? []
    : [`${at} is ${actual}, not ${allowed.join(' or ')}`]
}

function numberFindings({ minimum, maximum }: Schema, value: unknown, at: string): string[] {
  if (typeof value !== 'number') return []
  const isLow = typeof minimum === 'number' && value < minimum
  const isHigh = typeof maximum === 'number' && value > maximum
  return isLow || isHigh ? [`${at} is ${value}`] : []
}

function textFindings(schema: Schema, value: unknown, at: string): string[] {
  const { pattern, enum: choices, format } = schema
  const wrong: string[] = []
  if (typeof value === 'string' && typeof pattern === 'string' && !new RegExp(pattern).test(value))
    wrong.push(`${at} does not match ${pattern}`)
  if (Array.isArray(choices) && !choices.includes(value))
    wrong.push(`${at} is none of ${choices.join(', ')}`)
  if (format === 'date-time' && Number.isNaN(Date.parse(String(value))))
    wrong.push(`${at} is no time`)
  return wrong
}

function objectFindings(place: Place, value: unknown, at: string): string[] {
  if (typeOf(value) !== 'object') return []
  const { required, properties, patternProperties } = place.schema
  const members = Object.entries(Object(value))
  const missing = (Array.isArray(required) ? required : [])
    .filter(key => !Object.hasOwn(Object(value), key))
    .map(key => `${at} lacks ${key}`)
  const byName = members.flatMap(([key, member]) => {
    const schema = Object(properties)[key]
    return schema === undefined ? [] : findings({ ...place, schema }, member, `${at}.${key}`)
  })
  const byPattern = Object.entries(Object(patternProperties)).flatMap(([pattern, schema]) =>
    members
      .filter(([key]) => new RegExp(pattern).test(key))
      .flatMap(([key, member]) =>
        findings({ ...place, schema: Object(schema) }, member, `${at}.${key}`),
      ),
  )
  return [...missing, ...byName, ...byPattern]
}

function listFindings(place: Place, value: unknown, at: string): string[] {
  if (!Array.isArray(value)) return []
  const { items, minItems } = place.schema
  const few =
    typeof minItems === 'number' && value.length < minItems ? [`${at} has too few items`] : []
  if (items === undefined) return few
  return [
    ...few,
    ...value.flatMap((item, index) =>
      findings({ ...place, schema: Object(items) }, item, `${at}[${index}]`),
    ),
  ]
}

function choiceFindings(place: Place, value: unknown, at: string): string[] {
  const { oneOf } = place.schema
  if (!Array.isArray(oneOf)) return []
  const fitting = oneOf.filter(schema => findings({ ...place, schema }, value, at).length === 0)
  return fitting.length === 1 ? [] : [`${at} fits ${fitting.length} of ${oneOf.length} choices`]
}
