// What is known of containers: `<containers>/<id>/{container.json,end.json,…}`, a name for each in `.names/`, and while a
// container runs a lock beside its directory. The kernel drops the lock with the process that holds it, so who runs is
// never guessed, and what a killed kauri left is found by its free lock.

import { existsSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { namesIn } from '../core/directory-names.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { type FileLock, lockFile, tryLockFile } from '../native/file-lock.ts'
import type { ContainerEnd, ContainerId, ContainerRecord, ContainerState } from './container.ts'
import { asContainerId, checkContainerName, inventContainerName } from './container-name.ts'
import { readEnd, readRecord, writeRecordFile } from './record-files.ts'

/** A container of this process. Disposing it before `end` removes every trace of it; idempotent. */
export interface OwnedContainer extends Disposable {
  readonly record: ContainerRecord
  /** Where its files are: those mounted into it, its volumes. */
  readonly directory: string
  /** Remembers how it ended; from then on it is only a record. */
  end(end: ContainerEnd): void
}

/** What a new record needs; a missing name is made up. */
export type NewContainer = Omit<ContainerRecord, 'name'> & { readonly name?: string | undefined }

/** Makes the record of a container that is about to run. @throws USAGE, NAME_IN_USE */
export async function createContainer(root: string, asked: NewContainer): Promise<OwnedContainer> {
  mkdirSync(path.join(root, namesDirectory), { recursive: true, mode: 0o711 })
  const directory = path.join(root, asked.id)
  const lock = await lockFile(`${directory}.lock`, 'exclusive')
  try {
    // Volumes hold set-user-ID programs of the image, which nobody else on the host may run (CVE-2021-41091).
    mkdirSync(directory, { mode: 0o700 })
    const record = { ...asked, name: claimName(root, asked) }
    writeRecordFile(path.join(directory, recordFile), record)
    return ownedContainer(root, record, lock)
  } catch (error) {
    rmSync(directory, { recursive: true, force: true })
    lock.removeAndRelease()
    throw error
  }
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
  const exact = all.find(({ id, name }) => id === text || name === text)
  const matches = exact === undefined ? all.filter(({ id }) => id.startsWith(text)) : [exact]
  const [found, ...others] = text === '' ? [] : matches
  if (others.length > 0)
    throw new KauriError('USAGE', `${text} is the beginning of ${matches.length} container ids`, {
      hint: 'write more digits',
    })
  if (found !== undefined) return found
  throw new KauriError('CONTAINER_NOT_FOUND', `there is no container ${text}`, {
    hint: 'kauri ps -a lists what is there',
  })
}

/** Removes the record of a container that ended. @throws LOCK_BUSY where it runs */
export function removeContainer(root: string, { id, name }: ContainerRecord): void {
  using lock = tryLockFile(path.join(root, `${id}.lock`), 'exclusive')
  if (lock === undefined)
    throw new KauriError('LOCK_BUSY', `the container ${name} is running`, {
      hint: 'stop it first',
    })
  forget(root, id, name)
  lock.removeAndRelease()
}

/** Ends the records that killed processes left: what was to be removed is, the others exited with 137. */
export function sweepContainers(root: string): void {
  for (const name of namesIn(root)) {
    const id = name.endsWith('.lock') ? asContainerId(name.slice(0, -'.lock'.length)) : undefined
    if (id === undefined) continue
    using lock = tryLockFile(path.join(root, name), 'exclusive')
    if (lock === undefined) continue
    const record = readRecord(path.join(root, id, recordFile))
    if (record === undefined || record.removeAfter) forget(root, id, record?.name)
    else if (readEnd(path.join(root, id, endFile)) === undefined)
      writeEnd(root, id, { exitCode: 137, outOfMemory: false, finishedMs: Date.now() })
    lock.removeAndRelease()
  }
}

const recordFile = 'container.json'
const endFile = 'end.json'
const namesDirectory = '.names'

function ownedContainer(root: string, record: ContainerRecord, lock: FileLock): OwnedContainer {
  let ended = false
  return {
    record,
    directory: path.join(root, record.id),
    end(end) {
      writeEnd(root, record.id, end)
      ended = true
      lock.removeAndRelease()
    },
    [Symbol.dispose]() {
      if (ended) return
      ended = true
      forget(root, record.id, record.name)
      lock.removeAndRelease()
    },
  }
}

function readState(root: string, id: ContainerId): ContainerState | undefined {
  const record = readRecord(path.join(root, id, recordFile))
  if (record === undefined) return undefined
  const end = readEnd(path.join(root, id, endFile))
  return end === undefined ? { ...record, status: 'running' } : { ...record, status: 'exited', end }
}

function writeEnd(root: string, id: ContainerId, end: ContainerEnd): void {
  writeRecordFile(path.join(root, id, endFile), end)
}

/** Gives the container its name, as a link that says whose it is; the name of a container that is gone is free. */
function claimName(root: string, { id, name: asked }: NewContainer): string {
  for (;;) {
    const name = asked === undefined ? inventContainerName() : checkContainerName(asked)
    const file = path.join(root, namesDirectory, name)
    try {
      symlinkSync(id, file)
      return name
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw error
    }
    const holder = ownerOf(file)
    if (holder === undefined || !existsSync(path.join(root, holder))) rmSync(file, { force: true })
    else if (asked !== undefined)
      throw new KauriError(
        'NAME_IN_USE',
        `the container name ${name} is in use by container ${holder.slice(0, 12)}`,
        { hint: `remove that container with kauri rm ${name}, or take another name` },
      )
  }
}

function ownerOf(nameFile: string): ContainerId | undefined {
  try {
    return asContainerId(readlinkSync(nameFile))
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'EINVAL')) return undefined
    throw error
  }
}

function forget(root: string, id: ContainerId, name: string | undefined): void {
  rmSync(path.join(root, id), { recursive: true, force: true })
  const file = name === undefined ? undefined : path.join(root, namesDirectory, name)
  if (file !== undefined && ownerOf(file) === id) rmSync(file, { force: true })
}
