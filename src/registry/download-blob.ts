// Blobs from a registry (distribution-spec v1.1, end-2): a stream that goes on where a connection broke, with exactly as
// many bytes as the descriptor says. Where a server cannot send the rest alone, what came before is skipped.

import { Readable } from 'node:stream'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester } from '../oci/digest.ts'
import { type Endpoint, repositoryPath } from './endpoints.ts'
import type { Signalled } from './registry.ts'
import { isPassing, reasonOf, unreachable } from './registry-error.ts'
import { backOffMs, waitMs } from './retry.ts'
import { pullScopes } from './scopes.ts'
import { requireStatus, type Session, type SessionAnswer } from './session.ts'
import { dropBody } from './transport.ts'

/** True where the registry has the blob. */
export async function hasBlob(
  session: Session,
  endpoint: Endpoint,
  blob: { readonly digest: string; readonly scopes: readonly string[] },
  { signal }: Signalled,
): Promise<boolean> {
  const { digest, scopes } = blob
  const target = blobPath(endpoint, digest)
  const answer = await session.send({ endpoint, method: 'HEAD', target, scopes, signal })
  await dropBody(answer)
  if (answer.status === 404) return false
  await requireStatus(answer, 'HEAD', 200)
  return true
}

/**
 * Opens the blob, or gives undefined where the registry has none. It is as long as it should be, and not hashed; a chunk is
 * the caller's only until it asks for the next one.
 */
export async function downloadBlob(
  session: Session,
  endpoint: Endpoint,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  options: Signalled,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const first = await ask(session, { endpoint, descriptor, from: 0 }, options)
  if (first.status === 404) {
    await dropBody(first)
    return undefined
  }
  await requireStatus(first, 'GET', 200)
  requireLength(first, descriptor)
  return receive(session, { endpoint, descriptor, first }, options)
}

/** A copy of lent bytes; fails at their end where they are not what the digest names. */
export function hashed(
  source: AsyncIterable<Uint8Array>,
  { digest }: Pick<Descriptor, 'digest'>,
  host: string,
): Readable {
  return Readable.from(hash(source, digest, host), {
    objectMode: false,
    highWaterMark: 1024 * 1024,
  })
}

async function* hash(
  source: AsyncIterable<Uint8Array>,
  digest: string,
  host: string,
): AsyncGenerator<Uint8Array> {
  const digester = createDigester()
  for await (const chunk of source) {
    const kept = Buffer.from(chunk)
    digester.update(kept)
    yield kept
  }
  const actual = digester.digest()
  if (actual !== digest)
    throw new KauriError(
      'CHECKSUM_MISMATCH',
      `${host} sent ${actual} in place of the blob ${digest}`,
      {
        hint: 'the registry is damaged, or somebody is in between',
      },
    )
}

function blobPath(endpoint: Endpoint, digest: string): string {
  return `${repositoryPath(endpoint)}/blobs/${digest}`
}

interface Wish {
  readonly endpoint: Endpoint
  readonly descriptor: Pick<Descriptor, 'digest' | 'size'>
  readonly from: number
}

async function ask(
  session: Session,
  { endpoint, descriptor, from }: Wish,
  { signal }: Signalled,
): Promise<SessionAnswer> {
  return await session.send({
    endpoint,
    method: 'GET',
    target: blobPath(endpoint, descriptor.digest),
    headers: from === 0 ? {} : { range: `bytes=${from}-${descriptor.size - 1}` },
    scopes: pullScopes(endpoint),
    signal,
  })
}

interface Transfer {
  readonly endpoint: Endpoint
  readonly descriptor: Pick<Descriptor, 'digest' | 'size'>
  readonly first: SessionAnswer
}

/** Resumes that brought so much count as new beginnings. */
const progressBytes = 1024 * 1024

async function* receive(
  session: Session,
  { endpoint, descriptor, first }: Transfer,
  options: Signalled,
): AsyncGenerator<Uint8Array> {
  const { size } = descriptor
  let received = 0
  let failures = 0
  let receivedAtFailure = 0
  let rest: Rest = { answer: first, skip: 0 }
  const pace = leastPace(session.limits, endpoint)
  for (;;) {
    let failure: unknown
    try {
      for await (const chunk of withoutStart(rest)) {
        received += chunk.byteLength
        if (received > size) throw tooLong(endpoint, descriptor)
        pace.require(received)
        yield chunk
      }
    } catch (error) {
      requirePassing(error, endpoint, options)
      failure = error
    }
    if (received === size) return
    failures = received - receivedAtFailure >= progressBytes ? 1 : failures + 1
    receivedAtFailure = received
    if (failures >= session.limits.attempts) throw broken(endpoint, received, size, failure)
    await waitMs(backOffMs(failures - 1, session.limits), options.signal)
    const wish = { endpoint, descriptor, from: received }
    rest = await restOf(await ask(session, wish, options), wish)
  }
}

