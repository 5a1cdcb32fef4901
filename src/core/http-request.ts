// One GET over HTTP(S): redirects are followed here and not by fetch, so that nobody is led to another kind of address, and
// credentials stay with the host they are for; a server that says nothing is left.

import { setGlobalProxyFromEnv } from 'node:http'
import { KauriError, redactCredentials } from './errors.ts'
import { cancelled } from './process.ts'

export interface HttpTarget {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** The address without its password. */
  readonly name: string
}

export interface HttpOptions {
  readonly signal?: AbortSignal | undefined
  /** How long the server may be silent, before it answers and between two pieces; in milliseconds. */
  readonly silenceMs?: number | undefined
}

/** An answer whose body is read piece by piece. */
export interface HttpAnswer {
  readonly status: number
  readonly statusText: string
  readonly headers: Headers
  /** The body; fails where the server is silent for too long. To be read once, or dropped. */
  readonly bytes: AsyncIterable<Uint8Array>
  /** Ends the connection without reading the body. */
  drop(): Promise<void>
}

/** How long a server may say nothing where the caller does not care. */
export const usualSilenceMs = 60_000
const maxRedirects = 10
const redirects = new Set([301, 302, 303, 307, 308])

let usesProxies = false

/** Node reads http_proxy, https_proxy and no_proxy only when it is told to. */
function useProxies(): void {
  if (usesProxies) return
  setGlobalProxyFromEnv()
  usesProxies = true
}

/** Asks, with more headers than the target's own. @throws DOWNLOAD_FAILED where nobody answers, CANCELLED */
export async function getOverHttp(
  target: HttpTarget,
  more: Readonly<Record<string, string>>,
  options: HttpOptions,
): Promise<HttpAnswer> {
  useProxies()
  let { url } = target
  let headers = { ...target.headers, ...more }
  for (let hops = 0; ; hops++) {
    const answer = await ask({ ...target, url }, headers, options)
    const location = redirects.has(answer.status) ? answer.headers.get('location') : null
    if (location === null) return answer
    await answer.drop()
    if (hops >= maxRedirects)
      throw new KauriError('DOWNLOAD_FAILED', `${target.name} redirects ${hops + 1} times`)
    const next = nextAddress(location, url, target)
    if (next.origin !== url.origin) {
      const { authorization: _, ...others } = headers
      headers = others
    }
    url = next
  }
}

/** Where a redirect leads; names and passwords in it are the server's and are left out. */
function nextAddress(location: string, from: URL, { name }: HttpTarget): URL {
  const next = URL.parse(location, from)
  if (next === null || !['http:', 'https:'].includes(next.protocol))
    throw new KauriError(
      'DOWNLOAD_FAILED',
      `${name} redirects to ${redactCredentials(location.slice(0, 200))}, which is no http or https address`,
      {
        hint: 'do not trust this server: it would have another file read than the one it was asked for',
      },
    )
  next.username = ''
  next.password = ''
  return next
}

async function ask(
  { url, name }: HttpTarget,
  headers: Readonly<Record<string, string>>,
  { signal, silenceMs = usualSilenceMs }: HttpOptions,
): Promise<HttpAnswer> {
  const silence = silenceTimer(name, silenceMs)
  const signals = signal === undefined ? [silence.signal] : [signal, silence.signal]
  try {
    silence.start()
    const response = await fetch(url, {
      headers,
      redirect: 'manual',
      signal: AbortSignal.any(signals),
    })
    silence.stop()
    const { status, statusText } = response
    const drop = async (): Promise<void> => await response.body?.cancel()
    return { status, statusText, headers: response.headers, drop, bytes: read(response, silence) }
  } catch (error) {
    silence.stop()
    if (signal?.aborted) throw cancelled(signal)
    if (silence.signal.aborted) throw silence.signal.reason
    throw new KauriError('DOWNLOAD_FAILED', `cannot reach ${name}: ${reasonOf(error)}`, {
      hint: 'check the address, the network and http_proxy',
      cause: error,
    })
  }
}

/** fetch says "fetch failed"; what happened is below it. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message || cause.name : String(cause)
}

interface SilenceTimer {
  readonly signal: AbortSignal
  start(): void
  stop(): void
}

/** Ends a request when nothing comes; it stands still while the reader is busy with what came. */
function silenceTimer(name: string, silenceMs: number): SilenceTimer {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const giveUp = (): void => {
    const seconds = Math.ceil(silenceMs / 1000)
    controller.abort(
      new KauriError('DOWNLOAD_FAILED', `${name} is silent for ${seconds} s`, {
        hint: 'try again, or ask who runs the server',
      }),
    )
  }
  return {
    signal: controller.signal,
    start() {
      timer = setTimeout(giveUp, silenceMs)
    },
    stop() {
      clearTimeout(timer)
    },
  }
}

async function* read(response: Response, silence: SilenceTimer): AsyncGenerator<Uint8Array> {
  if (response.body === null) return
  const reader = response.body.getReader()
  try {
    for (;;) {
      silence.start()
      const { done, value } = await reader.read().finally(() => silence.stop())
      if (done) return
      yield value
    }
  } finally {
    silence.stop()
    // A body that broke has ended; one that nobody wants any more ends now.
    await reader.cancel().catch(() => {})
  }
}
