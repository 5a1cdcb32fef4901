// What is written about a container. A file that is missing, or that a loss of power cut short, counts as not there.

import { replaceFile } from '../core/replace-file.ts'
import { readTextSync } from '../core/text-file.ts'
import type { PublishedPort } from '../network/port-relay.ts'
import type { ContainerEnd, ContainerRecord, ContainerRun, StoredRequest } from './container.ts'
import { asContainerId } from './container-name.ts'
import type { UsedVolume } from './volume-use.ts'

/** The record in container.json. */
export function readRecord(file: string): ContainerRecord | undefined {
  const value = readObject(file)
  if (value === undefined) return undefined
  const id = asContainerId(text(value['id']))
  const { command, createdMs, labels } = value
  if (id === undefined || !Array.isArray(command) || typeof createdMs !== 'number') return undefined
  return {
    id,
    name: text(value['name']),
    imageName: text(value['imageName']),
    imageDigest: text(value['imageDigest']),
    command: command.map(text),
    createdMs,
    labels: Object.fromEntries(Object.entries(asObject(labels)).map(([k, v]) => [k, text(v)])),
    removeAfter: value['removeAfter'] === true,
    volumes: Array.isArray(value['volumes']) ? value['volumes'].flatMap(readVolume) : [],
  }
}

function readVolume(value: unknown): readonly UsedVolume[] {
  const { name, anonymous } = asObject(value)
  return typeof name === 'string' ? [{ name, anonymous: anonymous === true }] : []
}

function readPort(value: unknown): readonly PublishedPort[] {
  const { protocol, hostAddress, hostPort, containerPort } = asObject(value)
  if (protocol !== 'tcp' && protocol !== 'udp') return []
  if (typeof hostPort !== 'number' || typeof containerPort !== 'number') return []
  return [{ protocol, hostAddress: text(hostAddress), hostPort, containerPort }]
}

/** Its last run, from run.json. */
export function readRun(file: string): ContainerRun | undefined {
  const value = readObject(file)
  if (value === undefined) return undefined
  const { startedMs, ports, endpoints, restarts, lastWaitMs } = value
  if (typeof startedMs !== 'number') return undefined
  return {
    startedMs,
    ports: Array.isArray(ports) ? ports.flatMap(readPort) : [],
    endpoints: Array.isArray(endpoints) ? endpoints : [],
    restarts: typeof restarts === 'number' ? restarts : 0,
    lastWaitMs: typeof lastWaitMs === 'number' ? lastWaitMs : 0,
  }
}

/** What it was made from, from request.json: written by kauri alone, where only root writes, so it is taken as it is. */
export function readRequest(file: string): StoredRequest | undefined {
  const json = readTextSync(file)
  return json === undefined ? undefined : JSON.parse(json, reviveNumber)
}

/** Numbers of seccomp profiles may need 64 bits. */
function reviveNumber(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('$bigint' in value)) return value
  return BigInt(String(value.$bigint))
}

function keepNumber(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? { $bigint: String(value) } : value
}

/** How it ended, from end.json. */
export function readEnd(file: string): ContainerEnd | undefined {
  const value = readObject(file)
  if (value === undefined) return undefined
  const { exitCode, outOfMemory, finishedMs, error, restarting } = value
  if (typeof exitCode !== 'number' || typeof finishedMs !== 'number') return undefined
  return {
    exitCode,
    outOfMemory: outOfMemory === true,
    finishedMs,
    ...(typeof error === 'string' ? { error } : {}),
    ...readIdentity(restarting),
  }
}

function readIdentity(value: unknown): Pick<ContainerEnd, 'restarting'> {
  const { pid, startTicks } = asObject(value)
  if (typeof pid !== 'number' || typeof startTicks !== 'string') return {}
  return { restarting: { pid, startTicks } }
}

function readObject(file: string): Readonly<Record<string, unknown>> | undefined {
  const json = readTextSync(file)
  try {
    return json === undefined ? undefined : asObject(JSON.parse(json))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Whole or not at all, for those who read at the same moment; nobody waits for the disk. Environments may hold secrets. */
export function writeRecordFile(
  file: string,
  record: ContainerRecord | ContainerEnd | ContainerRun | StoredRequest,
): void {
  // One writer at a time: it holds the container's lock.
  replaceFile(file, JSON.stringify(record, keepNumber))
}
