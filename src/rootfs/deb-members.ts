// Unpacks the archives inside many packages one after the other. Those packed with xz, nearly all, go through a single
// decompressor: starting one for each took longer than its work (88 packages: 1.2 s of 2.4 s).

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { hasErrno, KauriError } from '../core/errors.ts'
import { decompress } from '../layer/decompress.ts'
import { xzTailBytes, xzUnpackedBytes } from './xz-size.ts'

/** A compressed archive inside a file. */
export interface PackedMember {
  readonly file: string
  readonly name: string
  readonly offset: number
  readonly sizeBytes: number
}

/** More decompressors than this only wait for the one thread that takes their output. */
const laneCount = 2

/** Splits work into lanes of about equal size: each item, the largest first, goes to the lane that has least. */
export function splitLanes<T>(items: readonly T[], sizeOf: (item: T) => number): T[][] {
  const lanes = Array.from({ length: laneCount }, () => ({ bytes: 0, items: [] as T[] }))
  for (const item of items.toSorted((a, b) => sizeOf(b) - sizeOf(a))) {
    const least = lanes.reduce((best, lane) => (lane.bytes < best.bytes ? lane : best))
    least.bytes += sizeOf(item)
    least.items.push(item)
  }
  return lanes.flatMap(lane => (lane.items.length > 0 ? [lane.items] : []))
}

const xzMagic = Buffer.from('fd377a585a00', 'hex')

/**
 * The unpacked archives in the order of the members. Each must be read to its end before the next is asked for; ending
 * early ends the decompressor.
 * @throws ARCHIVE_INVALID with the member's name
 */
export async function* unpackMembers(
  members: readonly PackedMember[],
  signal?: AbortSignal,
): AsyncGenerator<AsyncIterable<Uint8Array>> {
  const sized = await Promise.all(
    members.map(async member => ({ member, unpackedBytes: await unpackedSize(member) })),
  )
  const xz: SizedMember[] = []
  for (const { member, unpackedBytes } of sized)
    if (unpackedBytes !== undefined) xz.push({ ...member, unpackedBytes })
  const together = xz.length > 1 ? unpackTogether(xz, signal) : undefined
  try {
    for (const { member, unpackedBytes } of sized) {
      const next = unpackedBytes === undefined ? undefined : await together?.next()
      yield next === undefined || next.done ? await unpackAlone(member, signal) : next.value
    }
  } finally {
    await together?.return(undefined)
  }
}

interface SizedMember extends PackedMember {
  readonly unpackedBytes: number
}

async function unpackAlone(
  member: PackedMember,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Uint8Array>> {
  const name = `${member.name} of ${member.file}`
  const { bytes } = await decompress(readMember(member), { signal, name })
  return bytes
}

/** One `xz` for all: its output is theirs in order, parted by the sizes that they state. */
async function* unpackTogether(
  members: readonly SizedMember[],
  signal: AbortSignal | undefined,
): AsyncGenerator<AsyncIterable<Uint8Array>> {
  // It reads and writes pipes only, so it ends when this process does; it needs no guard.
  const child = spawn('xz', ['--decompress', '--stdout', '--quiet', '--threads=1'], {
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    stdio: ['pipe', 'pipe', 'ignore'],
    ...(signal === undefined ? {} : { signal }),
  })
  const closed = once(child, 'close')
  const feeding = pipeline(readMembers(members), child.stdin)
  for (const late of [closed, feeding]) late.catch(() => {})
  const output = child.stdout[Symbol.asyncIterator]()
  let rest: Buffer = Buffer.alloc(0)
  async function* take(member: SizedMember): AsyncGenerator<Buffer> {
    let left = member.unpackedBytes
    while (left > 0) {
      if (rest.length === 0) {
        const { done, value } = await output.next()
        if (done) throw await endedEarly(member, { closed, signal })
        rest = value as Buffer
      }
      const piece = rest.subarray(0, left)
      rest = rest.subarray(piece.length)
      left -= piece.length
      yield piece
    }
  }
  try {
    for (const member of members) yield take(member)
  } finally {
    child.kill('SIGKILL')
  }
}

interface EndedProcess {
  readonly closed: Promise<unknown>
  readonly signal: AbortSignal | undefined
}

async function endedEarly(
  member: PackedMember,
  { closed, signal }: EndedProcess,
): Promise<unknown> {
  signal?.throwIfAborted()
  try {
    await closed
  } catch (error) {
    if (hasErrno(error, 'ENOENT'))
      return new KauriError('PREREQUISITE_MISSING', 'the program xz is not installed', {
        hint: 'apt-get install xz-utils',
        cause: error,
      })
    return error
  }
  return new KauriError(
    'ARCHIVE_INVALID',
    `${member.name} of ${member.file}: the xz data is broken or cut short`,
  )
}

async function* readMembers(members: readonly PackedMember[]): AsyncGenerator<Buffer> {
  for (const member of members) yield* readMember(member)
}

async function* readMember({ file, offset, sizeBytes }: PackedMember): AsyncGenerator<Buffer> {
  const bytes = createReadStream(file, {
    start: offset,
    end: offset + sizeBytes - 1,
    highWaterMark: 256 * 1024,
  })
  for await (const chunk of bytes) yield chunk as Buffer
}

/** What an xz stream says it unpacks to; undefined for other formats and for what does not say. */
async function unpackedSize({
  file,
  offset,
  sizeBytes,
}: PackedMember): Promise<number | undefined> {
  await using handle = await open(file, 'r')
  const start = Buffer.alloc(xzMagic.length)
  await handle.read(start, 0, start.length, offset)
  if (!start.equals(xzMagic)) return undefined
  // The index of most packages is a few bytes long.
  for (const length of [256, xzTailBytes]) {
    const tail = Buffer.alloc(Math.min(length, sizeBytes))
    await handle.read(tail, 0, tail.length, offset + sizeBytes - tail.length)
    const bytes = xzUnpackedBytes(tail, sizeBytes)
    if (bytes !== undefined) return bytes
  }
  return undefined
}
