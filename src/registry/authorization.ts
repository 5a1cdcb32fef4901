// Who we are for one registry: learns from a refusal what it wants, and keeps a token for each scope until it expires.

import { KauriError } from '../core/errors.ts'
import { type Challenge, parseChallenges } from './challenge.ts'
import type { Credentials } from './registry.ts'
import { isLinkLocalHost, isLoopbackHost } from './registry-host.ts'
import {
  basicAuthorization,
  fetchToken,
  type SendPlain,
  type Token,
  type TokenServer,
} from './token.ts'
import type { HttpAnswer } from './transport.ts'

/** Authorization for requests to one registry. */
export interface Authorizer {
  /** The header for the scopes, as far as it is known what the registry wants; undefined: none. */
  header(scopes: readonly string[], context: AuthContext): Promise<string | undefined>
  /**
   * Learns from a 401 that came for `sent`. True where another attempt may have a better header.
   * @throws REGISTRY_FAILED where what it offers cannot be used safely
   */
  learn(answer: HttpAnswer, sent: string | undefined, scopes: readonly string[]): boolean
}

export interface AuthContext {
  readonly credentials: () => Promise<Credentials | undefined>
  readonly send: SendPlain
}

type Wanted = { readonly kind: 'basic' } | { readonly kind: 'bearer'; readonly server: TokenServer }

/** `originOf` tells how the registry is reached now: https, or http where that is allowed. */
export function authorizer(host: string, originOf: () => URL): Authorizer {
  let wanted: Wanted | undefined
  /** What a registry asked for beyond what a request of its kind usually needs. */
  const widened = new Map<string, readonly string[]>()
  const tokens = tokenCache()
  return {
    async header(scopes, context) {
      if (wanted === undefined) return undefined
      const known = await context.credentials()
      if (known?.kind === 'registry-token') return `Bearer ${known.token}`
      if (wanted.kind === 'basic')
        return known?.kind === 'password' ? basicAuthorization(known) : undefined
      const { server } = wanted
      const key = scopes.join(' ')
      const all = widened.get(key) ?? scopes
      return `Bearer ${await tokens.get(key, () => fetchToken(server, all, known, context.send))}`
    },
    learn(answer, sent, scopes) {
      const chosen = choose(parseChallenges(answer.headers('www-authenticate')), host, originOf())
      if (chosen === undefined) return false
      wanted = chosen.wanted
      const key = scopes.join(' ')
      tokens.drop(key, sent)
      const asked = chosen.challenge.parameters.get('scope')?.split(' ') ?? []
      widened.set(key, widenScopes(scopes, asked))
      return true
    },
  }
}

interface TokenCache {
  get(key: string, fetch: () => Promise<Token>): Promise<string>
  /** Forgets the token that was sent and refused, and none that came since. */
  drop(key: string, sent: string | undefined): void
}

/** Several transfers begin at once, and share one token. */
function tokenCache(): TokenCache {
  const fetched = new Map<string, Promise<Token>>()
  const texts = new Map<string, string>()
  return {
    async get(key, fetch) {
      const kept = fetched.get(key)
      const token = await kept
      if (token !== undefined && token.expiresAtMs > Date.now()) return token.text
      const newer = fetched.get(key)
      if (newer !== undefined && newer !== kept) return (await newer).text
      const fetching = fetch()
      fetched.set(key, fetching)
      try {
        const { text } = await fetching
        texts.set(key, text)
        return text
      } catch (error) {
        if (fetched.get(key) === fetching) fetched.delete(key)
        throw error
      }
    },
    drop(key, sent) {
      if (sent === `Bearer ${texts.get(key)}`) fetched.delete(key)
    },
  }
}

/** The scopes with the actions that the registry asks for on the same things; on other things it gets no token. */
function widenScopes(scopes: readonly string[], asked: readonly string[]): readonly string[] {
  return scopes.map(scope => {
    const { thing, actions } = splitScope(scope)
    const more = asked.map(splitScope).filter(other => other.thing === thing)
    return `${thing}:${[...new Set([...actions, ...more.flatMap(other => other.actions)])].join(',')}`
  })
}

/** `repository:team/app:pull,push`; the name may have a port's colon in it. */
function splitScope(scope: string): { thing: string; actions: readonly string[] } {
  const colon = scope.lastIndexOf(':')
  return { thing: scope.slice(0, colon), actions: scope.slice(colon + 1).split(',') }
}

interface Chosen {
  readonly wanted: Wanted
  readonly challenge: Challenge
}

/** Tokens before passwords: a token says less, and for a shorter time. */
function choose(challenges: readonly Challenge[], host: string, origin: URL): Chosen | undefined {
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
  if (bearer !== undefined) {
    const server = tokenServer(bearer, host, origin)
    return { wanted: { kind: 'bearer', server }, challenge: bearer }
  }
  const basic = challenges.find(({ scheme }) => scheme === 'basic')
  return basic === undefined ? undefined : { wanted: { kind: 'basic' }, challenge: basic }
}

/**
 * A password never travels in the clear because a registry says so: plain http only where the registry speaks it, too, and to
 * nobody else than its own host; and never to where clouds keep secrets.
 */
function tokenServer({ parameters }: Challenge, host: string, origin: URL): TokenServer {
  const realm = URL.parse(parameters.get('realm') ?? '')
  if (realm === null || !isSafeRealm(realm, origin))
    throw new KauriError(
      'REGISTRY_FAILED',
      `${host} sends logins to "${(parameters.get('realm') ?? '').slice(0, 200)}", which is no https address`,
    )
  realm.username = ''
  realm.password = ''
  return { realm, service: parameters.get('service') }
}

function isSafeRealm(realm: URL, origin: URL): boolean {
  if (isLinkLocalHost(realm.hostname) && realm.hostname !== origin.hostname) return false
  if (realm.protocol === 'https:') return true
  const isSameMachine =
    realm.hostname === origin.hostname ||
    (isLoopbackHost(realm.hostname) && isLoopbackHost(origin.hostname))
  return realm.protocol === 'http:' && origin.protocol === 'http:' && isSameMachine
}
