// Blobs to a registry (distribution-spec v1.1, end-4 to end-6, end-11): mounted from another repository, else sent whole,
// else in pieces. Registries differ in what they take, so each way falls back to the other, and what one of them took is
// remembered for its next blob.

import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { hasBlob } from './download-blob.ts'
import { type Endpoint, repositoryPath } from './endpoints.ts'
import type { UploadOptions } from './registry.ts'
import {
  isPassing,
  type RegistryReport,
  readReport,
  refusal,
  unreachable,
} from './registry-error.ts'
import { backOffMs, isPassingStatus, waitMs } from './retry.ts'
import { pushScopes } from './scopes.ts'
import { locationTarget, requireStatus, type Session, type SessionAnswer } from './session.ts'
import { dropBody } from './transport.ts'
import { type OpenSource, type UploadSource, uploadSource } from './upload-source.ts'

type Blob = Pick<Descriptor, 'digest' | 'size'>
type Way = 'whole' | 'pieces'

/** Which way a host took last. */
export type UploadWays = Map<string, Way>

export interface UploadWork extends UploadOptions {
  readonly session: Session
  readonly endpoint: Endpoint
  readonly blob: Blob
  readonly ways: UploadWays
}

/** An upload that the registry waits for. */
interface Upload {
  readonly location: URL
  /** Pieces must not be shorter, but for the last one. */
  readonly minPieceBytes: number
}

/** Sends a blob that the registry has not got. @throws CHECKSUM_MISMATCH where the bytes are not what the digest names */
export async function uploadBlob(work: UploadWork, open: OpenSource): Promise<void> {
  const { blob, endpoint, ways, onProgress = () => {} } = work
  const begun = await mountOrBegin(work)
  if (begun === 'mounted') return onProgress(blob.size)
  await using source = uploadSource(open, blob, onProgress)
  const first = ways.get(endpoint.host) ?? 'whole'
  const refused = await sendBy(first, work, source, begun)
  if (refused === undefined) return void ways.set(endpoint.host, first)
  // An answer that got lost on its way may have been a good one.
  if (await isThere(work)) return
  const second = first === 'whole' ? 'pieces' : 'whole'
  const refusedAgain = await sendBy(second, work, source, undefined)
  if (refusedAgain !== undefined && !(await isThere(work))) throw refused
  ways.set(endpoint.host, second)
}

async function isThere({ session, endpoint, blob, signal }: UploadWork): Promise<boolean> {
  const question = { digest: blob.digest, scopes: pushScopes(endpoint) }
  return await hasBlob(session, endpoint, question, { signal })
}

/** The error of a way that the registry does not take; undefined: the blob is there. */
async function sendBy(
  way: Way,
  work: UploadWork,
  source: UploadSource,
  begun: Upload | undefined,
): Promise<KauriError | undefined> {
  const send = way === 'whole' ? sendWhole : sendPieces
  try {
    return await send(work, source, begun)
  } catch (error) {
    throw source.failure() ?? error
  }
}

async function mountOrBegin(work: UploadWork): Promise<Upload | 'mounted'> {
  for (const from of work.mountFrom ?? []) {
    const answer = await post(work, from)
    if (answer.status === 201) {
      await dropBody(answer)
      return 'mounted'
    }
    // Not there, or not ours to read: most registries begin an upload then, which is used.
    if (answer.status === 202) return await uploadOf(answer)
    await dropBody(answer)
  }
  return await begin(work)
}

async function begin(work: UploadWork): Promise<Upload> {
  const answer = await post(work, undefined)
  await requireStatus(answer, 'POST', 202)
  return await uploadOf(answer)
}

async function post(
  { session, endpoint, blob, signal }: UploadWork,
  from: string | undefined,
): Promise<SessionAnswer> {
  const query =
    from === undefined ? '' : `?${new URLSearchParams({ mount: blob.digest, from }).toString()}`
  return await session.send({
    endpoint,
    method: 'POST',
    target: `${repositoryPath(endpoint)}/blobs/uploads/${query}`,
    headers: { 'content-length': '0' },
    scopes: pushScopes(endpoint, from),
    signal,
  })
}

