// What `ps` shows of a container, in docker's columns and words.

import type { ContainerState } from '../container/container.ts'
import type { PublishedPort } from '../network/port-relay.ts'
import { humanDuration } from './human-units.ts'
import type { Listing } from './listing.ts'
import { printableLine } from './printable.ts'

/** A container, and what of it is not in its state. */
export interface ShownContainer {
  readonly state: ContainerState
  /** `starting`, `healthy`, `unhealthy`, or empty without a healthcheck. */
  readonly health: string
  readonly networks: readonly string[]
  readonly mounts: readonly string[]
  readonly localVolumes: number
  /** Undefined where nobody asked. */
  readonly size?: string | undefined
}

const commandWidth = 20

/** The columns by the names that templates use. */
export const containerHeadings: Listing['headings'] = {
  ID: 'CONTAINER ID',
  Image: 'IMAGE',
  Command: 'COMMAND',
  CreatedAt: 'CREATED AT',
  RunningFor: 'CREATED',
  Status: 'STATUS',
  State: 'STATE',
  Ports: 'PORTS',
  Names: 'NAMES',
  Size: 'SIZE',
  Labels: 'LABELS',
  Mounts: 'MOUNTS',
  Networks: 'NETWORKS',
  LocalVolumes: 'LOCAL VOLUMES',
}

/** Docker's columns. */
export const containerColumns: readonly string[] = [
  'ID',
  'Image',
  'Command',
  'RunningFor',
  'Status',
  'Ports',
  'Names',
]

/** One row; `isWhole` cuts nothing. */
export function containerRow(
  { state, health, networks, mounts, localVolumes, size }: ShownContainer,
  isWhole: boolean,
): Listing['rows'][number] {
  const nowMs = Date.now()
  const words = printableLine(shownCommand(state.command))
  const isCut = !isWhole && words.length > commandWidth
  return {
    Command: `"${isCut ? `${words.slice(0, commandWidth - 1)}…` : words}"`,
    CreatedAt: createdAt(state.createdMs),
    ID: isWhole ? state.id : state.id.slice(0, 12),
    Image: shownImage(state.imageName),
    Labels: Object.entries(state.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    LocalVolumes: String(localVolumes),
    Mounts: mounts
      .map(mount => (isWhole || mount.length <= 15 ? mount : `${mount.slice(0, 14)}…`))
      .join(','),
    Names: state.name,
    Networks: networks.join(','),
    Ports: isUp(state) ? portsText(state.run?.ports ?? []) : '',
    RunningFor: `${humanDuration(nowMs - state.createdMs)} ago`,
    Size: size ?? '0B',
    State: state.status,
    Status: statusText(state, health, nowMs),
    Label: (key: unknown) => state.labels[String(key)] ?? '',
  }
}

/** Arguments with spaces stand in quotes, as docker shows them. */
export function shownCommand([program = '', ...args]: readonly string[]): string {
  return [program, ...args.map(word => (word.includes(' ') ? `'${word}'` : word))].join(' ')
}

/** A name that is only a digest is shown short. */
function shownImage(name: string): string {
  const [, hex] = /^(?:sha256:)?([0-9a-f]{64})$/.exec(name) ?? []
  return hex === undefined ? name : hex.slice(0, 12)
}

/** True while it has a process. */
export function isUp({ status }: ContainerState): boolean {
  return status === 'running' || status === 'paused'
}

function createdAt(milliseconds: number): string {
  const text = new Date(milliseconds).toISOString()
  return `${text.slice(0, 10)} ${text.slice(11, 19)} +0000 UTC`
}

/** As docker writes them: `0.0.0.0:8080->80/tcp`. */
export function portsText(ports: readonly PublishedPort[]): string {
  return ports
    .map(({ hostAddress, hostPort, containerPort, protocol }) => {
      const address = hostAddress === '' ? '0.0.0.0' : hostAddress
      const host = address.includes(':') ? `[${address}]` : address
      return `${host}:${hostPort}->${containerPort}/${protocol}`
    })
    .join(', ')
}

function statusText(state: ContainerState, health: string, nowMs: number): string {
  const { status } = state
  switch (status) {
    case 'created':
      return 'Created'
    case 'restarting':
      return `Restarting ${endText(state, nowMs)}`
    case 'exited':
      return `Exited ${endText(state, nowMs)}`
    case 'dead':
      return 'Dead'
    case 'running':
    case 'paused':
      return upText(state, health, nowMs)
    default:
      return status satisfies never
  }
}

function endText({ end }: ContainerState, nowMs: number): string {
  const sinceMs = nowMs - (end?.finishedMs ?? nowMs)
  return `(${end?.exitCode ?? 0}) ${humanDuration(sinceMs)} ago`
}

function upText({ status, run }: ContainerState, health: string, nowMs: number): string {
  const word = status === 'paused' ? 'Paused' : health === 'starting' ? 'health: starting' : health
  return `Up ${humanDuration(nowMs - (run?.startedMs ?? nowMs))}${word === '' ? '' : ` (${word})`}`
}
