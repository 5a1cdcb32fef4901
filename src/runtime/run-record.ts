// What a running container has on the host beside its processes, written down before it is made, so that whoever comes
// after a killed owner can remove it. The records are below the run-time directory, which does not outlive the boot.

import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { namesIn } from '../core/directory-names.ts'
import { hasErrno, KauriError } from '../core/errors.ts'

export interface RunRecord {
  readonly id: string
  /** The process that runs the container; when it dies, so does the container. */
  readonly owner: ProcessIdentity
  readonly cgroups: readonly string[]
  /** A directory that only serves as the overlay's lowest layer. */
  readonly mountPoints?: string
  /** It has files by which others find it, which go with its owner. */
  readonly isFindable?: boolean
}

/** A process id can be used again, but not with the same start. */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks since boot. */
  readonly startTicks: string
}

const idPattern = /^\w[\w.-]{0,127}$/

/** Directory of the records of one run-time directory. */
export function recordDirectory(runRoot: string): string {
  return path.join(runRoot, 'runtime')
}

/** Puts another owner in; whoever reads it meanwhile finds the one or the other. */
export function changeRecord(runRoot: string, record: RunRecord): void {
  const file = path.join(recordDirectory(runRoot), `${record.id}.json`)
  const temporary = path.join(recordDirectory(runRoot), `.${record.id}.${process.pid}`)
  writeFileSync(temporary, JSON.stringify(record), { mode: 0o600 })
  renameSync(temporary, file)
}

/** Removes the record; idempotent. */
export function removeRecord(runRoot: string, id: string): void {
  rmSync(path.join(recordDirectory(runRoot), `${id}.json`), { force: true })
}

/** Writes the record whole or not at all; the caller removes it at the end. @throws USAGE, LAUNCH_FAILED when the id is taken */
export function writeRecord(runRoot: string, record: RunRecord): Disposable {
  const { id } = record
  if (!idPattern.test(id)) throw new KauriError('USAGE', `${JSON.stringify(id)} is no container id`)
  const directory = recordDirectory(runRoot)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const file = path.join(directory, `${id}.json`)
  const temporary = path.join(directory, `.${id}.${process.pid}`)
  writeFileSync(temporary, JSON.stringify(record), { mode: 0o600 })
  try {
    linkSync(temporary, file)
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error
    throw new KauriError('LAUNCH_FAILED', `a container ${id} is running already`, { cause: error })
  } finally {
    rmSync(temporary, { force: true })
  }
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) }
}

/** A record whose owner is dead, claimed by this process alone. */
export interface AbandonedRecord extends Disposable {
  readonly record: RunRecord
}

/** Claims what dead owners left; of several processes that do this at once each record goes to one. */
export function claimAbandoned(runRoot: string): readonly AbandonedRecord[] {
  const directory = recordDirectory(runRoot)
  return namesIn(directory).flatMap(name => {
    if (!isAbandoned(directory, name)) return []
    const claimed = path.join(directory, claimedName(name))
    try {
      renameSync(path.join(directory, name), claimed)
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return []
      throw error
    }
    const record = readRecord(claimed)
    const dispose = (): void => rmSync(claimed, { force: true })
    if (record !== undefined) return [{ record, [Symbol.dispose]: dispose }]
    dispose()
    return []
  })
}

/** `id.json` is its owner's, `id.json.PID-TICKS` its sweeper's, `.id.PID` one that is being written. */
const claimPattern = /^(.+\.json)\.(\d+)-(\d+)$/
const temporaryPattern = /^\..+\.(\d+)$/

function claimedName(name: string): string {
  const base = claimPattern.exec(name)?.[1] ?? name
  const { pid, startTicks } = ownIdentity()
  return `${base}.${pid}-${startTicks}`
}

function isAbandoned(directory: string, name: string): boolean {
  const [, , sweeper, ticks] = claimPattern.exec(name) ?? []
  if (sweeper !== undefined && ticks !== undefined)
    return !isAlive({ pid: Number(sweeper), startTicks: ticks })
  const writer = temporaryPattern.exec(name)?.[1]
  if (writer !== undefined) return startTicksOf(Number(writer)) === undefined
  const record = readRecord(path.join(directory, name))
  // A zombie holds nothing any more, however late its parent takes it away.
  return record !== undefined && !isRunning(record.owner)
}

function readRecord(file: string): RunRecord | undefined {
  try {
    return parseRecord(JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    if (error instanceof SyntaxError || hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function parseRecord(value: unknown): RunRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { id, owner, cgroups, mountPoints, isFindable } = value as Partial<RunRecord>
  const isWhole =
    typeof id === 'string' &&
    typeof owner?.pid === 'number' &&
    typeof owner.startTicks === 'string' &&
    Array.isArray(cgroups)
  return isWhole
    ? {
        id,
        owner,
        cgroups,
        ...(mountPoints === undefined ? {} : { mountPoints }),
        ...(isFindable === true ? { isFindable } : {}),
      }
    : undefined
}

let own: ProcessIdentity | undefined

/** This process. */
export function ownIdentity(): ProcessIdentity {
  own ??= { pid: process.pid, startTicks: startTicksOf(process.pid) ?? '' }
  return own
}

/** The process that has this id now; undefined where none has. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const startTicks = startTicksOf(pid)
  return startTicks === undefined ? undefined : { pid, startTicks }
}

/** True while the very process is there, be it as a zombie. */
export function isAlive({ pid, startTicks }: ProcessIdentity): boolean {
  return startTicksOf(pid) === startTicks
}

/** True while the very process runs: a zombie has ended, whoever may still want its exit code. */
export function isRunning({ pid, startTicks }: ProcessIdentity): boolean {
  const fields = statOf(pid)
  return fields?.[startField] === startTicks && fields[0] !== 'Z' && fields[0] !== 'X'
}

function startTicksOf(pid: number): string | undefined {
  return statOf(pid)?.[startField]
}

/** Field 22 of /proc/PID/stat, counted from field 3. */
const startField = 19

/** From field 3 on, the process's state; the name before it may have spaces and parentheses. */
function statOf(pid: number): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
