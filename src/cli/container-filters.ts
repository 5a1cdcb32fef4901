// `--filter` of `ps` and its like: values of one key are alternatives, keys add up; labels add up, too.

import type { ContainerState } from '../container/container.ts'
import { KauriError } from '../core/errors.ts'
import { badValue } from './option-values.ts'

/** What filters look at beside the container's state. */
export interface FilteredContainer {
  readonly state: ContainerState
  readonly health: string
  /** Names and ids of networks, volumes and mounted paths. */
  readonly networks: readonly string[]
  readonly mounts: readonly string[]
  /** `80/tcp`: published, and named by the image or the caller. */
  readonly published: readonly string[]
  readonly exposed: readonly string[]
}

/** True for what a filter lets through. */
export type ContainerFilter = (container: FilteredContainer) => boolean

/** `KEY=VALUE` texts by their keys. @throws USAGE for a key that is none of these */
export function parseFilters(
  texts: readonly string[],
  keys: readonly string[],
): ReadonlyMap<string, readonly string[]> {
  const filters = new Map<string, string[]>()
  for (const text of texts) {
    const equals = text.indexOf('=')
    const key = text.slice(0, equals).trim().toLowerCase()
    if (equals < 0) throw badValue('--filter', text, 'write KEY=VALUE')
    if (!keys.includes(key))
      throw new KauriError('USAGE', `invalid filter '${key}'`, {
        hint: `take one of ${keys.join(', ')}`,
      })
    filters.set(key, [...(filters.get(key) ?? []), text.slice(equals + 1).trim()])
  }
  return filters
}

/** True where the labels are there, with the value where one is asked for. */
export function hasLabels(
  labels: Readonly<Record<string, string>>,
  wanted: readonly string[],
): boolean {
  return wanted.every(text => {
    const equals = text.indexOf('=')
    const key = equals < 0 ? text : text.slice(0, equals)
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined
    return value !== undefined && (equals < 0 || value === text.slice(equals + 1))
  })
}

type OneFilter = (container: FilteredContainer, value: string, all: AllContainers) => boolean
type AllContainers = readonly ContainerState[]

const filters: Readonly<Record<string, OneFilter>> = {
  id: ({ state }, value) => state.id.startsWith(value),
  name: ({ state }, value) => namePattern(value).test(`/${state.name}`) || state.name === value,
  label: ({ state }, value) => hasLabels(state.labels, [value]),
  exited: ({ state }, value) => state.end !== undefined && state.end.exitCode === Number(value),
  status: ({ state }, value) => state.status === statusWord(value),
  health: ({ health }, value) => (health === '' ? 'none' : health) === value,
  ancestor: ({ state }, value) => isOfImage(state, value),
  before: ({ state }, value, all) => state.createdMs < createdMsOf(value, all),
  since: ({ state }, value, all) => state.createdMs > createdMsOf(value, all),
  volume: ({ mounts }, value) => mounts.includes(value),
  network: ({ networks }, value) => networks.includes(value),
  publish: ({ published }, value) => published.some(port => isPort(port, value)),
  expose: ({ exposed }, value) => exposed.some(port => isPort(port, value)),
}

/** @throws USAGE for what is no filter; for a container of `before` or `since` that is not there when it is called */
export function containerFilter(texts: readonly string[], all: AllContainers): ContainerFilter {
  const wanted = [...parseFilters(texts, Object.keys(filters))]
  return container =>
    wanted.every(([key, values]) => {
      const check = filters[key]
      if (check === undefined) return false
      const matches = (value: string): boolean => check(container, value, all)
      return key === 'label' ? values.every(matches) : values.some(matches)
    })
}

function namePattern(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch (error) {
    throw new KauriError('USAGE', `invalid filter 'name=${text}'`, { cause: error })
  }
}

const statusWords = [
  'created',
  'restarting',
  'running',
  'removing',
  'paused',
  'exited',
  'dead',
] as const

function statusWord(text: string): string {
  const word = statusWords.find(known => known === text)
  if (word !== undefined) return word
  throw new KauriError('USAGE', `invalid filter 'status=${text}'`, {
    hint: `take one of ${statusWords.join(', ')}`,
  })
}

/** By the name as the caller wrote it, with or without its tag, or by digest. */
function isOfImage({ imageName, imageDigest }: ContainerState, value: string): boolean {
  const hex = imageDigest.replace(/^sha256:/, '')
  if (value === imageName || value === `${imageName}:latest` || `${value}:latest` === imageName)
    return true
  return value.length >= 4 && (imageDigest.startsWith(value) || hex.startsWith(value))
}

function createdMsOf(text: string, all: AllContainers): number {
  const found = all.find(({ id, name }) => name === text || id.startsWith(text))
  if (found !== undefined) return found.createdMs
  throw new KauriError('CONTAINER_NOT_FOUND', `No such container: ${text}`)
}

/** `80`, `80/tcp`, `80-90/udp`. */
function isPort(port: string, wanted: string): boolean {
  const [number, protocol] = port.split('/')
  const [, first, last = first, wantedProtocol = 'tcp'] =
    /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(\w+))?$/.exec(wanted) ?? []
  if (first === undefined) throw badValue('--filter', wanted, 'write a port such as 80/tcp')
  return (
    protocol === wantedProtocol && Number(number) >= Number(first) && Number(number) <= Number(last)
  )
}
