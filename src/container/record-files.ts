// What is written about a container. A file that is missing, or that a loss of power cut short, counts as not there.

import { renameSync, writeFileSync } from 'node:fs'
import { readTextSync } from '../core/text-file.ts'
import type { PublishedPort } from '../network/port-relay.ts'
import type { ContainerEnd, ContainerRecord } from './container.ts'
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
    ports: Array.isArray(value['ports']) ? value['ports'].flatMap(readPort) : [],
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

/** How it ended, from end.json. */
export function readEnd(file: string): ContainerEnd | undefined {
  const value = readObject(file)
  if (value === undefined) return undefined
  const { exitCode, outOfMemory, finishedMs } = value
  if (typeof exitCode !== 'number' || typeof finishedMs !== 'number') return undefined
  return { exitCode, outOfMemory: outOfMemory === true, finishedMs }
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

/** Whole or not at all, for those who read at the same moment; nobody waits for the disk. */
export function writeRecordFile(file: string, record: ContainerRecord | ContainerEnd): void {
  // One writer at a time: it holds the container's lock.
  const temporary = `${file}.new`
  writeFileSync(temporary, JSON.stringify(record))
  renameSync(temporary, file)
}
