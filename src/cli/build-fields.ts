// `KEY=VALUE,KEY=VALUE` texts of build options, with quotes as in a CSV line.

import { readCsvFields } from '../dockerfile/csv-fields.ts'
import { badValue, parseBoolean } from './option-values.ts'

/** The fields of one value; each must be taken before `end`. */
export interface OptionFields {
  /** Undefined where it was not given. */
  take(key: string): string | undefined
  /** @throws USAGE for a value that is none */
  takeBoolean(key: string): boolean | undefined
  /** All fields whose keys begin so, without the beginning. */
  takePrefixed(prefix: string): ReadonlyMap<string, string>
  /** @throws USAGE for what nobody took */
  end(): void
}

/** @throws USAGE for a field without `=`, and for a key that stands twice */
export function readFields(option: string, text: string): OptionFields {
  const fields = new Map<string, string>()
  for (const field of csvFields(option, text)) {
    const equals = field.indexOf('=')
    if (equals < 0) throw badValue(option, text, `"${field}" is no KEY=VALUE`)
    fields.set(field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1))
  }
  const take = (key: string): string | undefined => {
    const value = fields.get(key)
    fields.delete(key)
    return value
  }
  return {
    take,
    takeBoolean(key) {
      const value = take(key)
      return value === undefined ? undefined : parseBoolean(`${option} ${key}`, value)
    },
    takePrefixed(prefix) {
      const found = [...fields.keys()].filter(key => key.startsWith(prefix))
      return new Map(found.map(key => [key.slice(prefix.length), take(key) ?? '']))
    },
    end() {
      const [key] = fields.keys()
      if (key !== undefined) throw badValue(option, text, `"${key}" is not known here`)
    },
  }
}

/** The fields between commas. @throws USAGE */
export function csvFields(option: string, text: string): string[] {
  try {
    return readCsvFields(text, option)
  } catch (error) {
    throw badValue(option, text, error instanceof Error ? error.message : 'write KEY=VALUE,…')
  }
}

/** Lists that may be given as several options, as one with commas, or both. */
export function commaList(texts: readonly string[]): string[] {
  return texts
    .flatMap(text => text.split(','))
    .map(text => text.trim())
    .filter(text => text !== '')
}
