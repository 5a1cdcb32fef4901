// What happens to containers, one line of JSON for each event, in a file below the run-time directory that every process
// appends to. A line goes out in one write, so lines of two processes do not mix; a file that has grown too large is
// renamed, and two of them are all that is kept.

import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import path from 'node:path'
import { tryLockFile } from '../native/file-lock.ts'

/** Something that happened; the members are those of docker's API. */
export interface ContainerEvent {
  readonly Type: 'container' | 'image' | 'network' | 'volume'
  /** `create`, `start`, `die`, … */
  readonly Action: string
  readonly Actor: {
    readonly ID: string
    /** `name`, `image`, labels, and what belongs to the action, such as `exitCode`. */
    readonly Attributes: Readonly<Record<string, string>>
  }
  /** Nanoseconds since 1970, as decimal digits: they do not fit a number. */
  readonly timeNano: string
}

const fileName = 'events.jsonl'
const mostBytes = 4 * 1024 * 1024
const longestLine = 64 * 1024

/** The file of events; the one before it has `.1` behind its name. */
export function eventFile(runRoot: string): string {
  return path.join(runRoot, fileName)
}

/** Appends an event. What cannot be written is left out: no command fails for its notes. */
export function writeEvent(runRoot: string, event: Omit<ContainerEvent, 'timeNano'>): void {
  const whole: ContainerEvent = { ...event, timeNano: String(nowNanoseconds()) }
  const text = JSON.stringify(whole)
  const line = text.length > longestLine ? JSON.stringify(withoutAttributes(whole)) : text
  try {
    append(runRoot, `${line}\n`)
  } catch {
    // A full disk, or a run-time directory that is somebody else's.
  }
}

/** Labels of any length are in the record; here they are only for filters. */
function withoutAttributes(event: ContainerEvent): ContainerEvent {
  const { name = '', image = '' } = event.Actor.Attributes
  const Attributes = { name: name.slice(0, 1000), image: image.slice(0, 1000) }
  return { ...event, Actor: { ID: event.Actor.ID, Attributes } }
}

function append(runRoot: string, line: string): void {
  mkdirSync(runRoot, { recursive: true, mode: 0o711 })
  const file = eventFile(runRoot)
  const fd = openSync(file, 'a', 0o600)
  try {
    writeSync(fd, line)
    if (fstatSync(fd).size > mostBytes) rotate(file, fstatSync(fd).ino)
  } finally {
    closeSync(fd)
  }
}

/** By one process; those that have the old file open append to it, where readers still find it. */
function rotate(file: string, inode: number): void {
  using lock = tryLockFile(`${file}.lock`, 'exclusive')
  if (lock === undefined) return
  const fd = openSync(file, 'r')
  const isSame = fstatSync(fd).ino === inode
  closeSync(fd)
  if (isSame) renameSync(file, `${file}.1`)
}

let lastNanoseconds = 0n

/** Grows with every call, so that events of one process keep their order. */
function nowNanoseconds(): bigint {
  const now = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n
  lastNanoseconds = now > lastNanoseconds ? now : lastNanoseconds + 1n
  return lastNanoseconds
}

/** A line as an event; undefined for one that a loss of power cut short. */
export function parseEvent(line: string): ContainerEvent | undefined {
  try {
    const event: Partial<ContainerEvent> = JSON.parse(line)
    const { Type, Action, Actor, timeNano } = event
    if (Type === undefined || Action === undefined || Actor === undefined) return undefined
    if (typeof timeNano !== 'string' || !/^\d{1,20}$/.test(timeNano)) return undefined
    return { Type, Action, Actor, timeNano }
  } catch {
    return undefined
  }
}
