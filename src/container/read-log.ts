// Reads what a container printed, oldest first: the files that rotation left, then the current one, and, while somebody
// follows, what comes. A file that is rotated away under its reader is read to its end first.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasErrno } from '../core/errors.ts'
import { type LogDecoder, type LogEntry, type LogForm, logDecoder } from './log-format.ts'

/** Where a container's output is: `file`, and `file.1`, the youngest, `file.2` … */
export interface LogFiles {
  readonly form: LogForm
  readonly file: string
}

/** Which of it is wanted. */
export interface LogOptions {
  /** Nanoseconds since 1970; entries of this time and later. */
  readonly since?: bigint | undefined
  /** Entries of this time and earlier. */
  readonly until?: bigint | undefined
  /** So many of the last ones; undefined: all. */
  readonly tail?: number | undefined
  /** Goes on until the container has ended: false from then on. Undefined: only what is there. */
  readonly isRunning?: (() => boolean) | undefined
  readonly signal?: AbortSignal | undefined
}

/** The entries; ends with the log, with `until`, or with the container where it is followed. */
export async function* readLog(log: LogFiles, options: LogOptions): AsyncGenerator<LogEntry, void> {
  using files = openFiles(log)
  const isWanted = (entry: LogEntry): boolean =>
    (options.since === undefined || entry.time >= options.since) &&
    (options.until === undefined || entry.time <= options.until)
  const last: LogEntry[] = []
  for (const entry of entriesThere(files, log.form)) {
    options.signal?.throwIfAborted()
    if (!isWanted(entry)) continue
    if (options.tail === undefined) yield entry
    else keepLast(last, entry, options.tail)
  }
  yield* last
  if (options.isRunning !== undefined)
    yield* follow(files, log.form, { ...options, isRunning: options.isRunning })
}

function keepLast(last: LogEntry[], entry: LogEntry, most: number): void {
  if (most === 0) return
  if (last.length >= most) last.shift()
  last.push(entry)
}

const pieceBytes = 256 * 1024
const pollMs = 50

interface OpenFile {
  readonly fd: number
  readonly inode: number
  position: number
}

interface OpenFiles extends Disposable {
  /** Oldest first; the last one is being written. */
  readonly files: OpenFile[]
  /** What was begun since, in order, after what this reader has open. */
  openNewer(): void
}

function openFiles({ file }: LogFiles): OpenFiles {
  const files: OpenFile[] = openChain(file, undefined)
  return {
    files,
    openNewer() {
      const current = files.at(-1)
      files.push(...openChain(file, current?.inode))
    },
    [Symbol.dispose]() {
      for (const { fd } of files.splice(0)) closeSync(fd)
    },
  }
}

/** The current file and those before it, down to the one of that inode, which is left out; oldest first. */
function openChain(file: string, down: number | undefined): OpenFile[] {
  const chain: OpenFile[] = []
  for (let number = 0; ; number++) {
    const opened = openIfThere(number === 0 ? file : `${file}.${number}`)
    if (opened === undefined && number > 0) return chain.toReversed()
    if (opened === undefined) continue
    if (opened.inode === down) {
      closeSync(opened.fd)
      return chain.toReversed()
    }
    // A rotation between two of these steps shows one file twice.
    if (chain.some(({ inode }) => inode === opened.inode)) closeSync(opened.fd)
    else chain.push(opened)
  }
}

function openIfThere(file: string): OpenFile | undefined {
  try {
    const fd = openSync(file, 'r')
    return { fd, inode: fstatSync(fd).ino, position: 0 }
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** What is in the files now; their positions are at their ends afterwards. */
function* entriesThere({ files }: OpenFiles, form: LogForm): Generator<LogEntry, void> {
  for (const file of files) yield* entriesOf(file, form)
}

function* entriesOf(file: OpenFile, form: LogForm): Generator<LogEntry, void> {
  const decoder = logDecoder(form)
  yield* newEntries(file, decoder)
  // Who follows reads an entry that is being written again, from its beginning.
  file.position -= decoder.pendingBytes()
}

async function* follow(
  open: OpenFiles,
  form: LogForm,
  options: LogOptions & { readonly isRunning: () => boolean },
): AsyncGenerator<LogEntry, void> {
  const { since, until, signal } = options
  let current = open.files.at(-1)
  let decoder = logDecoder(form)
  for (;;) {
    signal?.throwIfAborted()
    // Asked before reading: what is there when it has ended is all there will be.
    const isRunning = options.isRunning()
    const next = nextFile(open, current)
    if (current !== undefined)
      for (const entry of newEntries(current, decoder)) {
        if (until !== undefined && entry.time > until) return
        if (since === undefined || entry.time >= since) yield entry
      }
    if (next !== undefined) {
      current = next
      decoder = logDecoder(form)
      continue
    }
    const isOver = until !== undefined && BigInt(Date.now()) * 1_000_000n > until
    if (!isRunning || isOver) return
    await sleep(pollMs, undefined, { signal })
  }
}

function* newEntries(file: OpenFile, decoder: LogDecoder): Generator<LogEntry, void> {
  for (;;) {
    const buffer = Buffer.allocUnsafe(pieceBytes)
    const length = readSync(file.fd, buffer, 0, pieceBytes, file.position)
    if (length === 0) return
    file.position += length
    yield* decoder.write(buffer.subarray(0, length))
  }
}

/** The file behind this one, where rotation began a new one: nothing more is written to this one then. */
function nextFile(open: OpenFiles, current: OpenFile | undefined): OpenFile | undefined {
  const at = current === undefined ? -1 : open.files.indexOf(current)
  if (at === open.files.length - 1) open.openNewer()
  return open.files[at + 1]
}
