// What lists say of images, remembered by the digests of their manifests: reading two documents of each image would make
// a list of ten thousand take seconds. The record can be lost at any time, and is then made anew.

import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { writeCacheRecord } from '../core/atomic-file.ts'
import { namesIn } from '../core/directory-names.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { hexOf } from '../oci/digest.ts'
import { documentPlace, mapOf, parseJsonText, readText } from '../oci/json-shape.ts'
import { isIndexType, isManifestType, parseIndex } from '../oci/manifest.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { StoredImage } from '../store/layout-reader.ts'
import { readBlob } from '../store/verified-stream.ts'
import type { Image } from './image.ts'
import { openImage } from './open-image.ts'
import { imageSize } from './summarize-image.ts'

/** What a list shows of an image, of an index of this machine's platform, or of another one where that is all there is. */
export interface ImageSummary {
  /** As the configuration has it, which should be RFC 3339; '' where it does not say. */
  readonly created: string
  readonly configDigest: string
  /** Of the layers' tars where their lengths are known, else of the blobs. */
  readonly sizeBytes: number
  /** A JSON object, or ''; `labelsOf` reads it. */
  readonly labelsText: string
}

/** A stored image; `summary` is undefined for a damaged one, which is listed all the same. */
export interface SummarizedImage extends StoredImage {
  readonly summary: ImageSummary | undefined
}

/** The directory of the record, below the state directory. */
export const summariesDirectory: string = path.join('cache', 'image-summaries')

/** Every image of the store, newest first; equal ones in the index's order. `dataRoot` is the state directory. */
export async function listSummaries(
  store: DiskStore,
  dataRoot: string,
): Promise<SummarizedImage[]> {
  const record = openRecord(store, path.join(dataRoot, summariesDirectory))
  const listed: SummarizedImage[] = []
  for (const { descriptor, reference } of await store.listEntries())
    listed.push({ descriptor, reference, summary: await record.summaryOf(descriptor) })
  await record.close()
  const times = new Map(listed.map(image => [image, createdMsOf(image)]))
  return listed.toSorted((a, b) => (times.get(b) ?? 0) - (times.get(a) ?? 0))
}

interface SummaryRecord {
  /** From the record, or from the image's documents; undefined for a damaged image. */
  summaryOf(descriptor: Descriptor): Promise<ImageSummary | undefined>
  /** Writes down what was asked for, where that is not what the record says. */
  close(): Promise<void>
}

/**
 * Two files: the summaries, and beside them which layers of which image nobody had measured then. The second one is
 * read only after the first length of some layer's tar became known.
 */
function openRecord(store: DiskStore, directory: string): SummaryRecord {
  const measured = path.join(store.root, 'diff-ids')
  const stamp = stampOf(measured)
  const summaries = readRecord(path.join(directory, 'summaries'))
  const isCurrent = summaries.stamp === stamp
  const unmeasured = isCurrent
    ? new Map<string, string>()
    : readRecord(path.join(directory, 'unmeasured')).lines
  const measuredNow = new Set(isCurrent ? [] : namesIn(measured))
  const isStale = (digest: string): boolean =>
    (unmeasured.get(digest) ?? '').split(' ').some(hex => measuredNow.has(hex))
  const used = new Map<string, ImageSummary>()
  let isNew = false
  return {
    async summaryOf(descriptor) {
      const { digest } = descriptor
      const line = summaries.lines.get(digest)
      let summary = used.get(digest)
      if (summary === undefined && line !== undefined && !isStale(digest)) summary = parseLine(line)
      if (summary === undefined) {
        const read = await summarize(store, descriptor)
        if (read === undefined) return undefined
        isNew = true
        unmeasured.set(digest, read.unmeasured)
        summary = read.summary
      }
      used.set(digest, summary)
      return summary
    },
    async close() {
      if (!isNew && (isCurrent || used.size === 0)) return
      const before = isCurrent ? readRecord(path.join(directory, 'unmeasured')).lines : unmeasured
      const layers = new Map(
        [...used.keys()].map(digest => [
          digest,
          unmeasured.get(digest) ?? before.get(digest) ?? '',
        ]),
      )
      const lines = new Map([...used].map(([digest, summary]) => [digest, formatLine(summary)]))
      await writeRecord(path.join(directory, 'unmeasured'), { stamp, lines: layers })
      await writeRecord(path.join(directory, 'summaries'), { stamp, lines })
    },
  }
}

