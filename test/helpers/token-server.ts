// A token server for docker-registry, as distribution's token authentication has it: names and passwords by GET, refresh tokens
// by POST, and answers that the registry believes because the test's authority signed for their key.

import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TestAuthority } from './test-authority.ts'

export interface TokenServer extends AsyncDisposable {
  /** What docker-registry's `auth.token` wants; `rootcertbundle` is up to the caller. */
  readonly settings: { readonly realm: string; readonly service: string; readonly issuer: string }
  /** Scopes that were asked for, in order; a question without any is ''. */
  readonly scopes: string[]
}

export interface TokenUsers {
  readonly username: string
  readonly password: string
  /** Stands for the same user. */
  readonly refreshToken: string
}

/** Starts it; nobody else gets more than a refusal. */
export async function startTokenServer(
  authority: TestAuthority,
  users: TokenUsers,
): Promise<TokenServer> {
  const service = 'registry of the test'
  const issuer = 'token server of the test'
  const scopes: string[] = []
  const server = createServer(
    { cert: authority.certificate, key: authority.key },
    (...exchange) => {
      void answer(...exchange)
    },
  )
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://token')
    const form = new URLSearchParams(await textOf(request))
    const asked =
      request.method === 'POST'
        ? (form.get('scope') ?? '').split(' ')
        : url.searchParams.getAll('scope')
    scopes.push(asked.join(' '))
    if (!isKnown(request, form, users)) {
      response.writeHead(401, { 'content-type': 'application/json' })
      return void response.end('{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}')
    }
    const token = signed({ service, issuer, subject: users.username, asked }, authority)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ token, access_token: token, expires_in: 300 }))
  }
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    settings: { realm: `https://127.0.0.1:${port}/token`, service, issuer },
    scopes,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>(resolve => void server.close(() => resolve()))
    },
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}

function isKnown(
  { method, headers }: IncomingMessage,
  form: URLSearchParams,
  { username, password, refreshToken }: TokenUsers,
): boolean {
  if (method === 'POST') return form.get('refresh_token') === refreshToken
  const expected = Buffer.from(`${username}:${password}`).toString('base64')
  return headers.authorization === `Basic ${expected}`
}

interface Claims {
  readonly service: string
  readonly issuer: string
  readonly subject: string
  readonly asked: readonly string[]
}

/** A JSON web token by ES256, with the certificate of its key. */
function signed({ service, issuer, subject, asked }: Claims, authority: TestAuthority): string {
  const x5c = [new X509Certificate(authority.certificate).raw.toString('base64')]
  const now = Math.floor(Date.now() / 1000)
  const access = asked
    .filter(scope => scope !== '')
    .map(scope => {
      const [type, ...rest] = scope.split(':')
      const actions = rest.pop()?.split(',') ?? []
      return { type, name: rest.join(':'), actions }
    })
  const claims = {
    iss: issuer,
    sub: subject,
    aud: service,
    exp: now + 300,
    nbf: now - 10,
    iat: now,
    jti: randomUUID(),
    access,
  }
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ typ: 'JWT', alg: 'ES256', x5c })}.${part(claims)}`
  const key = createPrivateKey(authority.key)
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}
