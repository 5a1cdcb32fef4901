// Image configuration (image-spec v1.1.1 config.md, with Docker's Healthcheck, OnBuild and Shell).

import { readDigest } from './descriptor.ts'
import { asDiffId, type DiffId } from './digest.ts'
import {
  definedMembers,
  documentPlace,
  listOf,
  mapOf,
  objectReader,
  parseJsonText,
  type ReadJson,
  readBoolean,
  readInteger,
  readMembers,
  readText,
} from './json-shape.ts'
import { type Platform, readPlatform } from './platform.ts'

/** How a container of the image starts. Keys are spelled as in the JSON. */
export interface RunConfig {
  readonly User?: string
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>
  readonly Env?: readonly string[]
  readonly Entrypoint?: readonly string[]
  readonly Cmd?: readonly string[]
  /** Docker's mark of a Cmd that came from a Dockerfile; it means nothing on Linux. */
  readonly ArgsEscaped?: boolean
  readonly Volumes?: Readonly<Record<string, Record<string, never>>>
  readonly WorkingDir?: string
  readonly Labels?: Readonly<Record<string, string>>
  readonly StopSignal?: string
  readonly Healthcheck?: Healthcheck
  readonly OnBuild?: readonly string[]
  readonly Shell?: readonly string[]
}

/** Durations are nanoseconds, as in Docker's JSON. */
export interface Healthcheck {
  readonly Test: readonly string[]
  readonly Interval?: number
  readonly Timeout?: number
  readonly StartPeriod?: number
  readonly StartInterval?: number
  readonly Retries?: number
}

export interface HistoryEntry {
  readonly created?: string
  readonly created_by?: string
  readonly author?: string
  readonly comment?: string
  readonly empty_layer?: boolean
}

export interface ImageConfig extends Platform {
  readonly created?: string
  readonly author?: string
  readonly config?: RunConfig
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly DiffId[] }
  readonly history?: readonly HistoryEntry[]
}

/** Docker's default search path; set where an image's environment has none. */
export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Reads a configuration's bytes; unknown members are left out. @throws ARCHIVE_INVALID with the path of what is wrong */
export function parseImageConfig(bytes: Uint8Array, document: string): ImageConfig {
  const place = documentPlace(document, 'ARCHIVE_INVALID')
  const value = parseJsonText(bytes, place)
  const members = objectReader(value, place)
  return definedMembers({
    ...readPlatform(value, place),
    created: members.optional('created', readText),
    author: members.optional('author', readText),
    config: members.optional('config', readRunConfig),
    rootfs: members.required('rootfs', readRootfs),
    history: members.optional('history', listOf(readHistoryEntry)),
  })
}

const readDiffId: ReadJson<DiffId> = (value, place) => asDiffId(readDigest(value, place))

const readRootfs: ReadJson<ImageConfig['rootfs']> = (value, place) => ({
  type: 'layers',
  diff_ids: objectReader(value, place).optional('diff_ids', listOf(readDiffId)) ?? [],
})

const readEmptyObject: ReadJson<Record<string, never>> = (value, place) => {
  readMembers(value, place)
  return {}
}

const texts = listOf(readText)

/** Reads the `config` member; also what Docker's API and `--change` lines carry. */
export const readRunConfig: ReadJson<RunConfig> = (value, place) => {
  const members = objectReader(value, place)
  return definedMembers({
    User: members.optional('User', readText),
    ExposedPorts: members.optional('ExposedPorts', mapOf(readEmptyObject)),
    Env: members.optional('Env', texts),
    Entrypoint: members.optional('Entrypoint', texts),
    Cmd: members.optional('Cmd', texts),
    ArgsEscaped: members.optional('ArgsEscaped', readBoolean),
    Volumes: members.optional('Volumes', mapOf(readEmptyObject)),
    WorkingDir: members.optional('WorkingDir', readText),
    Labels: members.optional('Labels', mapOf(readText)),
    StopSignal: members.optional('StopSignal', readText),
    Healthcheck: members.optional('Healthcheck', readHealthcheck),
    OnBuild: members.optional('OnBuild', texts),
    Shell: members.optional('Shell', texts),
  })
}

const readHealthcheck: ReadJson<Healthcheck> = (value, place) => {
  const members = objectReader(value, place)
  return definedMembers({
    Test: members.optional('Test', texts) ?? [],
    Interval: members.optional('Interval', readInteger),
    Timeout: members.optional('Timeout', readInteger),
    StartPeriod: members.optional('StartPeriod', readInteger),
    StartInterval: members.optional('StartInterval', readInteger),
    Retries: members.optional('Retries', readInteger),
  })
}

const readHistoryEntry: ReadJson<HistoryEntry> = (value, place) => {
  const members = objectReader(value, place)
  return definedMembers({
    created: members.optional('created', readText),
    created_by: members.optional('created_by', readText),
    author: members.optional('author', readText),
    comment: members.optional('comment', readText),
    empty_layer: members.optional('empty_layer', readBoolean),
  })
}
