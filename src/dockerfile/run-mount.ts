// RUN --mount: one mount, written as comma-separated `key=value` fields. Fields are read in order, so that `required` and
// `size` are judged by the type that was named before them, as in BuildKit.

import { readCsvFields } from './csv-fields.ts'
import { parseGoBoolean, parseGoBytes, parseGoUint32, quoteGo } from './go-values.ts'
import { refused } from './instruction-flags.ts'
import { withSuggestion } from './suggestion.ts'

const mountTypes = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'] as const
const sharingModes = ['shared', 'private', 'locked'] as const

export type MountType = (typeof mountTypes)[number]
export type CacheSharing = (typeof sharingModes)[number]

/** A mount as written; texts are empty where they were not given, and defaults are the caller's to take. */
export interface MountOptions {
  readonly type: MountType
  /** A stage, an image or a named context; never a variable. */
  readonly from: string
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
  readonly sizeBytes?: number
  readonly id: string
  readonly sharing?: CacheSharing
  readonly required: boolean
  /** Variable that a secret comes in; empty: named as the secret. */
  readonly variable?: string
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
}

/** What is known of a mount while its fields are read. */
type Draft = { type: MountType } & { -readonly [Key in keyof MountOptions]?: MountOptions[Key] }

/**
 * A mount with its variables expanded. @throws DESCRIPTION_INVALID with BuildKit's words
 * @param expand replaces the variables of one value
 */
export function parseMount(text: string, expand: (word: string) => string): MountOptions {
  const draft: Draft = { type: 'bind' }
  for (const field of readCsvFields(text, 'mounts')) {
    const equals = field.indexOf('=')
    if (equals < 0) readBareField(draft, field)
    else {
      const key = field.slice(0, equals).toLowerCase()
      const read = Object.hasOwn(fieldReaders, key) ? fieldReaders[key] : undefined
      const value = expand(field.slice(equals + 1))
      if (read === undefined) throw unknownKey(key, field)
      read(draft, value, key)
    }
  }
  return finishMount(draft)
}

/** Refuses what can be refused before variables are known: broken quotes, and a variable in `from`. @throws DESCRIPTION_INVALID */
export function checkMountForm(text: string): void {
  for (const field of readCsvFields(text, 'mounts')) {
    const [, value = ''] = /^from=([^]*)$/i.exec(field) ?? []
    const dollar = value.indexOf('$')
    if (dollar >= 0 && dollar !== value.length - 1)
      throw refused("'from' doesn't support variable expansion, define alias stage instead")
  }
}

type FieldReader = (draft: Draft, value: string, key: string) => void

const readFrom: FieldReader = (draft, value) => {
  draft.from = value
}
const readSource: FieldReader = (draft, value) => {
  draft.source = value
}
const readTarget: FieldReader = (draft, value) => {
  draft.target = value
}
const readReadOnly: FieldReader = (draft, value, key) => {
  draft.readOnly = booleanOf(value, key)
}
const readWritable: FieldReader = (draft, value, key) => {
  draft.readOnly = !booleanOf(value, key)
}

const fieldReaders: Readonly<Record<string, FieldReader>> = {
  type: (draft, value) => {
    draft.type = wordOf(mountTypes, value, 'mount type')
  },
  from: readFrom,
  source: readSource,
  target: readTarget,
  readonly: readReadOnly,
  id: (draft, value) => {
    draft.id = value
  },
  sharing: (draft, value) => {
    draft.sharing = wordOf(sharingModes, value, 'sharing value')
  },
  required: (draft, value, key) => {
    requireType(draft, key, ['secret', 'ssh'])
    draft.required = booleanOf(value, key)
  },
  size: (draft, value, key) => {
    requireType(draft, key, ['tmpfs'])
    const bytes = parseGoBytes(value)
    if (bytes === undefined) throw refused(`invalid value for ${key}: ${value}`)
    draft.sizeBytes = bytes
  },
  mode: (draft, value, key) => {
    draft.mode = numberOf(value, key, 8)
  },
  uid: (draft, value, key) => {
    draft.uid = numberOf(value, key, 10)
  },
  gid: (draft, value, key) => {
    draft.gid = numberOf(value, key, 10)
  },
  src: readSource,
  dst: readTarget,
  destination: readTarget,
  ro: readReadOnly,
  rw: readWritable,
  readwrite: readWritable,
  env: (draft, value) => {
    draft.variable = value
  },
}

function readBareField(draft: Draft, field: string): void {
  const key = field.toLowerCase()
  if (key === 'readonly' || key === 'ro') draft.readOnly = true
  else if (key === 'readwrite' || key === 'rw') draft.readOnly = false
  else if (key === 'required') {
    requireType(draft, key, ['secret', 'ssh'])
    draft.required = true
  } else throw refused(`invalid field '${field}' must be a key=value pair`)
}

function requireType(draft: Draft, key: string, types: readonly MountType[]): void {
  if (!types.includes(draft.type))
    throw refused(`unexpected key '${key}' for mount type '${draft.type}'`)
}

function wordOf<Word extends string>(words: readonly Word[], value: string, what: string): Word {
  const found = words.find(word => word === value.toLowerCase())
  if (found === undefined)
    throw refused(withSuggestion(`unsupported ${what} ${quoteGo(value)}`, value, words))
  return found
}

function booleanOf(value: string, key: string): boolean {
  const parsed = parseGoBoolean(value)
  if (parsed === undefined) throw refused(`invalid value for ${key}: ${value}`)
  return parsed
}

function numberOf(value: string, key: string, base: 8 | 10): number {
  const number = parseGoUint32(value, base)
  if (number === undefined) throw refused(`invalid value ${value} for ${key}`)
  return number
}

function unknownKey(key: string, field: string): Error {
  return refused(
    withSuggestion(`unexpected key '${key}' in '${field}'`, key, Object.keys(fieldReaders)),
  )
}

function finishMount(draft: Draft): MountOptions {
  const { type } = draft
  if (type === 'bind' || type === 'tmpfs')
    for (const key of ['mode', 'uid', 'gid'] as const)
      if (draft[key] !== undefined) throw refused(`${key} not allowed for "${type}" type mounts`)
  if (type === 'secret') checkSecret(draft)
  if (draft.sharing !== undefined && type !== 'cache')
    throw refused(`invalid cache sharing set for ${type} mount`)
  const readOnly = type !== 'cache' && type !== 'tmpfs'
  return { from: '', source: '', target: '', id: '', required: false, readOnly, ...draft }
}

function checkSecret({ from = '', source = '', target = '', id = '', sharing }: Draft): void {
  if (from !== '') throw refused('secret mount should not have a from')
  if (sharing !== undefined) throw refused('secret mount should not define sharing')
  if (source === '' && target === '' && id === '')
    throw refused('invalid secret mount. one of source, target required')
  if (source !== '' && id !== '') throw refused("both source and id can't be set")
}
