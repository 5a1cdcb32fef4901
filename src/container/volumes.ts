// Volumes: directories that outlive containers, `<root>/<name>/{volume.json,_data}`, as docker lays them out. A volume is in
// use as long as the record of a container names it; nothing but `volume rm` and `volume prune` removes one.

import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { namesIn } from '../core/directory-names.ts'
import { KauriError } from '../core/errors.ts'
import { replaceFile } from '../core/replace-file.ts'
import { readTextSync } from '../core/text-file.ts'
import { lockFile } from '../native/file-lock.ts'
import { isVolumeName } from './volume-name.ts'

/** A volume as `volume inspect` shows it. */
export interface Volume {
  readonly name: string
  /** Milliseconds since 1970. */
  readonly createdMs: number
  readonly labels: Readonly<Record<string, string>>
  /** `type`, `device` and `o` of docker's local driver; empty for a plain directory. */
  readonly options: Readonly<Record<string, string>>
  /** Made for one container, without a name of the caller's. */
  readonly anonymous: boolean
  /** Where its files are, unless the options say otherwise. */
  readonly directory: string
}

/** What a new volume needs. */
export type NewVolume = Pick<Volume, 'name'> &
  Partial<Pick<Volume, 'labels' | 'options' | 'anonymous'>>

/** The volumes of a state directory. */
export interface Volumes {
  /** The volume of that name, made where it is missing. @throws USAGE for a bad name or options, NAME_IN_USE where it has other options */
  make(volume: NewVolume): Promise<Volume>
  find(name: string): Volume | undefined
  /** @throws VOLUME_NOT_FOUND */
  get(name: string): Volume
  /** By name. */
  list(): readonly Volume[]
  /** Removes it with all that is in it, unless `isUsed` says of it, while nobody makes volumes, that it is in use; idempotent. */
  remove(name: string, isUsed: () => boolean): Promise<boolean>
  /** Does `work` while no other process fills this volume. */
  whileFilling<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T>
}

/** Volumes below a directory, which need not be there yet. */
export function openVolumes(root: string): Volumes {
  const find = (name: string): Volume | undefined =>
    isVolumeName(name) ? readVolume(root, name) : undefined
  const lock = (signal?: AbortSignal): ReturnType<typeof lockFile> =>
    lockFile(path.join(root, '.lock'), 'exclusive', signal)
  return {
    find,
    get(name) {
      const volume = find(name)
      if (volume !== undefined) return volume
      throw new KauriError('VOLUME_NOT_FOUND', `there is no volume ${name}`, {
        hint: 'kauri volume ls lists what is there',
      })
    },
    async make(asked) {
      checkVolumeName(asked.name)
      const found = find(asked.name)
      if (found !== undefined) return sameVolume(found, asked)
      checkVolumeOptions(asked.options ?? {})
      using _ = await lock()
      return find(asked.name) ?? makeVolume(root, asked)
    },
    list: () =>
      namesIn(root)
        .flatMap(name => find(name) ?? [])
        .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    async remove(name, isUsed) {
      using _ = await lock()
      sweepRemoved(root)
      if (isUsed()) return false
      const directory = path.join(root, name)
      // Gone at once for everybody else; what a kill leaves of the rest, the next removal takes.
      const removed = path.join(root, `${removedPrefix}${name}`)
      if (find(name) === undefined) return true
      renameSync(directory, removed)
      rmSync(removed, { recursive: true, force: true })
      rmSync(fillLock(root, name), { force: true })
      return true
    },
    async whileFilling(name, work, signal) {
      using _ = await lockFile(fillLock(root, name), 'exclusive', signal)
      return await work()
    },
  }
}

const recordFile = 'volume.json'
const removedPrefix = '.removed-'

function fillLock(root: string, name: string): string {
  return path.join(root, `.${name}.lock`)
}

function sweepRemoved(root: string): void {
  for (const name of namesIn(root))
    if (name.startsWith(removedPrefix))
      rmSync(path.join(root, name), { recursive: true, force: true })
}

