// HTTP by undici: connections that are kept, proxies, certificates, and limits on every wait. One request, one answer;
// what an answer means is decided elsewhere. Loaded with the first request, since undici takes some 20 ms.

import { createSecureContext, type SecureContext } from 'node:tls'
import type { Dispatcher } from 'undici'
import type Connections from 'undici/lib/dispatcher/agent.js'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import {
  type AnswerBody,
  type BodyFeed,
  type BodyFlow,
  bodyFeed,
  type SpareBuffers,
} from './answer-body.ts'
import { lentReads } from './lent-socket.ts'
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
  readonly body: AnswerBody
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
  const dispatchers = new Map<string, Promise<Connections>>()
  const spare: SpareBuffers = []
  const dispatcherFor = async ({ url, tls }: HttpRequest): Promise<Connections> => {
    const proxy = isLoopbackHost(url.hostname) ? undefined : proxies
    const settings = url.protocol === 'https:' ? tls() : undefined
    const key = JSON.stringify([settings, proxy !== undefined])
    const known = dispatchers.get(key) ?? makeDispatcher(limits, settings, proxy)
    dispatchers.set(key, known)
    return await known
  }
  return {
    async send(request) {
      const connections = await dispatcherFor(request)
      return await sendThrough({ connections, spare }, request, limits)
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
): Promise<Connections> {
  const secure = tls === undefined ? {} : secureOptions(tls)
  const connect = { ...secure, allowH2: false, timeout: limits.connectMs }
  const options = {
    connections: connectionsToHost,
    // Blobs come faster over several connections than over one.
    allowH2: false,
    bodyTimeout: limits.idleMs,
    headersTimeout: limits.answerMs,
  } as const
  if (proxies?.http === undefined && proxies?.https === undefined) {
    const { default: Agent } = await import('undici/lib/dispatcher/agent.js')
    const { default: buildConnector } = await import('undici/lib/core/connect.js')
    return new Agent({
      ...options,
      connect(target, callback) {
        const reads = lentReads()
        buildConnector({ ...connect, onread: reads.onread })(target, (...result) => {
          const [error, socket] = result
          if (error !== null) return callback(error, null)
          reads.attach(socket)
          callback(null, socket)
        })
      },
    })
  }
  const { EnvHttpProxyAgent } = await import('undici')
  return new EnvHttpProxyAgent({
    ...options,
    connect,
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

interface Way {
  readonly connections: Connections
  readonly spare: SpareBuffers
}

async function sendThrough(
  { connections, spare }: Way,
  request: HttpRequest,
  limits: RegistryLimits,
): Promise<HttpAnswer> {
  const { method, url, headers, body, signal, answerMs } = request
  if (signal?.aborted) throw cancelled(signal)
  return await new Promise<HttpAnswer>((resolve, reject) => {
    const options = {
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { 'user-agent': 'kauri', 'accept-encoding': 'identity', ...headers },
      body,
      headersTimeout: answerMs ?? limits.answerMs,
      bodyTimeout: limits.idleMs,
    }
    connections.dispatch(options, answerHandler({ resolve, reject, method, signal, spare }))
  })
}

interface Waiting extends Pick<HttpRequest, 'method' | 'signal'> {
  readonly resolve: (answer: HttpAnswer) => void
  readonly reject: (error: unknown) => void
  readonly spare: SpareBuffers
}

/** Resolves with the first line of the answer; its body comes through a feed. */
function answerHandler({
  resolve,
  reject,
  method,
  signal,
  spare,
}: Waiting): Dispatcher.DispatchHandler {
  let controller: Dispatcher.DispatchController | undefined
  let feed: BodyFeed | undefined
  let isOver = false
  const abort = (): void => {
    if (isOver || signal === undefined) return
    const error = cancelled(signal)
    fail(error)
    controller?.abort(error)
  }
  const over = (): void => {
    isOver = true
    signal?.removeEventListener('abort', abort)
  }
  const fail = (error: unknown): void => {
    over()
    feed?.fail(error)
    reject(error)
  }
  signal?.addEventListener('abort', abort, { once: true })
  return {
    onRequestStart(started) {
      controller = started
      if (isOver && signal !== undefined) started.abort(cancelled(signal))
    },
    onResponseStart(started, status, headers) {
      // 100 and 103 come before the answer.
      if (status < 200) return
      feed = bodyFeed(flowOf(started), { expectedBytes: expectedBytes(method, headers), spare })
      resolve(answerOf(status, headers, feed.body))
    },
    onResponseData: (_, chunk) => feed?.add(chunk),
    onResponseEnd() {
      over()
      feed?.end()
    },
    onResponseError: (_, error) => fail(error),
  }
}

function flowOf(controller: Dispatcher.DispatchController): BodyFlow {
  return {
    pause: () => controller.pause(),
    resume: () => controller.resume(),
    abort: () => controller.abort(new Error('nobody reads the rest of the answer')),
  }
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

function expectedBytes(method: string, headers: Headers): number | undefined {
  const length = Number(headers['content-length'] ?? Number.NaN)
  return method !== 'HEAD' && Number.isSafeInteger(length) ? length : undefined
}

function answerOf(status: number, headers: Headers, body: AnswerBody): HttpAnswer {
  const all = (name: string): readonly string[] => {
    const value = headers[name]
    if (value === undefined) return []
    return typeof value === 'string' ? [value] : value
  }
  return { status, header: name => all(name)[0], headers: all, body }
}

/** Ends an answer that nobody reads; short ones are read, so that their connection can be used again. */
export async function dropBody({ body }: HttpAnswer): Promise<void> {
  let seen = 0
  try {
    for await (const chunk of body) {
      seen += chunk.byteLength
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

export interface WholeLimits {
  readonly maxBytes: number
  /** From the first line to the last byte. */
  readonly withinMs: number
  /** Names the answer in errors. */
  readonly what: string
}

/** Reads an answer of bounded length and time. @throws REGISTRY_FAILED where it is longer */
export async function readWhole<T extends HttpAnswer>(
  answer: T,
  { maxBytes, withinMs, what }: WholeLimits,
): Promise<Omit<T, 'body'> & WholeAnswer> {
  const failed = (reason: string): KauriError =>
    new KauriError('REGISTRY_FAILED', `${what} ${reason}`)
  const { body, ...head } = answer
  if (Number(answer.header('content-length') ?? 0) > maxBytes) {
    body.destroy()
    throw failed(`has more than ${maxBytes} bytes`)
  }
  const chunks: Uint8Array[] = []
  const startedMs = performance.now()
  let size = 0
  for await (const chunk of body) {
    size += chunk.byteLength
    // Leaving the loop ends the connection.
    if (size > maxBytes) throw failed(`has more than ${maxBytes} bytes`)
    if (performance.now() - startedMs > withinMs)
      throw failed(`did not come whole within ${Math.round(withinMs / 1000)} s`)
    chunks.push(Buffer.from(chunk))
  }
  return { ...head, bytes: Buffer.concat(chunks) }
}