async function uploadOf(answer: SessionAnswer): Promise<Upload> {
  await dropBody(answer)
  const minimum = Number(answer.header('oci-chunk-min-length') ?? 0)
  return {
    location: locationTarget(answer.url, answer.header('location')),
    minPieceBytes: Number.isSafeInteger(minimum) && minimum > 0 ? minimum : 0,
  }
}

/** Statuses of registries, and of what stands before them, that do not take a way at all. */
const refusingStatuses = new Set([400, 404, 405, 411, 413, 415, 416, 501])

/** What became of one request. */
type Sent =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly error: KauriError }
  /** It may work another time. */
  | { readonly kind: 'failed'; readonly error: KauriError }

async function sendWhole(
  work: UploadWork,
  source: UploadSource,
  begun: Upload | undefined,
): Promise<KauriError | undefined> {
  const { session, blob, signal } = work
  let upload = begun
  for (let attempt = 0; ; attempt++) {
    upload ??= await begin(work)
    const sent = await put(work, upload, source.read(0, blob.size), blob.size)
    if (sent.kind === 'done') return undefined
    if (sent.kind === 'refused') return sent.error
    // A long blob over a bad line gets through in pieces, which need not begin anew.
    if (blob.size > session.limits.chunkBytes) return sent.error
    if (attempt + 1 >= session.limits.attempts) throw sent.error
    upload = undefined
    await waitMs(backOffMs(attempt, session.limits), signal)
    if (await isThere(work)) return undefined
  }
}

/** Ends an upload, with all its bytes or none; waits long, as registries move them only now. */
async function put(
  work: UploadWork,
  { location }: Upload,
  body: AsyncIterable<Uint8Array> | undefined,
  length: number,
): Promise<Sent> {
  const { session, endpoint, blob, signal } = work
  const target = new URL(location)
  target.searchParams.set('digest', blob.digest)
  return await outcomeOf(work, 'PUT', [201, 204], () =>
    session.send({
      endpoint,
      method: 'PUT',
      target,
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(length) },
      ...(body === undefined ? {} : { body }),
      scopes: pushScopes(endpoint),
      once: true,
      answerMs: session.limits.commitMs,
      signal,
    }),
  )
}

async function outcomeOf(
  { endpoint, blob, signal }: UploadWork,
  method: 'PUT' | 'PATCH',
  good: readonly number[],
  send: () => Promise<SessionAnswer>,
): Promise<Sent> {
  const answer = await sendOnce(send, endpoint, signal)
  if (answer instanceof KauriError) return { kind: 'failed', error: answer }
  if (good.includes(answer.status)) {
    await dropBody(answer)
    return { kind: 'done' }
  }
  const report = await readReport(answer)
  requireRightBytes(report, endpoint, blob)
  const error = refusal({ method, url: answer.url }, answer.status, report)
  // A token may expire while gigabytes are sent; the next beginning gets another one.
  if (answer.status === 401 || isPassingStatus(answer.status)) return { kind: 'failed', error }
  if (refusingStatuses.has(answer.status)) return { kind: 'refused', error }
  throw error
}

async function sendOnce(
  send: () => Promise<SessionAnswer>,
  { host }: Endpoint,
  signal: AbortSignal | undefined,
): Promise<SessionAnswer | KauriError> {
  try {
    return await send()
  } catch (error) {
    if (signal?.aborted) throw cancelled(signal)
    if (error instanceof KauriError && isPassing(error.cause)) return error
    if (error instanceof KauriError) throw error
    throw unreachable(new URL(`https://${host}`), error)
  }
}

function requireRightBytes({ codes, text }: RegistryReport, { host }: Endpoint, blob: Blob): void {
  if (!codes.includes('DIGEST_INVALID') && !codes.includes('SIZE_INVALID')) return
  throw new KauriError('CHECKSUM_MISMATCH', `${host} got other bytes for ${blob.digest}: ${text}`)
}