/** When an image was made, in milliseconds since 1970; 0 where it does not say. */
export function createdMsOf({ summary }: SummarizedImage): number {
  const time = Date.parse(summary?.created ?? '')
  return Number.isNaN(time) ? 0 : time
}

/** The labels of an image's configuration. */
export function labelsOf({ labelsText }: ImageSummary): Readonly<Record<string, string>> {
  if (labelsText === '') return {}
  const place = documentPlace('labels', 'STORE_INVALID')
  return mapOf(readText)(parseJsonText(Buffer.from(labelsText), place), place)
}

async function summarize(
  store: DiskStore,
  descriptor: Descriptor,
): Promise<{ readonly summary: ImageSummary; readonly unmeasured: string } | undefined> {
  try {
    const image = await openAny(store, descriptor)
    const { config, layers, manifest } = image
    const { created = '', config: { Labels: labels } = {} } = config
    const unmeasured = layers.filter(({ diffId }) => store.findLayers(diffId).length === 0)
    const summary = {
      // Whatever else stands there must not look like another field of the record.
      created: /^[\w:.+-]*$/.test(created) ? created : '',
      configDigest: manifest.config.digest,
      sizeBytes: imageSize(store, image),
      labelsText: labels === undefined ? '' : JSON.stringify(labels),
    }
    return { summary, unmeasured: unmeasured.map(({ diffId }) => hexOf(diffId)).join(' ') }
  } catch (error) {
    if (error instanceof KauriError) return undefined
    throw error
  }
}

/** The image for this machine, or of an index without one the first that is stored. */
async function openAny(store: DiskStore, descriptor: Descriptor): Promise<Image> {
  try {
    return await openImage(store, descriptor)
  } catch (error) {
    if (!(error instanceof KauriError) || !isIndexType(descriptor.mediaType)) throw error
    const bytes = await readBlob(store, descriptor)
    for (const entry of parseIndex(bytes, `index ${descriptor.digest}`).manifests)
      if (isManifestType(entry.mediaType) && entry.platform?.os !== 'unknown')
        if (await store.hasBlob(entry.digest)) return await openImage(store, entry)
    throw error
  }
}

/** Changes whenever the first length of a layer's tar becomes known. */
function stampOf(directory: string): string {
  const found = statSync(directory, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? 'absent' : String(found.mtimeNs)
}

function formatLine({ created, sizeBytes, configDigest, labelsText }: ImageSummary): string {
  return [created, sizeBytes, configDigest, labelsText].join('\t')
}

function parseLine(line: string): ImageSummary {
  const [created = '', size, configDigest = '', labelsText = ''] = line.split('\t')
  return { created, sizeBytes: Number(size), configDigest, labelsText }
}

/** A file with a line for each image: its digest, a tab, and text. */
interface LineRecord {
  readonly stamp: string
  readonly lines: Map<string, string>
}

const endMark = 'end'

/** What is not whole counts as missing. Lines take a third of the time of JSON. */
function readRecord(file: string): LineRecord {
  const [stamp = '', ...rest] = readIfThere(file).split('\n')
  if (rest.pop() !== endMark) return { stamp: '', lines: new Map() }
  const lines = new Map<string, string>()
  for (const line of rest) {
    const tab = line.indexOf('\t')
    lines.set(line.slice(0, tab), line.slice(tab + 1))
  }
  return { stamp, lines }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'EACCES')) return ''
    throw error
  }
}

/** Who may only read the store goes without, and so does a full disk. Labels are for the owner of the store alone. */
async function writeRecord(file: string, { stamp, lines }: LineRecord): Promise<void> {
  const text = [...lines].map(([digest, line]) => `${digest}\t${line}`)
  try {
    await writeCacheRecord(file, [stamp, ...text, endMark].join('\n'), 0o600)
  } catch (error) {
    const isFull = error instanceof KauriError && error.code === 'DISK_FULL'
    if (!isFull && !hasErrno(error, 'EACCES', 'EPERM', 'EROFS')) throw error
  }
}
