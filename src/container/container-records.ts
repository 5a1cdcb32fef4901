// What is known of containers: `<containers>/<id>/{container.json,request.json,run.json,end.json,…}`, a name for each in
// `.names/`, and a lock beside its directory, held while it is made, runs, or waits to run again. The kernel drops the lock
// with the process that holds it, so who runs is never guessed, and what a killed kauri left is found by its free lock.

import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { namesIn } from '../core/directory-names.ts'
import { KauriError } from '../core/errors.ts'
import { adoptLock, type FileLock, lockFile, tryLockFile } from '../native/file-lock.ts'
import type {
  ContainerEnd,
  ContainerId,
  ContainerRecord,
  ContainerRun,
  ContainerState,
  StoredRequest,
} from './container.ts'
import { asContainerId } from './container-name.ts'
import { claimName, freeName } from './container-names.ts'
import { readEnd, readRecord, readRequest, readRun, writeRecordFile } from './record-files.ts'

/** A container that this process has for itself. Disposing it gives it back. */
export interface OwnedContainer extends Disposable {
  readonly record: ContainerRecord
  /** Where its files are: those mounted into it, its log. */
  readonly directory: string
  /** Held until the container has ended; whoever inherits it holds the container. */
  readonly lockFd: number
  /** Remembers that all of it is there, to be run by whoever wants to. */
  complete(): void
  /** Remembers that a run begins: until `end` it counts as running while somebody holds the lock. */
  begin(run: ContainerRun): void
  /** Remembers how the run ended. */
  end(end: ContainerEnd): void
  /** Takes back that it waits to run again. */
  stopWaiting(): void
  /** Remembers why the run did not begin: the container counts as created again. */
  failed(end: ContainerEnd): void
  /** Removes every trace of it but its tree; disposing does nothing then. */
  forget(): void
}

/** What a new record needs; a missing name is made up. */
export type NewContainer = Omit<ContainerRecord, 'name'> & { readonly name?: string | undefined }

/** Makes the record of a container. It is nobody's to see before `begin` or `created`. @throws USAGE, NAME_IN_USE */
export async function createContainer(
  root: string,
  asked: NewContainer,
  request?: StoredRequest,
): Promise<OwnedContainer> {
  mkdirSync(root, { recursive: true, mode: 0o711 })
  const directory = path.join(root, asked.id)
  const lock = await lockFile(lockOf(root, asked.id), 'exclusive')
  try {
    // Volumes hold set-user-ID programs of the image, which nobody else on the host may run (CVE-2021-41091).
    mkdirSync(directory, { mode: 0o700 })
    const record = { ...asked, name: claimName(root, asked) }
    if (request !== undefined) writeRecordFile(path.join(directory, requestFile), request)
    writeRecordFile(path.join(directory, recordFile), record)
    return ownedContainer(root, record, lock)
  } catch (error) {
    rmSync(directory, { recursive: true, force: true })
    lock.removeAndRelease()
    throw error
  }
}

/**
 * Takes a container that nobody runs; waits for those who hold it for a moment, such as the clean-up of its last run.
 * @throws LOCK_BUSY, CONTAINER_NOT_FOUND
 */
export async function takeContainer(
  root: string,
  id: ContainerId,
  waitMs: number = momentMs,
): Promise<OwnedContainer> {
  for (const deadlineMs = Date.now() + waitMs; ; ) {
    const lock = tryLockFile(lockOf(root, id), 'exclusive')
    if (lock !== undefined) return ownedOrGone(root, id, lock)
    if (Date.now() > deadlineMs)
      throw new KauriError('LOCK_BUSY', `the container ${id.slice(0, 12)} is in use`, {
        hint: 'stop it first, or try again',
      })
    await sleep(lockPauseMs)
  }
}

const momentMs = 250
const lockPauseMs = 5

/** Takes a container whose lock this process inherited. @throws CONTAINER_NOT_FOUND */
export function inheritContainer(root: string, id: ContainerId, lockFd: number): OwnedContainer {
  return ownedOrGone(root, id, adoptLock(lockOf(root, id), lockFd))
}

function ownedOrGone(root: string, id: ContainerId, lock: FileLock): OwnedContainer {
  const record = readRecord(path.join(root, id, recordFile))
  if (record !== undefined) return ownedContainer(root, record, lock)
  lock.removeAndRelease()
  throw notFound(id)
}

