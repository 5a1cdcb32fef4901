// Requests to registries: who we are, how often we try, where redirects may lead. What a repository is, is known above.

import { hasErrno, KauriError } from '../core/errors.ts'
import { type AuthContext, type Authorizer, authorizer } from './authorization.ts'
import type { Endpoint } from './endpoints.ts'
import { type CredentialFinder } from './find-credentials.ts'
import type { RegistryLimits, Signalled } from './registry.ts'
import {
  isPassing,
  isPlainHttpAnswer,
  readReport,
  refusal,
  reportOf,
  unreachable,
} from './registry-error.ts'
import { isLinkLocalHost, isLoopbackHost, publicAddress } from './registry-host.ts'
import { asksToWait, backOffMs, isPassingStatus, retryAfterMs, waitMs } from './retry.ts'
import type { SendPlain } from './token.ts'
import {
  dropBody,
  type HttpAnswer,
  type HttpRequest,
  readWhole,
  type TlsSettings,
  type Transport,
  type WholeAnswer,
} from './transport.ts'

export interface SessionRequest extends Signalled {
  readonly endpoint: Endpoint
  readonly method: HttpRequest['method']
  /** Below the registry, with its query; or an address that the registry gave. */
  readonly target: string | URL
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: HttpRequest['body']
  /** What the token must allow, such as `repository:team/app:pull`. */
  readonly scopes: readonly string[]
  /** The body can be sent only once, so nothing is tried again here. */
  readonly once?: boolean
  readonly answerMs?: number
}

/** An answer, and from where it came after all redirects. */
export interface SessionAnswer extends HttpAnswer {
  readonly url: URL
}

export interface Session extends AsyncDisposable {
  readonly limits: RegistryLimits
  /** Any answer but a redirect or a 401 that could be helped. @throws REGISTRY_FAILED, REGISTRY_DENIED, CANCELLED */
  send(request: SessionRequest): Promise<SessionAnswer>
  /** The same with the whole body of a document; one that breaks off is asked for again. */
  read(request: SessionRequest, limit: DocumentLimit): Promise<SessionDocument>
}

export interface DocumentLimit {
  readonly maxBytes: number
  /** Names the document in errors. */
  readonly what: string
}

export interface SessionDocument extends WholeAnswer {
  readonly url: URL
}

export interface SessionParts {
  readonly transport: Transport
  readonly limits: RegistryLimits
  readonly tlsOf: (host: string, insecure: boolean, own?: Endpoint['tls']) => TlsSettings
  readonly credentials: CredentialFinder
  /** No certificate is checked anywhere. */
  readonly isInsecure: boolean
  readonly onWait: (host: string, milliseconds: number) => void
}

/** What is known of a registry so far. */
interface Host {
  origin: URL
  /** It answered, so the way it is reached stays. */
  isKnown: boolean
  readonly auth: Authorizer
}

interface Work extends SessionParts {
  readonly hostOf: (endpoint: Endpoint) => Host
}

/** Disposing closes the connections. */
export function openSession(parts: SessionParts): Session {
  const hosts = new Map<string, Host>()
  const hostOf = (endpoint: Endpoint): Host => {
    const { host: name, allowsHttp, isHttp = false } = endpoint
    const key = `${name} ${allowsHttp} ${isHttp} ${endpoint.name.registry}`
    const host = hosts.get(key) ?? newHost(endpoint)
    hosts.set(key, host)
    return host
  }
  const work: Work = { ...parts, hostOf }
  return {
    limits: parts.limits,
    send: request => retrying(work, retryingOf(request), () => sendThroughRedirects(work, request)),
    read: (request, { maxBytes, what }) =>
      retrying(work, retryingOf(request), async () => {
        const answer = await sendThroughRedirects(work, request)
        requireUnpacked(answer, what)
        return await readWhole(answer, { maxBytes, what, withinMs: parts.limits.documentMs })
      }),
    [Symbol.asyncDispose]: () => parts.transport[Symbol.asyncDispose](),
  }
}

/** A few packed bytes can be gigabytes, and nobody has asked for them. */
function requireUnpacked(answer: SessionAnswer, what: string): void {
  const { body, url } = answer
  const encoding = answer.header('content-encoding')?.trim().toLowerCase() ?? 'identity'
  if (encoding === '' || encoding === 'identity') return
  body.destroy()
  throw new KauriError(
    'REGISTRY_FAILED',
    `${url.host} packs ${what} as "${encoding.slice(0, 40)}", which nobody has asked for`,
  )
}