/** The same volume again is fine; one that would be another is not. */
function sameVolume(found: Volume, { name, options }: NewVolume): Volume {
  const isSame = (a: Volume['options'], b: Volume['options']): boolean =>
    Object.keys({ ...a, ...b }).every(key => a[key] === b[key])
  if (options === undefined || Object.keys(options).length === 0 || isSame(found.options, options))
    return found
  throw new KauriError('NAME_IN_USE', `there is a volume ${name} with other options`, {
    hint: `take another name, or remove it with kauri volume rm ${name}`,
  })
}

/** The record last: what has none is no volume yet, and is made again. */
function makeVolume(root: string, asked: NewVolume): Volume {
  const { name, labels = {}, options = {}, anonymous = false } = asked
  const directory = path.join(root, name)
  // Volumes hold set-user-ID programs of images, which nobody else on the host may run (CVE-2021-41091).
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  mkdirSync(path.join(directory, dataDirectory), { recursive: true, mode: 0o755 })
  const createdMs = Date.now()
  const record = { name, createdMs, labels, options, anonymous }
  replaceFile(path.join(directory, recordFile), JSON.stringify(record), 0o666)
  return { name, createdMs, labels, options, anonymous, directory: dataOf(root, name) }
}

const dataDirectory = '_data'

function dataOf(root: string, name: string): string {
  return path.join(root, name, dataDirectory)
}

function readVolume(root: string, name: string): Volume | undefined {
  const file = path.join(root, name, recordFile)
  const text = readTextSync(file)
  if (text === undefined) return undefined
  const value = parseObject(text)
  const createdMs = value['createdMs']
  return {
    name,
    // A loss of power may have cut the record short; what people put into the volume is there all the same.
    createdMs: typeof createdMs === 'number' ? createdMs : statSync(file).mtimeMs,
    labels: textsOf(value['labels']),
    options: textsOf(value['options']),
    anonymous: value['anonymous'] === true,
    directory: dataOf(root, name),
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

function textsOf(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, text]) => (typeof text === 'string' ? [[key, text]] : [])),
  )
}

function checkVolumeName(name: string): void {
  if (isVolumeName(name)) return
  throw new KauriError('USAGE', `"${name.slice(0, 300)}" is not a volume name`, {
    hint: 'use 2 to 255 letters, digits, "_", "." and "-", the first one a letter or a digit; write a host path with / or ./ before it',
  })
}

/** Options of docker's local driver. @throws USAGE, UNSUPPORTED */
export function checkVolumeOptions(options: Readonly<Record<string, string>>): void {
  for (const key of Object.keys(options)) {
    if (key === 'size')
      throw new KauriError('UNSUPPORTED', 'a volume has no quota of its own', {
        hint: 'for a temporary file system write --opt type=tmpfs --opt device=tmpfs --opt o=size=64m',
      })
    if (!['type', 'device', 'o'].includes(key))
      throw new KauriError('USAGE', `a volume has no option "${key}"`, {
        hint: 'options are type, device and o',
      })
  }
  const { type = '', device = '', o = '' } = options
  if (Object.keys(options).length > 0 && device === '')
    throw new KauriError('USAGE', 'a volume with a type or with mount options needs device=…', {
      hint: 'such as --opt type=none --opt o=bind --opt device=/srv/data',
    })
  if (isBound(type, o) && !path.isAbsolute(device))
    throw new KauriError('USAGE', `the device "${device}" of a bound volume is no absolute path`)
}

function isBound(type: string, o: string): boolean {
  return o.split(',').some(word => word === 'bind' || word === 'rbind') || type === 'bind'
}

/** What is mounted for a volume. */
export type VolumeSource =
  | { readonly kind: 'directory'; readonly path: string; readonly options: readonly string[] }
  | {
      readonly kind: 'filesystem'
      readonly type: string
      readonly device: string
      readonly options: readonly string[]
    }

/** @throws USAGE where what it stands for is not there */
export function volumeSource({ name, options, directory }: Volume): VolumeSource {
  const { type = 'none', device = '', o = '' } = options
  if (device === '') return { kind: 'directory', path: directory, options: [] }
  const words = o.split(',').filter(word => word !== '')
  if (!isBound(type, o)) return { kind: 'filesystem', type, device, options: words }
  if (!existsSync(device))
    throw new KauriError('USAGE', `the directory ${device} of the volume ${name} is not there`, {
      hint: 'make it first',
    })
  const own = words.filter(word => word !== 'bind' && word !== 'rbind')
  return { kind: 'directory', path: device, options: own }
}
