// HTTP by undici: connections that are kept, proxies, certificates, and limits on every wait. One request, one answer;
// what an answer means is decided elsewhere. Loaded with the first request, since undici takes some 20 ms.

import type { Readable } from 'node:stream'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Dispatcher } from 'undici'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import type { RegistryLimits } from './registry.ts'
import { isLoopbackHost } from './registry-host.ts'

/** What proves and checks identities with one host. */
export interface TlsSettings {
  /** PEM; undefined: those that Node brings. */
  readonly authorities: readonly string[] | undefined
  readonly certificate?: string | undefined
  readonly key?: string | undefined
  readonly verify: boolean
}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array> | undefined
  /** Asked only where https is spoken: authorities are long lists. */
  readonly tls: () => TlsSettings
  readonly signal?: AbortSignal | undefined
  /** Until the first line of the answer, in milliseconds. */
  readonly answerMs?: number | undefined
}

export interface HttpAnswer {
  readonly status: number
  /** The first header of that name, which is written in lower case. */
  header(name: string): string | undefined
  headers(name: string): readonly string[]
  /** Must be consumed or destroyed. */
  readonly body: Readable
}

export interface Transport extends AsyncDisposable {
  /** @throws the network's own error, CANCELLED */
  send(request: HttpRequest): Promise<HttpAnswer>
}

export interface ProxySettings {
  readonly http: string | undefined
  readonly https: string | undefined
  readonly none: string | undefined
}

/** Connections to one host at once; transfers are bounded elsewhere, and more low than this. */
const connectionsToHost = 16

/** Opens nothing before the first request. */
export function openTransport(limits: RegistryLimits, proxies: ProxySettings): Transport {
  const dispatchers = new Map<string, Promise<Dispatcher>>()
  const dispatcherFor = async ({ url, tls }: HttpRequest): Promise<Dispatcher> => {
    const proxy = isLoopbackHost(url.hostname) ? undefined : proxies
    const settings = url.protocol === 'https:' ? tls() : undefined
    const key = JSON.stringify([settings, proxy !== undefined])
    const known = dispatchers.get(key) ?? makeDispatcher(limits, settings, proxy)
    dispatchers.set(key, known)
    return await known
  }
  return {
    async send(request) {
      const dispatcher = await dispatcherFor(request)
      return await sendThrough(dispatcher, request, limits)
    },
    async [Symbol.asyncDispose]() {
      const open = await Promise.allSettled(dispatchers.values())
      dispatchers.clear()
      for (const result of open) if (result.status === 'fulfilled') await result.value.destroy()
    },
  }
}

async function makeDispatcher(
  limits: RegistryLimits,
  tls: TlsSettings | undefined,
  proxies: ProxySettings | undefined,
): Promise<Dispatcher> {
  const secure = tls === undefined ? {} : secureOptions(tls)
  const options = {
    connections: connectionsToHost,
    // Blobs come faster over several connections than over one.
    allowH2: false,
    bodyTimeout: limits.idleMs,
    headersTimeout: limits.answerMs,
    connect: { ...secure, timeout: limits.connectMs },
  } as const
  if (proxies?.http === undefined && proxies?.https === undefined) {
    const { default: Agent } = await import('undici/lib/dispatcher/agent.js')
    return new Agent(options)
  }
  const { EnvHttpProxyAgent } = await import('undici')
  return new EnvHttpProxyAgent({
    ...options,
    requestTls: secure,
    httpProxy: proxies.http ?? '',
    httpsProxy: proxies.https ?? '',
    noProxy: proxies.none ?? '',
  })
}

/** Made once: reading some hundred authorities for every connection takes milliseconds. */
function secureOptions(tls: TlsSettings): {
  readonly secureContext: SecureContext
  readonly rejectUnauthorized: boolean
} {
  const secureContext = createSecureContext({
    ca: tls.authorities === undefined ? undefined : [...tls.authorities],
    cert: tls.certificate,
    key: tls.key,
  })
  return { secureContext, rejectUnauthorized: tls.verify }
}

async function sendThrough(
  dispatcher: Dispatcher,
  request: HttpRequest,
  limits: RegistryLimits,
): Promise<HttpAnswer> {
  const { method, url, headers, body, signal, answerMs } = request
  if (signal?.aborted) throw cancelled(signal)
  const { default: ask } = await import('undici/lib/api/api-request.js')
  try {
    const answer = await ask.call(dispatcher, {
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { 'user-agent': 'kauri', 'accept-encoding': 'identity', ...headers },
      body: body ?? null,
      signal: signal ?? null,
      headersTimeout: answerMs ?? limits.answerMs,
      bodyTimeout: limits.idleMs,
      highWaterMark: answerBufferBytes,
    })
    return answerOf(answer)
  } catch (error) {
    if (signal?.aborted) throw cancelled(signal)
    throw error
  }
}

const answerBufferBytes = 64 * 1024

function answerOf({ statusCode, headers, body }: Dispatcher.ResponseData): HttpAnswer {
  const all = (name: string): readonly string[] => {
    const value = headers[name]
    if (value === undefined) return []
    return typeof value === 'string' ? [value] : value
  }
  // Who destroys a body has its reasons; undici tells them as an error that nobody may be waiting for.
  body.on('error', () => {})
  return { status: statusCode, header: name => all(name)[0], headers: all, body }
}

/** Ends an answer that nobody reads; short ones are read, so that their connection can be used again. */
export async function dropBody({ body }: HttpAnswer): Promise<void> {
  let seen = 0
  try {
    for await (const chunk of body) {
      seen += chunk instanceof Uint8Array ? chunk.byteLength : 0
      if (seen > longestDropBytes) return
    }
  } catch {
    // Nobody wanted it.
  }
}

const longestDropBytes = 64 * 1024

/** An answer with its whole body. */
export interface WholeAnswer extends Omit<HttpAnswer, 'body'> {
  readonly bytes: Uint8Array
}

/** Reads an answer of bounded length; `what` names it in the error. @throws REGISTRY_FAILED where it is longer */
export async function readWhole<T extends HttpAnswer>(
  answer: T,
  maxBytes: number,
  what: string,
): Promise<Omit<T, 'body'> & WholeAnswer> {
  const tooLong = (): KauriError =>
    new KauriError('REGISTRY_FAILED', `${what} has more than ${maxBytes} bytes`)
  const { body, ...head } = answer
  if (Number(answer.header('content-length') ?? 0) > maxBytes) {
    body.destroy()
    throw tooLong()
  }
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue
    size += chunk.byteLength
    // Leaving the loop destroys the stream.
    if (size > maxBytes) throw tooLong()
    chunks.push(chunk)
  }
  return { ...head, bytes: Buffer.concat(chunks) }
}
