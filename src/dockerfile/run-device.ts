// RUN --device: the name of a CDI device, and whether the step fails without it.

import { readCsvFields } from './csv-fields.ts'
import { parseGoBoolean } from './go-values.ts'
import { refused } from './instruction-flags.ts'
import { withSuggestion } from './suggestion.ts'

export interface RunDevice {
  /** `VENDOR/CLASS[=NAME]`. */
  readonly name: string
  readonly required: boolean
}

/** @throws DESCRIPTION_INVALID with BuildKit's words */
export function parseDevice(text: string): RunDevice {
  let device: RunDevice = { name: '', required: false }
  for (const field of readCsvFields(text, 'devices')) device = withField(device, field)
  return device
}

function withField(device: RunDevice, field: string): RunDevice {
  const equals = field.indexOf('=')
  const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase()
  const value = equals < 0 ? undefined : field.slice(equals + 1)
  if (key === 'required') return { ...device, required: readRequired(key, value) }
  if (key === 'name' && value !== undefined) {
    if (device.name !== '') throw refused(`device name already set to ${device.name}`)
    return { ...device, name: value }
  }
  if (device.name === '') return { ...device, name: field }
  if (value === undefined) throw refused(`invalid field '${field}' must be a key=value pair`)
  throw refused(withSuggestion(`unexpected key '${key}' in '${field}'`, key, ['name', 'required']))
}

function readRequired(key: string, value: string | undefined): boolean {
  if (value === undefined) return true
  const parsed = parseGoBoolean(value)
  if (parsed === undefined) throw refused(`invalid value for ${key}: ${value}`)
  return parsed
}
