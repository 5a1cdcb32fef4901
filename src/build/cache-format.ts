// How results of steps travel: an OCI image manifest whose layers are those of the results, cache mounts among them, and
// whose configuration says which step's key stands for which layer. An image that carries its own cache has the same
// words in an annotation of its manifest.

import { canonicalJson } from '../core/canonical-json.ts'
import { readDigest } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import {
  documentPlace,
  type JsonLimits,
  listOf,
  objectReader,
  parseJsonText,
  type ReadJson,
  readInteger,
  readText,
} from '../oci/json-shape.ts'
import type { KnownContent } from './stage-contents.ts'
import { readStepLayer, type StepLayer, stepLayerJson } from './step-layer-records.ts'

/** Of the configuration of a cache. */
export const cacheConfigType = 'application/vnd.dev.kauri.build-cache.config.v1+json'

/** Holds the cache of an image in the image's own manifest. */
export const inlineCacheAnnotation = 'dev.kauri.build-cache'

/** A step's result in a cache. */
export interface CachedStep extends StepLayer {
  readonly key: Digest
  /** How the times of its files came about. */
  readonly times: string
}

export interface CacheRecords {
  readonly steps: readonly CachedStep[]
  /** What steps read from other stages. */
  readonly contents: readonly KnownContent[]
}

const formatVersion = 1

/** Many thousand steps; the rest of a document's bounds are those of any other. */
const cacheLimits: JsonLimits = { maxBytes: 64 * 1024 * 1024, maxDepth: 16 }

/** The document; equal records give equal bytes. */
export function formatCache({ steps, contents }: CacheRecords): string {
  return canonicalJson({
    version: formatVersion,
    steps: steps.map(stepJson),
    contents: contents.map(({ name, digest }) => ({ name, digest })),
  })
}

function stepJson({ key, times, ...made }: CachedStep): object {
  return { ...stepLayerJson(made), key, times }
}

/** Reads the document. A cache of another version of the format is an empty one. @throws ARCHIVE_INVALID */
export function parseCache(bytes: Uint8Array, document: string): CacheRecords {
  const place = documentPlace(document, 'ARCHIVE_INVALID')
  const members = objectReader(parseJsonText(bytes, place, cacheLimits), place)
  const version = members.required('version', readInteger)
  if (version !== formatVersion) return { steps: [], contents: [] }
  return {
    steps: members.optional('steps', listOf(readStep)) ?? [],
    contents: members.optional('contents', listOf(readContent)) ?? [],
  }
}

const readStep: ReadJson<CachedStep> = (value, place) => {
  const members = objectReader(value, place)
  return {
    ...readStepLayer(value, place.document),
    key: members.required('key', readDigest),
    times: members.required('times', readText),
  }
}

const readContent: ReadJson<KnownContent> = (value, place) => {
  const members = objectReader(value, place)
  return {
    name: members.required('name', readText),
    digest: members.required('digest', readDigest),
  }
}