interface Pace {
  /** @throws REGISTRY_FAILED where too little came for too long */
  require(receivedBytes: number): void
}

/** Who drips would hold a pull for days: each byte begins the wait for the next one anew. */
function leastPace({ idleMs, leastBytesPerSecond }: Session['limits'], { host }: Endpoint): Pace {
  let sinceMs = performance.now()
  let before = 0
  return {
    require(received) {
      const elapsedMs = performance.now() - sinceMs
      if (elapsedMs < idleMs) return
      if (received - before < (leastBytesPerSecond * elapsedMs) / 1000)
        throw new KauriError(
          'REGISTRY_FAILED',
          `${host} sends less than ${leastBytesPerSecond} bytes a second`,
          { hint: 'try again: what is complete is kept' },
        )
      sinceMs += elapsedMs
      before = received
    },
  }
}

/** An answer whose first bytes came before already. */
interface Rest {
  readonly answer: SessionAnswer
  readonly skip: number
}

/** Each layer that a chunk passes costs as much as hashing it, so nothing is between where nothing is skipped. */
function withoutStart({ answer, skip }: Rest): AsyncIterable<Uint8Array> {
  return skip === 0 ? answer.body : skipping(answer.body, skip)
}

async function* skipping(
  source: AsyncIterable<Uint8Array>,
  skip: number,
): AsyncGenerator<Uint8Array> {
  let left = skip
  for await (const chunk of source) {
    const skipped = Math.min(left, chunk.byteLength)
    left -= skipped
    if (skipped < chunk.byteLength) yield chunk.subarray(skipped)
  }
}

/** Lost connections and short answers; everything else would be the same again. */
function requirePassing(error: unknown, { host }: Endpoint, { signal }: Signalled): void {
  if (signal?.aborted) throw cancelled(signal)
  if (error instanceof KauriError) throw error
  if (!isPassing(error)) throw unreachable(new URL(`https://${host}`), error)
}

/** A server that cannot send the rest alone sends everything. */
async function restOf(answer: SessionAnswer, { endpoint, descriptor, from }: Wish): Promise<Rest> {
  if (answer.status === 200) {
    requireLength(answer, descriptor)
    return { answer, skip: from }
  }
  await requireStatus(answer, 'GET', 206)
  const range = answer.header('content-range') ?? ''
  const [, start, end, total] = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/.exec(range) ?? []
  const { size } = descriptor
  const isRight =
    Number(start) === from && Number(end) === size - 1 && (total === '*' || Number(total) === size)
  if (isRight) return { answer, skip: 0 }
  answer.body.destroy()
  throw new KauriError(
    'REGISTRY_FAILED',
    `${endpoint.host} was asked for the bytes ${from}-${size - 1} of ${descriptor.digest} and sends "${range.slice(0, 80)}"`,
  )
}

function requireLength(answer: SessionAnswer, { digest, size }: Wish['descriptor']): void {
  const told = answer.header('content-length')
  if (told === undefined || Number(told) === size) return
  answer.body.destroy()
  throw new KauriError(
    'REGISTRY_FAILED',
    `${answer.url.host} has ${told.slice(0, 30)} bytes for the blob ${digest}, its manifest says ${size}`,
  )
}

function tooLong(endpoint: Endpoint, { digest, size }: Wish['descriptor']): KauriError {
  return new KauriError(
    'REGISTRY_FAILED',
    `${endpoint.host} sends more than the ${size} bytes of the blob ${digest}`,
  )
}

function broken(endpoint: Endpoint, received: number, size: number, cause: unknown): KauriError {
  return new KauriError(
    'REGISTRY_FAILED',
    `the connection to ${endpoint.host} broke again and again, after ${received} of ${size} bytes${cause === undefined ? '' : `: ${reasonOf(cause)}`}`,
    { hint: 'try again: what is complete is kept', cause },
  )
}
