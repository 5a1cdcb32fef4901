// Downloads over HTTP(S) as a stream: redirects are followed, proxies of the environment are used, a broken connection is
// resumed where the server can tell that the file is still the same.

import { setGlobalProxyFromEnv } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { KauriError, redactCredentials } from './errors.ts'
import { cancelled } from './process.ts'

export interface Download {
  readonly bytes: AsyncIterable<Uint8Array>
  /** Undefined where the server did not say. */
  readonly totalBytes: number | undefined
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
}

const maxResumes = 5
const firstWaitMs = 250

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
  useProxies()
  const response = await ask(target, {}, options.signal)
  return await opened(target, response, options.signal)
}

/** The same for a file that was downloaded before; undefined where the server says that it is still the same. */
export async function openDownloadIfChanged(
  address: string,
  known: Validators,
  options: DownloadOptions = {},
): Promise<Download | undefined> {
  const target = parseAddress(address, options)
  useProxies()
  const response = await ask(target, conditionsOf(known), options.signal)
  // Some servers send the whole file, with the tag that it had before.
  const hasSameTag = known.etag !== undefined && response.headers.get('etag') === known.etag
  if (response.status === 304 || (response.ok && hasSameTag)) {
    await response.body?.cancel()
    return undefined
  }
  return await opened(target, response, options.signal)
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
  target: Target,
  response: Response,
  signal: AbortSignal | undefined,
): Promise<Download> {
  if (!response.ok) {
    await response.body?.cancel()
    throw refused(target, response)
  }
  const { headers } = response
  const length = headers.get('content-length')
  const etag = headers.get('etag')
  const lastModified = headers.get('last-modified')
  // fetch has unpacked such a body already: lengths and ranges count other bytes than those that arrive.
  const isEncoded = headers.has('content-encoding')
  return {
    bytes: receive(target, response, { signal, canResume: !isEncoded }),
    totalBytes: length === null || isEncoded ? undefined : Number(length),
    validators: {
      ...(etag === null ? {} : { etag }),
      ...(lastModified === null ? {} : { lastModified, isFirm: isAtRest(headers) }),
    },
  }
}

interface Target {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** The address without its password. */
  readonly name: string
}

/** fetch refuses names and passwords in addresses; it drops the header when it is sent to another host. */
function parseAddress(address: string, options: DownloadOptions): Target {
  const url = URL.parse(address)
  if (url === null || !isWebAddress(address))
    throw new KauriError('USAGE', `${redactCredentials(address)} is no http or https address`)
  const { username, password } = url
  url.username = ''
  url.password = ''
  const name = redactCredentials(address)
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

let usesProxies = false

/** Node reads http_proxy, https_proxy and no_proxy only when it is told to. */
function useProxies(): void {
  if (usesProxies) return
  setGlobalProxyFromEnv()
  usesProxies = true
}

async function ask(
  { url, headers, name }: Target,
  more: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<Response> {
  try {
    return await fetch(url, { headers: { ...headers, ...more }, signal: signal ?? null })
  } catch (error) {
    if (signal?.aborted) throw cancelled(signal)
    throw new KauriError('DOWNLOAD_FAILED', `cannot reach ${name}: ${reasonOf(error)}`, {
      hint: 'check the address, the network and http_proxy',
      cause: error,
    })
  }
}

/** fetch says "fetch failed"; what happened is below it. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message || cause.name : String(cause)
}

function refused({ name }: Target, { status, statusText }: Response): KauriError {
  return new KauriError(
    'DOWNLOAD_FAILED',
    `${name} answered ${status}${statusText === '' ? '' : ` ${statusText}`}`,
    { hint: status === 401 || status === 403 ? 'the server wants a name and password' : undefined },
  )
}

interface ReceiveOptions {
  readonly signal: AbortSignal | undefined
  readonly canResume: boolean
}

async function* receive(
  target: Target,
  first: Response,
  { signal, canResume }: ReceiveOptions,
): AsyncGenerator<Uint8Array> {
  const validator = canResume ? validatorOf(first) : undefined
  let response = first
  let received = 0
  for (let resumes = 0; ; resumes++) {
    try {
      for await (const chunk of response.body ?? []) {
        received += chunk.byteLength
        yield chunk
      }
      return
    } catch (error) {
      if (signal?.aborted) throw cancelled(signal)
      if (validator === undefined || resumes >= maxResumes) throw broken(target, received, error)
      await sleep(firstWaitMs * 2 ** resumes, undefined, signal === undefined ? {} : { signal })
      response = await resume(target, { received, validator, signal, error })
    }
  }
}

/** What proves to the server that both halves are of one file; a weak tag does not. */
function validatorOf({ headers }: Response): string | undefined {
  const tag = headers.get('etag')
  if (tag !== null && !tag.startsWith('W/')) return tag
  return headers.get('last-modified') ?? undefined
}

interface BrokenOff {
  readonly received: number
  readonly validator: string
  readonly signal: AbortSignal | undefined
  readonly error: unknown
}

async function resume(
  target: Target,
  { received, validator, signal, error }: BrokenOff,
): Promise<Response> {
  const range = { range: `bytes=${received}-`, 'if-range': validator }
  const response = await ask(target, range, signal)
  const from = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1]
  if (response.status === 206 && Number(from) === received) return response
  await response.body?.cancel()
  throw broken(target, received, error)
}

function broken({ name }: Target, received: number, cause: unknown): KauriError {
  return new KauriError(
    'DOWNLOAD_FAILED',
    `the connection to ${name} broke after ${received} bytes: ${reasonOf(cause)}`,
    { hint: 'try again', cause },
  )
}