/** Every container, newest first. */
export function listContainers(root: string): ContainerState[] {
  return namesIn(root)
    .flatMap(name => {
      const id = asContainerId(name)
      const state = id === undefined ? undefined : readState(root, id)
      return state === undefined ? [] : [state]
    })
    .toSorted((a, b) => b.createdMs - a.createdMs)
}

/** The container of that name, id or beginning of an id. @throws CONTAINER_NOT_FOUND, USAGE where a beginning fits several */
export function getContainer(root: string, text: string): ContainerState {
  const all = listContainers(root)
  const name = text.startsWith('/') ? text.slice(1) : text
  const exact = all.find(state => state.id === text || state.name === name)
  const matches = exact === undefined ? all.filter(({ id }) => id.startsWith(text)) : [exact]
  const [found, ...others] = text === '' ? [] : matches
  if (others.length > 0)
    throw new KauriError('USAGE', `${text} is the beginning of ${matches.length} container ids`, {
      hint: 'write more digits',
    })
  if (found !== undefined) return found
  throw notFound(text)
}

function notFound(text: string): KauriError {
  return new KauriError('CONTAINER_NOT_FOUND', `No such container: ${text}`, {
    hint: 'kauri ps -a lists what is there',
  })
}

/** Its last run; undefined where it never ran. */
export function readRunOf(
  root: string,
  { id }: Pick<ContainerRecord, 'id'>,
): ContainerRun | undefined {
  return readRun(path.join(root, id, runFile))
}

/** What the container was made from; undefined where it is gone. */
export function readRequestOf(
  root: string,
  { id }: Pick<ContainerRecord, 'id'>,
): StoredRequest | undefined {
  return readRequest(path.join(root, id, requestFile))
}

/** What the container was made from. @throws CONTAINER_NOT_FOUND */
export function getRequest(root: string, { id }: Pick<ContainerRecord, 'id'>): StoredRequest {
  const request = readRequestOf(root, { id })
  if (request === undefined) throw notFound(id)
  return request
}

/** Changes what a container was made from; whole or not at all. */
export function writeRequest(root: string, id: ContainerId, request: StoredRequest): void {
  writeRecordFile(path.join(root, id, requestFile), request)
}

/** Gives a container another name. @throws USAGE, NAME_IN_USE */
export function renameContainer(root: string, record: ContainerRecord, name: string): void {
  const { id, imageName, imageDigest, command, createdMs, labels, removeAfter, volumes } = record
  const renamed = claimName(root, { id, name })
  const kept = { id, imageName, imageDigest, command, createdMs, labels, removeAfter, volumes }
  writeRecordFile(path.join(root, id, recordFile), { ...kept, name: renamed })
  freeName(root, id, record.name)
}

/** What a container's removal could not finish marks it as dead. */
export function markDead(root: string, id: ContainerId): void {
  writeFileSync(path.join(root, id, deadFile), '')
}

/** Remembers that somebody wants it to stop, so that no policy starts it again. */
export function markStopped(root: string, id: ContainerId): void {
  writeFileSync(path.join(root, id, stoppedFile), '')
}

/** True where somebody stopped it since it was last started. */
export function wasStopped(root: string, id: ContainerId): boolean {
  return existsSync(path.join(root, id, stoppedFile))
}

/** Takes back that somebody wants it to stop. */
export function clearStopped(root: string, id: ContainerId): void {
  rmSync(path.join(root, id, stoppedFile), { force: true })
}

/** A container that a sweep removed. */
export type SweptContainer = Pick<ContainerRecord, 'id' | 'volumes'>

/** Who tells how runs ended whose processes did not live to write it down. */
export type FindEnd = (id: ContainerId) => ContainerEnd | undefined

/**
 * Ends the records that killed processes left: what was to be removed is, the others exited with 137, or with what their
 * monitor said. Tells what was removed, whose trees and volumes may be there still.
 */
export function sweepContainers(
  root: string,
  findEnd: FindEnd = () => undefined,
): SweptContainer[] {
  const removed: SweptContainer[] = []
  for (const name of namesIn(root)) {
    const id = name.endsWith('.lock') ? asContainerId(name.slice(0, -'.lock'.length)) : undefined
    if (id === undefined || !needsSweep(root, id)) continue
    using lock = tryLockFile(path.join(root, name), 'exclusive')
    const swept = lock === undefined ? undefined : sweepContainer(root, id, findEnd)
    if (swept !== undefined) removed.push(swept)
    if (!existsSync(path.join(root, id))) lock?.removeAndRelease()
  }
  return removed
}

