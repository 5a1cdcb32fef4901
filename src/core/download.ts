// Downloads over HTTP(S) as a stream: proxies of the environment are used, a broken connection is resumed where it can be
// told that the file is still the same.

import { setTimeout as sleep } from 'node:timers/promises'
import { KauriError, redactCredentials } from './errors.ts'
import {
  getOverHttp,
  type HttpAnswer,
  type HttpTarget,
  reasonOf,
  usualSilenceMs,
} from './http-request.ts'
import { cancelled } from './process.ts'

export interface Download {
  readonly bytes: AsyncIterable<Uint8Array>
  /** Undefined where the server did not say. */
  readonly totalBytes: number | undefined
  /** Without parameters, such as `text/html`; '' where the server did not say. */
  readonly mediaType: string
  /** What to ask with next time. */
  readonly validators: Validators
}

/** What a server says about the state of a file (RFC 9110, section 8.8). */
export interface Validators {
  readonly etag?: string
  /** As the server wrote it. */
  readonly lastModified?: string
  /** The file was at rest when it was sent: a later change would have given it another time. */
  readonly isFirm?: boolean
}

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined
  /** Value of the Authorization header; dropped where a redirect leads to another host. */
  readonly authorization?: string | undefined
  /** The caller compares the whole with a checksum, so it may be put together of parts that no server vouches for. */
  readonly isVerified?: boolean | undefined
  /** How long the server may be silent, in milliseconds; a minute where it is left out. */
  readonly silenceMs?: number | undefined
}

/** Attempts in a row that bring next to nothing. */
const maxResumes = 5
const firstWaitMs = 250
/** After so many bytes the next break counts as the first. */
const progressBytes = 1024 * 1024

/** True for what a person means as an address and not as a file. */
export function isWebAddress(text: string): boolean {
  return /^https?:\/\//i.test(text)
}

/** Asks for a file. Its bytes are as stored on the server. @throws DOWNLOAD_FAILED with status and address, CANCELLED */
export async function openDownload(
  address: string,
  options: DownloadOptions = {},
): Promise<Download> {
  const target = parseAddress(address, options)
  return await opened(target, await getOverHttp(target, {}, options), options)
}

/** The same for a file that was downloaded before; undefined where the server says that it is still the same. */
export async function openDownloadIfChanged(
  address: string,
  known: Validators,
  options: DownloadOptions = {},
): Promise<Download | undefined> {
  const target = parseAddress(address, options)
  const answer = await getOverHttp(target, conditionsOf(known), options)
  // Some servers send the whole file, with the tag that it had before.
  const hasSameTag = known.etag !== undefined && answer.headers.get('etag') === known.etag
  if (answer.status === 304 || (isOk(answer) && hasSameTag)) {
    await answer.drop()
    return undefined
  }
  return await opened(target, answer, options)
}

function isOk({ status }: HttpAnswer): boolean {
  return status >= 200 && status < 300
}

/** Times are whole seconds, so a change in the second of the answer cannot be told by them (RFC 9110, section 8.8.2.2). */
function conditionsOf({ etag, lastModified, isFirm }: Validators): Record<string, string> {
  return {
    ...(etag === undefined ? {} : { 'if-none-match': etag }),
    ...(lastModified === undefined || isFirm !== true ? {} : { 'if-modified-since': lastModified }),
  }
}

const restMs = 2000

function isAtRest(headers: Headers): boolean {
  const sentMs = Date.parse(headers.get('date') ?? '')
  return sentMs - Date.parse(headers.get('last-modified') ?? '') >= restMs
}

