// Which layer the result of a step became, kept by the step's key, so that a build with nothing changed looks at no
// snapshot and packs nothing. A record counts only on the layers that it was made on, and while its blob is there.

import path from 'node:path'
import { readTextIfThere, writeCacheRecord } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import type { LayerOfImage } from '../image/create-image.ts'
import type { LayerCompression } from '../layer/layer.ts'
import { readDescriptor, readDigest } from '../oci/descriptor.ts'
import { asDiffId, type Digest, digestOf, hexOf } from '../oci/digest.ts'
import {
  documentPlace,
  objectReader,
  type ReadJson,
  readText,
  wrongShape,
} from '../oci/json-shape.ts'
import type { BuildStep } from '../plan/plan.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { ImageTimes } from './build-plans.ts'

/** Names a layer by what it was made of. */
export interface StepLayerName {
  readonly key: Digest
  /** As timesOf gives it. */
  readonly times: string
  readonly compression: LayerCompression
}

/** The layer that a step's result became. */
export interface StepLayer {
  readonly layer: LayerOfImage
  /** Chain ID of the layers below it; undefined for none, and for the layer of a linked step, which fits on any. */
  readonly below: Digest | undefined
  /** When the step's result was made (RFC 3339). */
  readonly created: string
}

export interface StepLayerRecords {
  find(name: StepLayerName): Promise<StepLayer | undefined>
  remember(name: StepLayerName, made: StepLayer): Promise<void>
}

/** Raised whenever equal results and options would give another layer than before. */
const recordFormat = 3

/** Records below `<dataRoot>/cache/step-layers`. */
export function stepLayerRecords(dataRoot: string, store: DiskStore): StepLayerRecords {
  const fileOf = ({ key, times, compression: { codec, level } }: StepLayerName): string => {
    const name = canonicalJson({ format: recordFormat, key, times, codec, level })
    return path.join(dataRoot, 'cache', 'step-layers', hexOf(digestOf(name)))
  }
  return {
    async find(name) {
      const text = await readTextIfThere(fileOf(name))
      const known = text === undefined ? undefined : parseStepLayer(text)
      // Asked for, so that garbage collection keeps it while this build works.
      if (known === undefined || !(await store.hasBlob(known.layer.descriptor.digest)))
        return undefined
      return known
    },
    async remember(name, made) {
      await writeCacheRecord(fileOf(name), canonicalJson(stepLayerJson(made)), 0o600)
    },
  }
}

/** The record as JSON; also a part of exported caches. */
export function stepLayerJson({ layer, below, created }: StepLayer): object {
  const { mediaType, digest, size } = layer.descriptor
  return { diffId: layer.diffId, mediaType, digest, size, below, created }
}

/** Kauri's own file; what is not whole counts as missing. */
function parseStepLayer(text: string): StepLayer | undefined {
  try {
    return readStepLayer(JSON.parse(text), 'a record')
  } catch {
    return undefined
  }
}

const timeForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/

/** A time as it goes into an image's history (RFC 3339, UTC). */
const readTime: ReadJson<string> = (value, place) => {
  const text = readText(value, place)
  if (timeForm.test(text) && !Number.isNaN(Date.parse(text))) return text
  throw wrongShape(place, 'a time', value)
}

/** Reads a record. @throws ARCHIVE_INVALID */
export function readStepLayer(value: unknown, document: string): StepLayer {
  const place = documentPlace(document, 'ARCHIVE_INVALID')
  const members = objectReader(value, place)
  const { mediaType, digest, size } = readDescriptor(value, place)
  return {
    layer: {
      descriptor: { mediaType, digest, size },
      diffId: asDiffId(members.required('diffId', readDigest)),
    },
    below: members.optional('below', readDigest),
    created: members.required('created', readTime),
  }
}

/** How the times of a step's layer come about: `kept`, `until N` or `at N`. */
export function timesOf(step: BuildStep, { layers, createdSeconds = 0 }: ImageTimes): string {
  if (layers === 'kept') return 'kept'
  return layers === 'stamped' && step.kind !== 'run'
    ? `at ${createdSeconds}`
    : `until ${createdSeconds}`
}

/** What the packer is told for those words. */
export function packTimes(times: string): {
  readonly setMtime?: number
  readonly clampMtime?: number
} {
  const [word, seconds] = times.split(' ')
  if (word === 'at') return { setMtime: Number(seconds) }
  return word === 'until' ? { clampMtime: Number(seconds) } : {}
}
