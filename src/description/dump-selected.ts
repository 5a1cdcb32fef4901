// What a build takes of a description, as data to look at: values without their places.

import type { Json } from '../core/canonical-json.ts'
import type { SelectedDescription } from './select-description.ts'

/** The selected description as JSON; passwords are left out. */
export function dumpSelected(selected: SelectedDescription): Json {
  const { description, ...rest } = selected
  const { file, schemaVersion, author, contact, specification, files } = description
  const text = JSON.stringify(
    { file, schemaVersion, author, contact, specification, files, ...rest },
    plainValue,
  )
  const data: Json = JSON.parse(text)
  return data
}

function plainValue(key: string, value: unknown): unknown {
  if (key === 'where' || key === 'selector' || key === 'password') return undefined
  if (typeof value === 'object' && value !== null && 'value' in value && 'where' in value)
    return value.value
  return value
}
