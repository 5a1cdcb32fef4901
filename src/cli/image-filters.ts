// The filters of `kauri images`, as docker has them.

import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { createdMsOf, labelsOf, type SummarizedImage } from '../image/image-summaries.ts'
import { hexOf } from '../oci/digest.ts'
import { familiarName, formatFamiliar, formatReference } from '../oci/reference.ts'
import { parseMoment } from './moments.ts'

/** True for images that are shown. */
export type ImageFilter = (image: SummarizedImage) => boolean

/** Finds the image that `before` and `since` name. @throws IMAGE_NOT_FOUND */
export type FindCreated = (name: string) => Promise<number>

/**
 * Reads `KEY=VALUE` texts. Of several references one must fit, of other filters all.
 * @throws USAGE, and what `findCreatedMs` throws
 */
export async function parseImageFilters(
  texts: readonly string[],
  findCreatedMs: FindCreated,
): Promise<ImageFilter[]> {
  const filters: ImageFilter[] = []
  const references: string[] = []
  for (const text of texts) {
    const equals = text.indexOf('=')
    const [key, value] = equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)]
    if (key === 'reference') references.push(value)
    else filters.push(await parseFilter(key, value, findCreatedMs))
  }
  return references.length === 0 ? filters : [...filters, nameFilter(references)]
}

async function parseFilter(
  key: string,
  value: string,
  findCreatedMs: FindCreated,
): Promise<ImageFilter> {
  switch (key) {
    case 'dangling':
      return danglingFilter(value)
    case 'label':
      return labelFilter(value)
    case 'before': {
      const limitMs = await findCreatedMs(value)
      return image => createdMsOf(image) < limitMs
    }
    case 'since': {
      const limitMs = await findCreatedMs(value)
      return image => createdMsOf(image) > limitMs
    }
    case 'until': {
      const limitMs = parseMoment('the filter until', value, Date.now())
      return image => createdMsOf(image) < limitMs
    }
    default:
      throw new KauriError('USAGE', `invalid filter '${key}'`, {
        hint: 'filter by before, dangling, label, reference, since or until',
      })
  }
}

function danglingFilter(value: string): ImageFilter {
  const wanted = value.toLowerCase()
  if (!['true', '1', 'false', '0'].includes(wanted))
    throw new KauriError('USAGE', `the filter dangling is true or false, not "${value}"`)
  const isDangling = wanted === 'true' || wanted === '1'
  return ({ reference }) => (reference === undefined) === isDangling
}

function labelFilter(value: string): ImageFilter {
  const equals = value.indexOf('=')
  const key = equals < 0 ? value : value.slice(0, equals)
  return ({ summary }) => {
    const label = (summary === undefined ? {} : labelsOf(summary))[key]
    return label !== undefined && (equals < 0 || label === value.slice(equals + 1))
  }
}

const idForm = /^(?:sha256:)?[0-9a-f]{4,64}$/

/** Fits one of the patterns: one without a tag fits every tag, one without a registry the short names, an ID the image. */
export function nameFilter(patterns: readonly string[]): ImageFilter {
  return ({ reference, descriptor }) => {
    const hex = hexOf(descriptor.digest)
    const names =
      reference === undefined
        ? []
        : [familiarName(reference), formatFamiliar(reference), formatReference(reference)]
    const withDigest = names.map(name => `${name}@${descriptor.digest}`)
    return patterns.some(
      pattern =>
        (idForm.test(pattern) && hex.startsWith(pattern.replace('sha256:', ''))) ||
        fitsName(pattern, pattern.includes('@') ? withDigest : names),
    )
  }
}

function fitsName(pattern: string, names: readonly string[]): boolean {
  return names.some(name => path.matchesGlob(name, pattern))
}
