// Bearer tokens (distribution's token authentication): GET with a name and password, or POST as OAuth2 with a refresh token.

import { KauriError } from '../core/errors.ts'
import {
  documentPlace,
  objectReader,
  parseJsonText,
  type ReadJson,
  readSize,
  readText,
} from '../oci/json-shape.ts'
import type { Credentials } from './registry.ts'
import { reportOf } from './registry-error.ts'
import type { HttpRequest, WholeAnswer } from './transport.ts'

/** Where tokens come from, as a challenge says it. */
export interface TokenServer {
  readonly realm: URL
  readonly service: string | undefined
}

export interface Token {
  readonly text: string
  /** In milliseconds since 1970. */
  readonly expiresAtMs: number
}

/** Sends a request with retries and without any other authorization. */
export type SendPlain = (
  request: Pick<HttpRequest, 'method' | 'url' | 'headers' | 'body'>,
) => Promise<WholeAnswer>

/** Servers that say less, or nothing, mean this. */
const shortestLifeMs = 60_000
/** A token that expires while a request is under way is useless. */
const marginMs = 10_000

/** @throws REGISTRY_DENIED where the server refuses, REGISTRY_FAILED for a nonsensical answer */
export async function fetchToken(
  server: TokenServer,
  scopes: readonly string[],
  credentials: Credentials | undefined,
  send: SendPlain,
): Promise<Token> {
  const answer =
    credentials?.kind === 'identity-token'
      ? await postForToken(server, scopes, credentials.token, send)
      : await getToken(server, scopes, credentials, send)
  if (answer.status !== 200) {
    const { text } = reportOf(answer)
    const said = text === '' ? '' : `: ${text}`
    const isDenied = answer.status === 401 || answer.status === 403
    throw new KauriError(
      isDenied ? 'REGISTRY_DENIED' : 'REGISTRY_FAILED',
      `the token server ${server.realm.host} answered ${answer.status}${said}`,
      { hint: isDenied ? 'log in again with kauri login' : undefined },
    )
  }
  return readToken(answer, server.realm.host)
}

function getToken(
  { realm, service }: TokenServer,
  scopes: readonly string[],
  credentials: Credentials | undefined,
  send: SendPlain,
): Promise<WholeAnswer> {
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  if (credentials?.kind !== 'password') return send({ method: 'GET', url, headers: {} })
  url.searchParams.set('account', credentials.username)
  return send({ method: 'GET', url, headers: { authorization: basicAuthorization(credentials) } })
}

function postForToken(
  { realm, service }: TokenServer,
  scopes: readonly string[],
  refreshToken: string,
  send: SendPlain,
): Promise<WholeAnswer> {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: 'kauri',
    refresh_token: refreshToken,
  })
  if (service !== undefined) form.set('service', service)
  if (scopes.length > 0) form.set('scope', scopes.join(' '))
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return send({ method: 'POST', url: realm, headers, body: form.toString() })
}

/** `Basic dXNlcjpwYXNz`. */
export function basicAuthorization({
  username,
  password,
}: Extract<Credentials, { kind: 'password' }>): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function readToken({ bytes }: WholeAnswer, host: string): Token {
  const what = `the answer of the token server ${host}`
  const place = documentPlace(what, 'REGISTRY_FAILED')
  const members = objectReader(parseSecretJson(bytes, what), place)
  const text = members.optional('token', readSecret) ?? members.optional('access_token', readSecret)
  if (text === undefined || text === '')
    throw new KauriError('REGISTRY_FAILED', `${what} has no token`)
  const seconds = members.optional('expires_in', readSize) ?? 0
  const lifeMs = Math.max(shortestLifeMs, seconds * 1000)
  return { text, expiresAtMs: Date.now() + lifeMs - marginMs }
}

/** The parser's message would show what it could not read. */
function parseSecretJson(bytes: Uint8Array, what: string): unknown {
  try {
    return parseJsonText(bytes, documentPlace(what, 'REGISTRY_FAILED'))
  } catch {
    throw new KauriError('REGISTRY_FAILED', `${what} is no JSON`)
  }
}

/** What goes into a header line must not begin another one. */
const readSecret: ReadJson<string> = (value, place) => {
  const text = readText(value, place)
  if (/^[\u0021-\u007e]*$/.test(text)) return text
  throw new KauriError('REGISTRY_FAILED', `${place.document} has a token with strange characters`)
}
