// What `kauri gc --filter` chooses: the keys of docker's prune commands and of its builder.

import { formatFamiliar } from '../oci/reference.ts'
import type { StoredImage } from '../store/layout-reader.ts'
import { parseMoment } from './moments.ts'
import { badValue } from './option-values.ts'

/** Kinds of things that garbage collection frees. */
export const storedKinds = ['image', 'blob', 'tree', 'cache-mount', 'source', 'record'] as const
export type StoredKind = (typeof storedKinds)[number]

/** Something that takes room and may go. */
export interface StoredThing {
  readonly kind: StoredKind
  /** What it is found by. */
  readonly id: string
  /** In words for people, where that is more than the id. */
  readonly name?: string
  readonly bytes: number
  /** Last use, in milliseconds since 1970. */
  readonly usedMs: number
}

/** What is known of an image that is looked at. */
export interface FilteredImage {
  readonly names: readonly StoredImage[]
  readonly createdMs: number | undefined
  readonly labels: Readonly<Record<string, string>>
}

export interface GcFilters {
  /** True where images shall go: a filter speaks of what only they have. */
  readonly choosesImages: boolean
  /** Things used since stay, milliseconds since 1970; undefined: the usual ages. */
  readonly untilMs: number | undefined
  takesKind(kind: StoredKind): boolean
  takes(thing: Pick<StoredThing, 'kind' | 'id'>): boolean
  /** `isAll`: images with names, too, where no filter says which. */
  takesImage(image: FilteredImage, isAll: boolean): boolean
}

/** BuildKit's words for them. */
const otherKinds: Readonly<Record<string, StoredKind>> = {
  regular: 'tree',
  'exec.cachemount': 'cache-mount',
  'source.local': 'source',
  'source.http': 'source',
  'source.git.checkout': 'source',
}

/** Reads `KEY=VALUE` texts; all of them must fit, but of several types or ids one. @throws USAGE */
export function parseGcFilters(texts: readonly string[], nowMs: number): GcFilters {
  const kinds = new Set<StoredKind>()
  const ids: string[] = []
  const imageTests: ((image: FilteredImage) => boolean)[] = []
  let dangling: boolean | undefined
  let untilMs: number | undefined
  for (const text of texts) {
    const { key, value } = splitFilter(text)
    switch (key) {
      case 'type':
        kinds.add(parseKind(value))
        break
      case 'id':
        ids.push(value.replace(/^sha256:/, ''))
        break
      case 'dangling':
        dangling = parseTruth(value)
        break
      case 'label':
      case 'label!':
        imageTests.push(labelTest(value, key === 'label'))
        break
      case 'until':
      case 'unused-for':
        untilMs = Math.min(untilMs ?? Infinity, parseMoment(`--filter ${key}`, value, nowMs))
        break
      default:
        throw badValue(
          '--filter',
          text,
          'filter by dangling, id, label, label!, type, until or unused-for',
        )
    }
  }
  const choosesImages = dangling !== undefined || imageTests.length > 0
  const takesKind = (kind: StoredKind): boolean =>
    (kinds.size === 0 || kinds.has(kind)) && (!choosesImages || kind === 'image' || kind === 'blob')
  return {
    choosesImages: choosesImages || kinds.has('image'),
    untilMs,
    takesKind,
    takes: ({ kind, id }) =>
      takesKind(kind) && (ids.length === 0 || ids.some(start => hexPart(id).startsWith(start))),
    takesImage: (image, isAll) =>
      takesDangling(image, dangling ?? !isAll) &&
      (untilMs === undefined || (image.createdMs ?? 0) < untilMs) &&
      imageTests.every(test => test(image)),
  }
}

function splitFilter(text: string): { readonly key: string; readonly value: string } {
  // `label!=x` is a key of its own.
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (key !== undefined && value !== undefined) return { key, value }
  throw badValue('--filter', text, 'write KEY=VALUE')
}

function parseKind(text: string): StoredKind {
  const kind = otherKinds[text] ?? storedKinds.find(each => each === text)
  if (kind !== undefined) return kind
  throw badValue('--filter type', text, `write one of ${storedKinds.join(', ')}`)
}

function parseTruth(text: string): boolean {
  if (/^(?:1|t|true)$/i.test(text)) return true
  if (/^(?:0|f|false)$/i.test(text)) return false
  throw badValue('--filter dangling', text, 'write true or false')
}

function labelTest(value: string, isWanted: boolean): (image: FilteredImage) => boolean {
  const [, key = value, wanted] = /^([^=]*)=(.*)$/s.exec(value) ?? []
  return ({ labels }) => {
    const label = Object.hasOwn(labels, key) ? labels[key] : undefined
    const fits = label !== undefined && (wanted === undefined || label === wanted)
    return fits === isWanted
  }
}

/** `dangling=false` asks for any image that nobody uses, as docker has it. */
function takesDangling({ names }: FilteredImage, isDangling: boolean): boolean {
  return !isDangling || names.every(({ reference }) => reference === undefined)
}

function hexPart(id: string): string {
  return id.replace(/^sha256:/, '')
}

/** Names of an image for people; its digest where it has none. */
export function namesOf({ names }: FilteredImage): string[] {
  return names.map(({ reference, descriptor }) =>
    reference === undefined ? descriptor.digest : formatFamiliar(reference),
  )
}
