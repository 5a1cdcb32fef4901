// Reads untrusted JSON into typed values: bounded in size and depth first, then member by member with the path in the
// message. Go writes `null` for empty lists and maps, so null counts as absent everywhere.

import { type ErrorCode, KauriError } from '../core/errors.ts'
import { scanJson } from './json-scan.ts'

/** How much of a document is read at most. */
export interface JsonLimits {
  readonly maxBytes: number
  readonly maxDepth: number
  /** Documents that others read as well must mean the same to all of them. */
  readonly refusesDuplicates?: boolean
  /** Only in objects that are no deeper than this. */
  readonly duplicatesDownTo?: number
}

/** Registries and containerd take manifests up to 4 MiB; configurations of images with long histories stay below it too. */
export const documentLimits: JsonLimits = {
  maxBytes: 4 * 1024 * 1024,
  maxDepth: 32,
  refusesDuplicates: true,
}

/** An image layout's index may name many thousand images; every command reads it, so only its own members are looked at. */
export const layoutIndexLimits: JsonLimits = {
  maxBytes: 64 * 1024 * 1024,
  maxDepth: 32,
  refusesDuplicates: true,
  duplicatesDownTo: 1,
}

/** The same of a layout that comes from somebody else. */
export const foreignIndexLimits: JsonLimits = {
  maxBytes: 64 * 1024 * 1024,
  maxDepth: 32,
  refusesDuplicates: true,
}

/** Where a value stands: the document in people's words and the path inside it, such as `layers[0].size`. */
export interface JsonPlace {
  readonly document: string
  readonly path: string
  /** Code of the error that a wrong shape makes. */
  readonly code: ErrorCode
}

/** Reads one value at its place. @throws the place's code with the path */
export type ReadJson<T> = (value: unknown, place: JsonPlace) => T

/** Parses text of bounded size and depth. @throws the code: too large, too deep, or no JSON */
export function parseJsonText(
  bytes: Uint8Array,
  root: JsonPlace,
  limits: JsonLimits = documentLimits,
): unknown {
  if (bytes.byteLength > limits.maxBytes)
    throw new KauriError(
      root.code,
      `${root.document} has ${bytes.byteLength} bytes; at most ${limits.maxBytes} are read`,
    )
  const { depth, duplicateKey } = scanJson(bytes, limits)
  // Counted before parsing, so that nothing recursive sees a deep value.
  if (depth > limits.maxDepth)
    throw new KauriError(
      root.code,
      `${root.document} is nested deeper than ${limits.maxDepth} levels`,
    )
  if (duplicateKey !== undefined)
    throw new KauriError(
      root.code,
      `${root.document} has the member "${duplicateKey.slice(0, 80)}" twice in one object, so it could be read as two different things`,
    )
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new KauriError(root.code, `${root.document} is not valid JSON: ${errorText(error)}`, {
      cause: error,
    })
  }
}

/** The place of a whole document. */
export function documentPlace(document: string, code: ErrorCode): JsonPlace {
  return { document, path: '', code }
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 200) : String(error)
}

/** The error of a value that is not what its place asks for. */
export function wrongShape(place: JsonPlace, expected: string, value: unknown): KauriError {
  const where = place.path === '' ? '' : `${place.path}: `
  const got = value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80)
  return new KauriError(place.code, `${place.document}: ${where}expected ${expected}, got ${got}`)
}

export const readText: ReadJson<string> = (value, place) => {
  if (typeof value !== 'string') throw wrongShape(place, 'a string', value)
  return value
}

export const readBoolean: ReadJson<boolean> = (value, place) => {
  if (typeof value !== 'boolean') throw wrongShape(place, 'true or false', value)
  return value
}

/** A whole number from 0 that JavaScript holds exactly. */
export const readSize: ReadJson<number> = (value, place) => {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw wrongShape(place, 'a whole number from 0', value)
  return value
}

/** Any whole number, such as nanoseconds; beyond 2^53 it is rounded. */
export const readInteger: ReadJson<number> = (value, place) => {
  if (typeof value !== 'number' || !Number.isInteger(value))
    throw wrongShape(place, 'a whole number', value)
  return value
}

/** The members of an object: the value itself, which nobody changes. Stores read many thousand of them at each start. */
export function readMembers(value: unknown, place: JsonPlace): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw wrongShape(place, 'an object', value)
  return value
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Reader of a list whose items are all read the same way. */
export function listOf<T>(read: ReadJson<T>): ReadJson<readonly T[]> {
  return (value, place) => {
    if (!Array.isArray(value)) throw wrongShape(place, 'a list', value)
    return value.map((item: unknown, index) =>
      read(item, { ...place, path: `${place.path}[${index}]` }),
    )
  }
}

/** Reader of an object whose members are all read the same way. */
export function mapOf<T>(read: ReadJson<T>): ReadJson<Readonly<Record<string, T>>> {
  return (value, place) =>
    Object.fromEntries(
      Object.entries(readMembers(value, place)).map(([key, member]) => [
        key,
        read(member, memberPlace(place, key)),
      ]),
    )
}

/** One object being read: members that must be there and members that may be. */
export interface ObjectReader {
  readonly place: JsonPlace
  required<T>(key: string, read: ReadJson<T>): T
  /** undefined where the member is missing or null. */
  optional<T>(key: string, read: ReadJson<T>): T | undefined
}

/** Reads the members that it is asked for. @throws the place's code also where two of them differ only by case, which Go takes for one */
export function objectReader(value: unknown, place: JsonPlace): ObjectReader {
  const members = readMembers(value, place)
  requireDistinct(Object.keys(members), place)
  return {
    place,
    required: (key, read) => read(members[key], memberPlace(place, key)),
    optional: (key, read) => {
      const member = members[key]
      return member === undefined || member === null
        ? undefined
        : read(member, memberPlace(place, key))
    },
  }
}

function requireDistinct(keys: readonly string[], place: JsonPlace): void {
  // Compared by length first: this runs for every object of every document, and a set of folded keys would take a third
  // of the time of reading an index.
  for (let at = 1; at < keys.length; at++) {
    const key = keys[at] ?? ''
    for (let before = 0; before < at; before++) {
      const other = keys[before] ?? ''
      if (other.length !== key.length || other.toLowerCase() !== key.toLowerCase()) continue
      throw new KauriError(
        place.code,
        `${place.document}: ${memberPlace(place, key).path} stands there twice but for the case of its letters, so it could be read as two different things`,
      )
    }
  }
}

function memberPlace(place: JsonPlace, key: string): JsonPlace {
  const name = key.slice(0, 80)
  return { ...place, path: place.path === '' ? name : `${place.path}.${name}` }
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** The same object without its undefined members; keys are those of the program, never of a document. */
export function definedMembers<T extends object>(value: T): Defined<T> {
  const defined: Record<string, unknown> = {}
  for (const key in value) if (value[key] !== undefined) defined[key] = value[key]
  return defined as Defined<T>
}