async function sendPieces(
  work: UploadWork,
  source: UploadSource,
  begun: Upload | undefined,
): Promise<KauriError | undefined> {
  const { session, blob, signal } = work
  let upload = begun ?? (await begin(work))
  let offset = 0
  let failures = 0
  while (offset < blob.size) {
    const pieceBytes = Math.max(session.limits.chunkBytes, upload.minPieceBytes)
    const length = Math.min(pieceBytes, blob.size - offset)
    const piece = await patch(work, upload, source, { offset, length })
    if (piece.kind === 'taken') {
      failures = 0
      offset = piece.offset
      upload = { ...upload, location: piece.location }
      continue
    }
    if (piece.kind === 'refused' && !piece.isRange) return piece.error
    if (++failures >= session.limits.attempts) throw piece.error
    await waitMs(backOffMs(failures - 1, session.limits), signal)
    const state = await askState(work, upload)
    upload = state?.upload ?? (await begin(work))
    offset = state?.offset ?? 0
  }
  return await finishPieces(work, upload)
}

async function finishPieces(work: UploadWork, upload: Upload): Promise<KauriError | undefined> {
  const { limits } = work.session
  for (let attempt = 0; ; attempt++) {
    const end = await put(work, upload, undefined, 0)
    if (end.kind === 'done') return undefined
    if (end.kind === 'refused') return end.error
    if (attempt + 1 >= limits.attempts) throw end.error
    await waitMs(backOffMs(attempt, limits), work.signal)
  }
}

type Piece =
  | { readonly kind: 'taken'; readonly offset: number; readonly location: URL }
  | { readonly kind: 'refused'; readonly error: KauriError; readonly isRange: boolean }
  | { readonly kind: 'failed'; readonly error: KauriError }

async function patch(
  work: UploadWork,
  { location }: Upload,
  source: UploadSource,
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<Piece> {
  const { session, endpoint, signal } = work
  let taken: SessionAnswer | undefined
  let status = 0
  const result = await outcomeOf(work, 'PATCH', [202, 201, 204], async () => {
    const answer = await session.send({
      endpoint,
      method: 'PATCH',
      target: location,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(length),
        'content-range': `${offset}-${offset + length - 1}`,
      },
      body: source.read(offset, length),
      scopes: pushScopes(endpoint),
      once: true,
      answerMs: session.limits.commitMs,
      signal,
    })
    taken = answer
    status = answer.status
    return answer
  })
  if (result.kind === 'failed') return result
  if (result.kind === 'refused') return { ...result, isRange: status === 416 }
  return {
    kind: 'taken',
    offset: takenBytes(taken) ?? offset + length,
    location: nextLocation(taken, location),
  }
}

/** What the registry says it has; it may have taken less than was sent. */
function takenBytes(answer: SessionAnswer | undefined): number | undefined {
  const [, end] = /^(?:bytes=)?0-(\d{1,16})$/.exec(answer?.header('range') ?? '') ?? []
  // For an empty upload, too, registries say 0-0.
  return end === undefined || end === '0' ? undefined : Number(end) + 1
}

function nextLocation(answer: SessionAnswer | undefined, before: URL): URL {
  const location = answer?.header('location')
  return answer === undefined || location === undefined
    ? before
    : locationTarget(answer.url, location)
}

/** How far an upload got; undefined where the registry has forgotten it. */
async function askState(
  { session, endpoint, signal }: UploadWork,
  upload: Upload,
): Promise<{ readonly upload: Upload; readonly offset: number } | undefined> {
  const answer = await session.send({
    endpoint,
    method: 'GET',
    target: upload.location,
    scopes: pushScopes(endpoint),
    signal,
  })
  await dropBody(answer)
  if (answer.status !== 204 && answer.status !== 200 && answer.status !== 202) return undefined
  return {
    upload: { ...upload, location: nextLocation(answer, upload.location) },
    offset: takenBytes(answer) ?? 0,
  }
}
