// The two forms in which a container's output is kept: docker's JSON lines, and `local`, binary records without escapes.
// The monitor writes them; what a killed one left half written at the end is no entry.

/** A piece of output: a line with its break, or part of a long one. */
export interface LogEntry {
  readonly stream: 'stdout' | 'stderr'
  /** Nanoseconds since 1970. */
  readonly time: bigint
  readonly text: Buffer
}

/** How output is kept. */
export type LogForm = 'json-file' | 'local'

/** Reads entries out of bytes as they come. */
export interface LogDecoder {
  /** The entries that are whole now. */
  write(bytes: Buffer): LogEntry[]
  /** Bytes of an entry that is not whole yet. */
  pendingBytes(): number
}

/** A decoder for the bytes of one file. */
export function logDecoder(form: LogForm): LogDecoder {
  const entryAt = form === 'json-file' ? jsonEntryAt : localEntryAt
  let rest: Buffer = Buffer.alloc(0)
  return {
    write(bytes) {
      const all = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
      const entries: LogEntry[] = []
      let at = 0
      for (let found = entryAt(all, at); found !== undefined; found = entryAt(all, at)) {
        if (found.entry !== undefined) entries.push(found.entry)
        at = found.end
      }
      rest = Buffer.from(all.subarray(at))
      return entries
    },
    pendingBytes: () => rest.length,
  }
}

interface Found {
  /** Undefined where the bytes are no entry. */
  readonly entry: LogEntry | undefined
  readonly end: number
}

/** No entry is longer; what claims to be is damage, which must not fill the memory. */
const maxEntryBytes = 1024 * 1024

function jsonEntryAt(bytes: Buffer, at: number): Found | undefined {
  const newline = bytes.indexOf(0x0a, at)
  if (newline < 0)
    return bytes.length - at > maxEntryBytes ? { entry: undefined, end: bytes.length } : undefined
  return { entry: parseJsonEntry(bytes.toString('utf8', at, newline)), end: newline + 1 }
}

function parseJsonEntry(line: string): LogEntry | undefined {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null || !('time' in value)) return undefined
    const time = typeof value.time === 'string' ? parseTime(value.time) : undefined
    if (time === undefined) return undefined
    const text = 'log' in value && typeof value.log === 'string' ? value.log : ''
    const stream = 'stream' in value && value.stream === 'stderr' ? 'stderr' : 'stdout'
    return { stream, time, text: Buffer.from(text) }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

const nanosecondsPerMillisecond = 1_000_000n

/** Nanoseconds since 1970 of RFC 3339 with up to nine digits; undefined for anything else. */
export function parseTime(text: string): bigint | undefined {
  const [, seconds, fraction = '', zone] =
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text) ?? []
  if (seconds === undefined || zone === undefined) return undefined
  const milliseconds = Date.parse(`${seconds}${zone}`)
  if (Number.isNaN(milliseconds)) return undefined
  return BigInt(milliseconds) * nanosecondsPerMillisecond + BigInt(fraction.padEnd(9, '0'))
}

/** RFC 3339 in UTC with nine digits, as docker's `logs -t` prints it. */
export function formatTime(time: bigint): string {
  const milliseconds = Number(time / nanosecondsPerMillisecond)
  const fraction = (time % 1_000_000_000n).toString().padStart(9, '0')
  return `${new Date(milliseconds).toISOString().slice(0, 19)}.${fraction}Z`
}

/**
 * u32 length of the text, u8 stream, u8 that is 1 where the line goes on in the next entry, u16 0, u64 time; all
 * little-endian. The break at the end of a line is not in the text.
 */
const localHeaderBytes = 16
const lineBreak = Buffer.from('\n')
const nothing = Buffer.alloc(0)

function localEntryAt(bytes: Buffer, at: number): Found | undefined {
  if (bytes.length - at < localHeaderBytes) return undefined
  const length = bytes.readUInt32LE(at)
  if (length > maxEntryBytes) return { entry: undefined, end: bytes.length }
  const start = at + localHeaderBytes
  if (bytes.length < start + length) return undefined
  const isWhole = bytes[at + 5] === 0
  const entry: LogEntry = {
    stream: bytes[at + 4] === 2 ? 'stderr' : 'stdout',
    time: bytes.readBigUInt64LE(at + 8),
    text: Buffer.concat([bytes.subarray(start, start + length), isWhole ? lineBreak : nothing]),
  }
  return { entry, end: start + length }
}