async function opened(
  target: HttpTarget,
  answer: HttpAnswer,
  options: DownloadOptions,
): Promise<Download> {
  if (!isOk(answer)) {
    await answer.drop()
    throw refused(target, answer)
  }
  const { headers } = answer
  const length = headers.get('content-length')
  const etag = headers.get('etag')
  const lastModified = headers.get('last-modified')
  // fetch has unpacked such a body already: lengths and ranges count other bytes than those that arrive.
  const isEncoded = headers.has('content-encoding')
  const totalBytes = length === null || isEncoded ? undefined : Number(length)
  return {
    bytes: receive(target, answer, { ...options, totalBytes, canResume: !isEncoded }),
    totalBytes,
    mediaType: (headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '',
    validators: {
      ...(etag === null ? {} : { etag }),
      ...(lastModified === null ? {} : { lastModified, isFirm: isAtRest(headers) }),
    },
  }
}

/** fetch refuses names and passwords in addresses. */
function parseAddress(address: string, options: DownloadOptions): HttpTarget {
  const url = URL.parse(address)
  if (url === null || !isWebAddress(address))
    throw new KauriError('USAGE', `${redactCredentials(address)} is no http or https address`)
  const { username, password } = url
  url.username = ''
  url.password = ''
  const name = redactCredentials(address.replace(/[?#].*$/s, ''))
  const headers = { 'accept-encoding': 'identity', 'user-agent': 'kauri' }
  const authorization = options.authorization ?? basicAuthorization(username, password)
  if (authorization === undefined) return { url, headers, name }
  return { url, headers: { ...headers, authorization }, name }
}

function basicAuthorization(username: string, password: string): string | undefined {
  if (username === '' && password === '') return undefined
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return `Basic ${Buffer.from(credentials).toString('base64')}`
}

function refused({ name }: HttpTarget, { status, statusText }: HttpAnswer): KauriError {
  return new KauriError(
    'DOWNLOAD_FAILED',
    `${name} answered ${status}${statusText === '' ? '' : ` ${statusText}`}`,
    { hint: status === 401 || status === 403 ? 'the server wants a name and password' : undefined },
  )
}

interface ReceiveOptions extends DownloadOptions {
  readonly totalBytes: number | undefined
  readonly canResume: boolean
}

async function* receive(
  target: HttpTarget,
  first: HttpAnswer,
  options: ReceiveOptions,
): AsyncGenerator<Uint8Array> {
  const { signal, totalBytes } = options
  let part: Part = { answer: first, skippedBytes: 0 }
  let received = 0
  let resumes = 0
  let receivedBefore = 0
  for (;;) {
    try {
      for await (const chunk of withoutStart(part)) {
        received += chunk.byteLength
        if (totalBytes !== undefined && received > totalBytes) throw tooMuch(target, totalBytes)
        yield chunk
      }
      if (totalBytes === undefined || received === totalBytes) return
      throw new Error(`the server ended after ${received} of ${totalBytes} bytes`)
    } catch (error) {
      if (signal?.aborted) throw cancelled(signal)
      if (error instanceof UnusableAnswer) throw error.reason
      if (received - receivedBefore >= progressBytes) resumes = 0
      receivedBefore = received
      part = await resume(target, { ...options, first, received, error, resumes })
      resumes++
    }
  }
}

/** What no further attempt makes good. */
class UnusableAnswer extends Error {
  readonly reason: KauriError
  constructor(reason: KauriError) {
    super(reason.message)
    this.reason = reason
  }
}

function tooMuch({ name }: HttpTarget, totalBytes: number): UnusableAnswer {
  const message = `${name} sends more than the ${totalBytes} bytes that it spoke of`
  return new UnusableAnswer(new KauriError('DOWNLOAD_FAILED', message))
}

/** An answer, and how much of its beginning is there already. */
interface Part {
  readonly answer: HttpAnswer
  readonly skippedBytes: number
}

async function* withoutStart({ answer, skippedBytes }: Part): AsyncGenerator<Uint8Array> {
  let left = skippedBytes
  for await (const chunk of answer.bytes) {
    const rest = chunk.subarray(Math.min(left, chunk.byteLength))
    left -= chunk.byteLength - rest.byteLength
    if (rest.byteLength > 0) yield rest
  }
}

/** What proves to the server that both halves are of one file; a weak tag does not. */
function validatorOf({ headers }: HttpAnswer): string | undefined {
  const tag = headers.get('etag')
  if (tag !== null && !tag.startsWith('W/')) return tag
  return headers.get('last-modified') ?? undefined
}

interface BrokenOff extends ReceiveOptions {
  readonly first: HttpAnswer
  readonly received: number
  readonly error: unknown
  /** Attempts before this one. */
  readonly resumes: number
}

/** Asks for what is missing, until somebody answers. @throws DOWNLOAD_FAILED where the rest cannot be had, CANCELLED */
async function resume(target: HttpTarget, broken: BrokenOff): Promise<Part> {
  const { first, received, signal, canResume, isVerified = false } = broken
  const validator = validatorOf(first)
  if (!canResume || (validator === undefined && !isVerified)) throw brokenOff(target, broken)
  const condition = validator === undefined ? {} : { 'if-range': validator }
  for (let attempt = broken.resumes; attempt < maxResumes; attempt++) {
    await sleep(firstWaitMs * 2 ** attempt, undefined, signal === undefined ? {} : { signal })
    const range = { range: `bytes=${received}-`, ...condition }
    // Whoever was silent once has less time to begin again.
    const silenceMs = (broken.silenceMs ?? usualSilenceMs) / 4
    const answer = await getOverHttp(target, range, { signal, silenceMs }).catch(
      (error: unknown) => {
        if (signal?.aborted) throw cancelled(signal)
        return error instanceof KauriError ? undefined : Promise.reject(error)
      },
    )
    if (answer === undefined) continue
    if (answer.status === 206 || answer.status === 200) return usablePart(target, answer, broken)
    await answer.drop()
    if (answer.status < 500 && answer.status !== 429 && answer.status !== 408) break
  }
  throw brokenOff(target, broken)
}

/** Takes an answer for the rest only where it is the rest, and of the same file. @throws DOWNLOAD_FAILED */
async function usablePart(
  target: HttpTarget,
  answer: HttpAnswer,
  broken: BrokenOff,
): Promise<Part> {
  const problem =
    answer.status === 200
      ? problemOfWhole(target, answer, broken)
      : problemOfRest(target, answer, broken)
  if (problem === undefined)
    return { answer, skippedBytes: answer.status === 200 ? broken.received : 0 }
  await answer.drop()
  throw problem
}

/** The server does not know ranges, or the file is another one now. */
function problemOfWhole(
  target: HttpTarget,
  answer: HttpAnswer,
  { first, totalBytes, isVerified = false }: BrokenOff,
): KauriError | undefined {
  const validator = validatorOf(first)
  const length = Number(answer.headers.get('content-length') ?? totalBytes)
  const isWhole = totalBytes === undefined || length === totalBytes
  const isSame = validatorOf(answer) === validator && (validator !== undefined || isVerified)
  return isSame && isWhole ? undefined : changed(target)
}

function problemOfRest(
  target: HttpTarget,
  answer: HttpAnswer,
  { first, received, totalBytes }: BrokenOff,
): KauriError | undefined {
  const said = answer.headers.get('content-range') ?? ''
  const [, from, total = '*'] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(said) ?? []
  const fits = total === '*' || totalBytes === undefined || Number(total) === totalBytes
  if (from === undefined || Number(from) !== received || !fits)
    return new KauriError(
      'DOWNLOAD_FAILED',
      `${target.name} was asked for the bytes from ${received} on and answered with "${said.slice(0, 100)}"`,
      { hint: 'do not trust this server' },
    )
  const validator = validatorOf(answer)
  return validator === undefined || validator === validatorOf(first) ? undefined : changed(target)
}

function changed({ name }: HttpTarget): KauriError {
  return new KauriError('DOWNLOAD_FAILED', `${name} changed while it was downloaded`, {
    hint: 'try again',
  })
}

function brokenOff({ name }: HttpTarget, { received, error }: BrokenOff): KauriError {
  return new KauriError(
    'DOWNLOAD_FAILED',
    `the connection to ${name} broke after ${received} bytes: ${reasonOf(error)}`,
    { hint: 'try again', cause: error },
  )
}