/** On this machine plain http is the usual way, and costs a certificate store less to try. */
function newHost({ host: name, allowsHttp, isHttp = false }: Endpoint): Host {
  const guess = new URL(`https://${name}`)
  if (isHttp || (allowsHttp && isLoopbackHost(guess.hostname))) guess.protocol = 'http:'
  const host: Host = { origin: guess, isKnown: isHttp, auth: authorizer(name, () => host.origin) }
  return host
}

function retryingOf({ endpoint, once = false, signal }: SessionRequest): Retrying {
  return { host: endpoint.host, once, signal }
}

interface Retrying extends Signalled {
  readonly host: string
  readonly once: boolean
}

/** Calls again while what went wrong may pass. */
async function retrying<T extends HttpAnswer | WholeAnswer>(
  { limits, onWait }: Pick<Work, 'limits' | 'onWait'>,
  { host, once, signal }: Retrying,
  send: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    const isLast = once || attempt + 1 >= limits.attempts
    let pauseMs = backOffMs(attempt, limits)
    try {
      const answer = await send()
      if (isLast || !isPassingStatus(answer.status)) return answer
      const askedMs = retryAfterMs(answer.header('retry-after'), Date.now()) ?? 0
      if ('body' in answer) await dropBody(answer)
      if (askedMs > limits.longestWaitMs) throw asksToWait(host, askedMs)
      pauseMs = Math.max(pauseMs, askedMs)
    } catch (error) {
      if (error instanceof KauriError) throw error
      if (isLast || !isPassing(error)) throw unreachable(new URL(`https://${host}`), error)
    }
    onWait(host, pauseMs)
    await waitMs(pauseMs, signal)
  }
}

const maxRedirects = 5

/** Another host never sees who we are; what it wants to know about that stays unanswered (CVE-2020-15157). */
async function sendThroughRedirects(work: Work, request: SessionRequest): Promise<SessionAnswer> {
  let { answer, url } = await sendHome(work, request)
  for (let count = 1; isRedirect(request.method, answer.status); count++) {
    const location = answer.header('location')
    await dropBody(answer)
    if (count > maxRedirects)
      throw new KauriError('REGISTRY_FAILED', `${publicAddress(url)} redirects over and over`)
    const next = locationTarget(url, location)
    const isHome = next.origin === work.hostOf(request.endpoint).origin.origin
    if (isHome) ({ answer, url } = await sendHome(work, { ...request, target: next }))
    else {
      url = next
      answer = await sendAway(work, request, next)
    }
  }
  return { ...answer, url }
}

/** Bodies are never sent to where somebody else says. */
function isRedirect(method: HttpRequest['method'], status: number): boolean {
  return (method === 'GET' || method === 'HEAD') && [301, 302, 303, 307, 308].includes(status)
}

/**
 * Where a Location header leads: https, or http from http. A registry behind a proxy often calls itself by http; it is
 * reached as before.
 * @throws REGISTRY_FAILED for anything else
 */
export function locationTarget(from: URL, location: string | undefined): URL {
  const to = URL.parse(location ?? '', from)
  if (location === undefined || location === '' || to === null)
    throw new KauriError('REGISTRY_FAILED', `${publicAddress(from)} leads to no address`)
  if (to.protocol === 'http:' && from.protocol === 'https:' && to.hostname === from.hostname)
    if (to.port === '' || to.port === from.port) {
      const same = new URL(from.origin)
      return new URL(`${to.pathname}${to.search}`, same)
    }
  const isHttp = to.protocol === 'http:' && from.protocol === 'http:'
  const isForeign = isLinkLocalHost(to.hostname) && to.hostname !== from.hostname
  const isSafe = (to.protocol === 'https:' || isHttp) && !isForeign
  if (!isSafe)
    throw new KauriError(
      'REGISTRY_FAILED',
      `${from.host} leads to ${to.protocol}//${to.host}, which is no https address`,
      { hint: 'the registry is set up wrongly, or somebody is in between' },
    )
  return to
}

interface Answered {
  readonly answer: HttpAnswer
  readonly url: URL
}

/** To the registry itself, or, without authorization, to an address elsewhere that it gave for an upload. */
async function sendHome(work: Work, request: SessionRequest): Promise<Answered> {
  const { endpoint, target, scopes, once } = request
  const host = work.hostOf(endpoint)
  const context = authContext(work, request)
  for (let round = 0; ; round++) {
    const url = targetOf(target, host.origin, endpoint)
    if (url.origin !== host.origin.origin)
      return { url, answer: await sendAway(work, request, url) }
    const authorization = await host.auth.header(scopes, context)
    const answer = await sendOrSwitch(work, request, { host, authorization })
    if (answer === undefined) continue
    host.isKnown = true
    if (answer.status !== 401 || round >= maxAuthRounds || once) return { url, answer }
    if (!host.auth.learn(answer, authorization, scopes)) return { url, answer }
    const isNew = (await host.auth.header(scopes, context)) !== authorization
    if (!isNew) return { url, answer }
    await dropBody(answer)
  }
}