/** Most containers are as they shall be, and need not be locked to see it. */
function needsSweep(root: string, id: ContainerId): boolean {
  const state = readState(root, id, () => true)
  if (state === undefined) return true
  if (state.status === 'created') return !isComplete(root, id)
  return state.removeAfter || state.status === 'running' || state.status === 'restarting'
}

/** False for what a killed process had only begun to make. */
function isComplete(root: string, id: ContainerId): boolean {
  return existsSync(path.join(root, id, completeFile))
}

/** What is gone now; undefined where it stays. */
function sweepContainer(
  root: string,
  id: ContainerId,
  findEnd: FindEnd,
): SweptContainer | undefined {
  const record = readRecord(path.join(root, id, recordFile))
  const hasRun = existsSync(path.join(root, id, runFile))
  const isKept = hasRun ? record?.removeAfter === false : isComplete(root, id)
  if (record === undefined || !isKept) {
    forget(root, id, record?.name)
    return { id, volumes: record?.volumes ?? [] }
  }
  stopWaiting(root, id)
  if (!hasRun || readEnd(path.join(root, id, endFile)) !== undefined) return undefined
  const killed = { exitCode: 137, outOfMemory: false, finishedMs: Date.now() }
  writeEnd(root, id, findEnd(id) ?? killed)
  return undefined
}

const recordFile = 'container.json'
const requestFile = 'request.json'
const completeFile = 'complete'
const runFile = 'run.json'
const endFile = 'end.json'
const deadFile = 'dead'
const stoppedFile = 'stopped'

function lockOf(root: string, id: ContainerId): string {
  return path.join(root, `${id}.lock`)
}

function ownedContainer(root: string, record: ContainerRecord, lock: FileLock): OwnedContainer {
  const { id } = record
  const directory = path.join(root, id)
  return {
    record,
    directory,
    lockFd: lock.fd,
    complete: () => writeFileSync(path.join(directory, completeFile), ''),
    begin(run) {
      rmSync(path.join(directory, endFile), { force: true })
      writeRecordFile(path.join(directory, runFile), run)
    },
    end: end => writeEnd(root, id, end),
    stopWaiting: () => stopWaiting(root, id),
    failed(end) {
      writeEnd(root, id, end)
      rmSync(path.join(directory, runFile), { force: true })
    },
    forget() {
      forget(root, id, record.name)
      lock.removeAndRelease()
    },
    [Symbol.dispose]: () => lock[Symbol.dispose](),
  }
}

function readState(
  root: string,
  id: ContainerId,
  isHeld: (id: ContainerId) => boolean = () => isLocked(root, id),
): ContainerState | undefined {
  const directory = path.join(root, id)
  const record = readRecord(path.join(directory, recordFile))
  if (record === undefined) return undefined
  const run = readRun(path.join(directory, runFile))
  const end = readEnd(path.join(directory, endFile))
  if (run === undefined)
    return { ...record, status: 'created', ...(end === undefined ? {} : { end }) }
  if (end === undefined) return { ...record, status: 'running', run }
  const isWaiting = end.restarting !== undefined && isHeld(id)
  const ended = existsSync(path.join(directory, deadFile)) ? 'dead' : 'exited'
  return { ...record, status: isWaiting ? 'restarting' : ended, run, end }
}

function isLocked(root: string, id: ContainerId): boolean {
  using lock = tryLockFile(lockOf(root, id), 'shared')
  return lock === undefined
}

function stopWaiting(root: string, id: ContainerId): void {
  const end = readEnd(path.join(root, id, endFile))
  if (end?.restarting !== undefined) writeEnd(root, id, { ...end, restarting: undefined })
}

function writeEnd(root: string, id: ContainerId, end: ContainerEnd): void {
  writeRecordFile(path.join(root, id, endFile), end)
}

/** The record goes first: what has none is nobody's container, and the next sweep removes the rest. */
function forget(root: string, id: ContainerId, name: string | undefined): void {
  const directory = path.join(root, id)
  try {
    renameSync(path.join(directory, recordFile), path.join(directory, `${recordFile}.gone`))
  } catch {
    // It never had one.
  }
  rmSync(directory, { recursive: true, force: true })
  if (name !== undefined) freeName(root, id, name)
}
