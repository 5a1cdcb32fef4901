// Who is where on networks at this moment, for who looks names up and for `network inspect`: a file for each container below
// the run-time directory. A place counts while its interface is there, so a file that a killed process left says nothing.

import { mkdirSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { namesIn } from '../core/directory-names.ts'
import { replaceFile } from '../core/replace-file.ts'
import { readTextSync } from '../core/text-file.ts'
import { networkDirectory } from './bridge-spec.ts'
import { listLinks, parseLink } from './link-messages.ts'
import { netlinkProtocol, netlinkRequest } from './netlink.ts'

/** A place that a container has on a network while it runs. */
export interface NetworkEndpoint {
  readonly network: string
  /** Empty for the default bridge. */
  readonly networkId: string
  /** In the container: `eth0`. */
  readonly interface: string
  readonly address: string
  readonly prefixLength: number
  /** Undefined where the network leads nowhere. */
  readonly gateway?: string | undefined
  readonly hardwareAddress: string
  readonly aliases: readonly string[]
  /** Name of the interface on the host. */
  readonly port: string
}

/** A container with all its places. */
export interface PlacedContainer {
  readonly id: string
  readonly name: string
  readonly endpoints: readonly NetworkEndpoint[]
  /** Asked for names that no container has; empty: those that the host asks. */
  readonly servers: readonly string[]
}

function directory(): string {
  return path.join(networkDirectory(), 'containers')
}

/** Writes down where a container is, in place of what was there. */
export function writePlaced(container: PlacedContainer): void {
  mkdirSync(directory(), { recursive: true, mode: 0o700 })
  replaceFile(path.join(directory(), `${container.id}.json`), JSON.stringify(container))
}

export function removePlaced(id: string): void {
  rmSync(path.join(directory(), `${id}.json`), { force: true })
}

/** What is written of a container, whether it is still there or not. */
function readPlaced(id: string): PlacedContainer | undefined {
  const text = readTextSync(path.join(directory(), `${id}.json`))
  try {
    return text === undefined ? undefined : parsePlaced(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** The containers that are on networks now, with those of their places whose interface is there. */
export function listPlaced(): readonly PlacedContainer[] {
  return withPorts(allPlaced())
}

/** The same for who asks often: files are read again only when one has changed. */
export function placedReader(): () => readonly PlacedContainer[] {
  let known: readonly PlacedContainer[] = []
  let readMs = 0
  return () => {
    const changedMs = statSync(directory(), { throwIfNoEntry: false })?.mtimeMs ?? 0
    // A change in the moment of the last reading has the same time.
    if (changedMs >= readMs - clockStepMs) {
      readMs = Date.now()
      known = allPlaced()
    }
    return withPorts(known)
  }
}

/** How far apart changes of a directory are told from each other. */
const clockStepMs = 50

function withPorts(containers: readonly PlacedContainer[]): readonly PlacedContainer[] {
  const ports = portNames()
  return containers.flatMap(container => {
    const endpoints = container.endpoints.filter(({ port }) => ports.has(port))
    return endpoints.length === 0 ? [] : [{ ...container, endpoints }]
  })
}

function allPlaced(): readonly PlacedContainer[] {
  return namesIn(directory()).flatMap(name =>
    name.endsWith('.json') ? (readPlaced(name.slice(0, -'.json'.length)) ?? []) : [],
  )
}

/** Names of the host's interfaces. */
function portNames(): ReadonlySet<string> {
  const links = netlinkRequest(netlinkProtocol.route, [listLinks()])
  return new Set(links.flatMap(reply => parseLink(reply) ?? []).map(({ name }) => name))
}

/** Files younger than this may be of a container that is about to get its interface. */
const settledAfterMs = 60_000

/** More than this, and whoever comes looks which of them are there still. */
const manyPlaced = 64

/** Removes what killed processes left, once there is much of it. */
export function sweepManyPlaced(): void {
  if (namesIn(directory()).length > manyPlaced) sweepPlaced()
}

/** Removes what killed processes left. */
export function sweepPlaced(): void {
  const ports = portNames()
  for (const { id, endpoints } of allPlaced()) {
    if (endpoints.some(({ port }) => ports.has(port))) continue
    const found = statSync(path.join(directory(), `${id}.json`), { throwIfNoEntry: false })
    if (found !== undefined && Date.now() - found.mtimeMs > settledAfterMs) removePlaced(id)
  }
}

function parsePlaced(value: unknown): PlacedContainer | undefined {
  const { id, name, endpoints, servers } = fieldsOf(value)
  if (typeof id !== 'string' || !Array.isArray(endpoints)) return undefined
  return {
    id,
    name: textOf(name),
    endpoints: endpoints.map(parseEndpoint),
    servers: textsOf(servers),
  }
}

function parseEndpoint(value: unknown): NetworkEndpoint {
  const fields = fieldsOf(value)
  const { prefixLength, gateway } = fields
  return {
    network: textOf(fields['network']),
    networkId: textOf(fields['networkId']),
    interface: textOf(fields['interface']),
    address: textOf(fields['address']),
    prefixLength: typeof prefixLength === 'number' ? prefixLength : 0,
    ...(typeof gateway === 'string' ? { gateway } : {}),
    hardwareAddress: textOf(fields['hardwareAddress']),
    aliases: textsOf(fields['aliases']),
    port: textOf(fields['port']),
  }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter(entry => typeof entry === 'string') : []
}