/** An address that the registry gave is taken as it is; what is asked first says for whom a mirror is asked. */
function targetOf(target: string | URL, origin: URL, { namespace }: Endpoint): URL {
  const url = new URL(target, origin)
  if (typeof target === 'string' && namespace !== undefined) url.searchParams.set('ns', namespace)
  return url
}

const maxAuthRounds = 2

const maxTokenAnswerBytes = 1024 * 1024

function authContext(work: Work, { endpoint, signal }: SessionRequest): AuthContext {
  const send: SendPlain = async request => {
    const { url } = request
    const insecure = work.isInsecure || (endpoint.insecure && url.host === endpoint.host)
    const tls = (): TlsSettings => work.tlsOf(url.host, insecure)
    const what = `the answer of the token server ${url.host}`
    return await retrying(work, { host: url.host, once: false, signal }, async () =>
      readWhole(await work.transport.send({ ...request, tls, signal }), {
        maxBytes: maxTokenAnswerBytes,
        what,
        withinMs: work.limits.documentMs,
      }),
    )
  }
  return { send, credentials: () => work.credentials.find(endpoint.name, { signal }) }
}

interface Attempt {
  readonly host: Host
  readonly authorization: string | undefined
}

/** undefined: the registry speaks the other one of http and https, which is allowed, and took nothing yet. */
async function sendOrSwitch(
  work: Work,
  request: SessionRequest,
  { host, authorization }: Attempt,
): Promise<HttpAnswer | undefined> {
  const { endpoint, method, target, headers = {}, body, signal, answerMs } = request
  const url = targetOf(target, host.origin, endpoint)
  const mayGuess = !host.isKnown && endpoint.allowsHttp
  try {
    const answer = await work.transport.send({
      method,
      url,
      headers: {
        ...endpoint.headers,
        ...headers,
        ...(authorization === undefined ? {} : { authorization }),
      },
      body,
      tls: () => work.tlsOf(endpoint.host, endpoint.insecure, endpoint.tls),
      signal,
      answerMs,
    })
    if (!mayGuess || url.protocol === 'https:' || !isRefusalOfHttp(answer)) return answer
    await dropBody(answer)
  } catch (error) {
    const wantsOther =
      url.protocol === 'https:' ? speaksHttp(error, endpoint) : isUnexpectedEnd(error)
    if (!mayGuess || !wantsOther) throw error
  }
  host.origin = new URL(`${url.protocol === 'https:' ? 'http' : 'https'}://${endpoint.host}`)
  // Where https was the second guess, http is it after all.
  host.isKnown = url.protocol === 'https:'
  return undefined
}

/** What servers of https say in plain text to who speaks http. */
function isRefusalOfHttp(answer: HttpAnswer): boolean {
  return answer.status === 400 && !/json/i.test(answer.header('content-type') ?? '')
}

/** Without a port in the name, http lives at another one. */
function speaksHttp(error: unknown, { host }: Endpoint): boolean {
  return isPlainHttpAnswer(error) || (hasErrno(error, 'ECONNREFUSED') && !/:\d+$/.test(host))
}

/** What servers of https do that give no answer to http. */
function isUnexpectedEnd(error: unknown): boolean {
  return hasErrno(error, 'UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'HPE_INVALID_CONSTANT')
}

async function sendAway(work: Work, request: SessionRequest, url: URL): Promise<HttpAnswer> {
  const { method, headers = {}, body, signal, answerMs } = request
  const tls = (): TlsSettings => work.tlsOf(url.host, work.isInsecure)
  return await work.transport.send({ method, url, headers, body, tls, signal, answerMs })
}

/** @throws REGISTRY_FAILED, REGISTRY_DENIED where an answer has none of the statuses */
export async function requireStatus(
  answer: SessionAnswer | SessionDocument,
  method: HttpRequest['method'],
  ...statuses: readonly number[]
): Promise<void> {
  if (statuses.includes(answer.status)) return
  const report = 'body' in answer ? await readReport(answer) : reportOf(answer)
  throw refusal({ method, url: answer.url }, answer.status, report)
}
