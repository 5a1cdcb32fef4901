// A registry on loopback, made for tests: the distribution specification over http or https, with logins, other people's
// habits and injected faults. Everything is in memory; what was asked is remembered.

import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TestAuthority } from './test-authority.ts'

export interface RegistryServer extends AsyncDisposable {
  /** `127.0.0.1:PORT`, as names of images have it. */
  readonly host: string
  readonly origin: string
  /** `METHOD PATH STATUS`, in order. */
  readonly log: string[]
  /** Authorization headers by request line, in the same order. */
  readonly authorizations: (string | undefined)[]
  readonly blobs: Map<string, Map<string, Buffer>>
  readonly manifests: Map<string, Map<string, StoredManifest>>
  /** Looks at a request first; true: it has answered. */
  intercept: (exchange: Exchange) => boolean | Promise<boolean>
  /** Changes while the server runs. */
  habits: Habits
}

export interface StoredManifest {
  readonly bytes: Buffer
  readonly mediaType: string
}

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly method: string
  readonly path: string
  readonly url: URL
  /** How many requests of this method and path came before. */
  readonly count: number
}

export interface Habits {
  /** Sends the rest of a blob where a client asks for it; true where it is left out. */
  readonly knowsRanges?: boolean
  readonly takesWhole?: boolean
  readonly takesPieces?: boolean
  readonly chunkMinLength?: number
  readonly mounts?: boolean
  readonly referrers?: boolean
  readonly deletes?: boolean
  /** Locations of uploads are addresses, not paths. */
  readonly absoluteLocations?: boolean
  readonly tagsOnPage?: number
  /** Where blobs are: clients are sent there. */
  readonly redirectBlobs?: string
}

export interface Logins {
  readonly kind: 'basic' | 'bearer'
  readonly username: string
  readonly password: string
  /** What an OAuth2 client may have instead. */
  readonly refreshToken?: string
  readonly tokenSeconds?: number
}

export interface RegistryServerOptions {
  readonly authority?: TestAuthority
  readonly logins?: Logins
  readonly habits?: Habits
}

interface State {
  readonly server: Omit<RegistryServer, typeof Symbol.asyncDispose>
  readonly uploads: Map<string, Buffer[]>
  readonly tokens: Map<string, { scopes: readonly string[]; expiresMs: number }>
  readonly logins: Logins | undefined
}

/** Starts an empty registry on a port of its own. */
export async function serveRegistry(options: RegistryServerOptions = {}): Promise<RegistryServer> {
  const { authority, logins, habits = {} } = options
  const counts = new Map<string, number>()
  const handler = (request: IncomingMessage, response: ServerResponse): void =>
    void handle(request, response).catch(() => request.destroy())
  const web =
    authority === undefined
      ? createServer(handler)
      : createSecureServer({ cert: authority.certificate, key: authority.key }, handler)
  web.keepAliveTimeout = 30_000
  const sockets = new Set<Socket>()
  web.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>(resolve => web.listen(0, '127.0.0.1', resolve))
  const { port } = web.address() as AddressInfo
  const host = `127.0.0.1:${port}`
  const server: State['server'] = {
    host,
    origin: `${authority === undefined ? 'http' : 'https'}://${host}`,
    log: [],
    authorizations: [],
    blobs: new Map(),
    manifests: new Map(),
    intercept: () => false,
    habits,
  }
  const state: State = { server, uploads: new Map(), tokens: new Map(), logins }
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET' } = request
    const url = new URL(request.url ?? '/', server.origin)
    const key = `${method} ${url.pathname}`
    const count = counts.get(key) ?? 0
    counts.set(key, count + 1)
    response.on('close', () => {})
    const line = server.log.push(`${key}${url.search}`) - 1
    server.authorizations.push(request.headers.authorization)
    response.on('finish', () => (server.log[line] += ` ${response.statusCode}`))
    const exchange = { request, response, method, url, path: url.pathname, count }
    if (await server.intercept(exchange)) return
    if (url.pathname === '/token') return await issueToken(state, exchange)
    if (!isAllowed(state, exchange)) return refuse(state, exchange)
    await answer(state, exchange)
  }
  return Object.assign(server, {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>(resolve => void web.close(() => resolve()))
    },
  })
}

export function sha256(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** Puts a blob into a repository; the result is its digest. */
export function giveBlob(server: RegistryServer, repository: string, bytes: Uint8Array): string {
  const digest = sha256(bytes)
  mapOf(server.blobs, repository).set(digest, Buffer.from(bytes))
  return digest
}

/** Puts a document into a repository under its digest and its tags. */
export function giveManifest(
  server: RegistryServer,
  repository: string,
  manifest: {
    readonly mediaType: string
    readonly text: string
    readonly tags?: readonly string[]
  },
): string {
  const { mediaType, text, tags = [] } = manifest
  const bytes = Buffer.from(text)
  const digest = sha256(bytes)
  for (const name of [digest, ...tags])
    mapOf(server.manifests, repository).set(name, { bytes, mediaType })
  return digest
}

function mapOf<T>(maps: Map<string, Map<string, T>>, repository: string): Map<string, T> {
  const found = maps.get(repository) ?? new Map<string, T>()
  maps.set(repository, found)
  return found
}

export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Answers with an error document of the specification. */
export function sendError(
  response: ServerResponse,
  status: number,
  code: string,
  message = '',
): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ errors: [{ code, message }] }))
}

const pathForm = /^\/v2\/(.+?)\/(manifests|blobs|tags|referrers)\/(.*)$/

function wantedScope({ method, path }: Exchange): string | undefined {
  const [, repository] = pathForm.exec(path) ?? []
  if (repository === undefined) return undefined
  const action =
    method === 'GET' || method === 'HEAD' ? 'pull' : method === 'DELETE' ? 'delete' : 'push'
  return `repository:${repository}:${action}`
}

function isAllowed(state: State, exchange: Exchange): boolean {
  const { logins } = state
  if (logins === undefined) return true
  const { authorization = '' } = exchange.request.headers
  if (logins.kind === 'basic') {
    const expected = Buffer.from(`${logins.username}:${logins.password}`).toString('base64')
    return authorization === `Basic ${expected}`
  }
  const token = state.tokens.get(authorization.replace(/^Bearer /, ''))
  if (token === undefined || token.expiresMs < Date.now()) return false
  const scope = wantedScope(exchange)
  if (scope === undefined) return true
  const colon = scope.lastIndexOf(':')
  return token.scopes.some(
    held =>
      held.slice(0, held.lastIndexOf(':')) === scope.slice(0, colon) &&
      held
        .slice(held.lastIndexOf(':') + 1)
        .split(',')
        .includes(scope.slice(colon + 1)),
  )
}

function refuse({ server, logins }: State, exchange: Exchange): void {
  const scope = wantedScope(exchange)
  const bearer = `Bearer realm="${server.origin}/token",service="test, \\"quoted\\"",scope="${scope ?? ''}"`
  const challenge =
    logins?.kind === 'basic' ? 'Basic realm="test registry"' : `Negotiate, ${bearer}`
  exchange.request.resume()
  exchange.response.setHeader('www-authenticate', challenge)
  sendError(exchange.response, 401, 'UNAUTHORIZED', 'authentication required')
}

async function issueToken({ logins, tokens }: State, exchange: Exchange): Promise<void> {
  const { request, response, url } = exchange
  const form = new URLSearchParams((await bodyOf(request)).toString())
  const isOAuth = exchange.method === 'POST'
  const expected = `Basic ${Buffer.from(`${logins?.username}:${logins?.password}`).toString('base64')}`
  const isKnown = isOAuth
    ? logins?.refreshToken !== undefined && form.get('refresh_token') === logins.refreshToken
    : request.headers.authorization === expected
  if (!isKnown) return sendError(response, 401, 'UNAUTHORIZED', 'wrong name or password')
  const scopes = isOAuth ? (form.get('scope') ?? '').split(' ') : url.searchParams.getAll('scope')
  const token = randomUUID()
  const seconds = logins?.tokenSeconds ?? 300
  tokens.set(token, { scopes, expiresMs: Date.now() + seconds * 1000 })
  const name = isOAuth ? 'access_token' : 'token'
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ [name]: token, expires_in: seconds }))
}

async function answer(state: State, exchange: Exchange): Promise<void> {
  const { request, response, path } = exchange
  if (path === '/v2/') return void response.writeHead(200).end('{}')
  if (path === '/v2/_catalog') return answerCatalog(state, exchange)
  const [, repository = '', kind = '', rest = ''] = pathForm.exec(path) ?? []
  if (kind === 'manifests') return await answerManifest(state, exchange, { repository, rest })
  if (kind === 'blobs' && rest.startsWith('uploads/'))
    return await answerUpload(state, exchange, { repository, rest: rest.slice('uploads/'.length) })
  if (kind === 'blobs') return answerBlob(state, exchange, { repository, rest })
  if (kind === 'tags') return answerTags(state, exchange, repository)
  if (kind === 'referrers') return answerReferrers(state, exchange, { repository, rest })
  request.resume()
  sendError(response, 404, 'NAME_UNKNOWN')
}

interface Place {
  readonly repository: string
  readonly rest: string
}

async function answerManifest(
  { server }: State,
  { request, response, method }: Exchange,
  { repository, rest }: Place,
): Promise<void> {
  const known = mapOf(server.manifests, repository)
  if (method === 'PUT') {
    const bytes = await bodyOf(request)
    const mediaType = request.headers['content-type'] ?? ''
    const digest = sha256(bytes)
    if (rest.startsWith('sha256:') && rest !== digest)
      return sendError(response, 400, 'DIGEST_INVALID')
    const missing = missingBlobs(server, repository, bytes)
    if (missing.length > 0)
      return sendError(response, 404, 'MANIFEST_BLOB_UNKNOWN', missing.join(', '))
    for (const name of [digest, rest]) known.set(name, { bytes, mediaType })
    const subject = subjectOf(bytes)
    const isListed = server.habits.referrers !== false && subject !== undefined
    response.writeHead(201, {
      'docker-content-digest': digest,
      ...(isListed ? { 'oci-subject': subject } : {}),
    })
    return void response.end()
  }
  const found = known.get(rest)
  if (found === undefined) return sendError(response, 404, 'MANIFEST_UNKNOWN')
  if (method === 'DELETE') {
    if (server.habits.deletes === false) return sendError(response, 405, 'UNSUPPORTED')
    known.delete(rest)
    return void response.writeHead(202).end()
  }
  response.writeHead(200, {
    'content-type': found.mediaType,
    'content-length': found.bytes.length,
    'docker-content-digest': sha256(found.bytes),
  })
  response.end(method === 'HEAD' ? undefined : found.bytes)
}

interface Named {
  readonly digest: string
  readonly artifactType?: string
  readonly mediaType?: string
}

function parsed(bytes: Buffer): Record<string, unknown> {
  return JSON.parse(bytes.toString()) as Record<string, unknown>
}

function missingBlobs(server: State['server'], repository: string, bytes: Buffer): string[] {
  const document = parsed(bytes)
  const manifests = (document['manifests'] ?? []) as Named[]
  const config = document['config'] as Named | undefined
  const layers = (document['layers'] ?? []) as Named[]
  return [
    ...manifests.filter(({ digest }) => !mapOf(server.manifests, repository).has(digest)),
    ...[...(config === undefined ? [] : [config]), ...layers].filter(
      ({ digest }) => !mapOf(server.blobs, repository).has(digest),
    ),
  ].map(({ digest }) => digest)
}

function subjectOf(bytes: Buffer): string | undefined {
  return (parsed(bytes)['subject'] as Named | undefined)?.digest
}

function answerBlob(
  { server }: State,
  { request, response, method, path }: Exchange,
  { repository, rest }: Place,
): void {
  const bytes = mapOf(server.blobs, repository).get(rest)
  if (bytes === undefined) return sendError(response, 404, 'BLOB_UNKNOWN')
  const { redirectBlobs, knowsRanges = true } = server.habits
  if (redirectBlobs !== undefined && method === 'GET')
    return void response.writeHead(307, { location: `${redirectBlobs}${path}` }).end()
  const [, from] = /^bytes=(\d+)-/.exec(request.headers.range ?? '') ?? []
  if (from !== undefined && knowsRanges) {
    const start = Number(from)
    response.writeHead(206, {
      'content-length': bytes.length - start,
      'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
    })
    return void response.end(bytes.subarray(start))
  }
  response.writeHead(200, { 'content-length': bytes.length, 'docker-content-digest': rest })
  response.end(method === 'HEAD' ? undefined : bytes)
}

async function answerUpload(state: State, exchange: Exchange, place: Place): Promise<void> {
  const { server, uploads } = state
  const { request, response, method, url } = exchange
  const { repository, rest } = place
  const body = await bodyOf(request)
  if (method === 'POST') return beginUpload(state, exchange, repository)
  const received = uploads.get(rest)
  if (received === undefined) return sendError(response, 404, 'BLOB_UPLOAD_UNKNOWN')
  const held = received.reduce((sum, chunk) => sum + chunk.length, 0)
  if (method === 'PATCH') {
    if (server.habits.takesPieces === false) return sendError(response, 405, 'UNSUPPORTED')
    const [, start] = /^(\d+)-/.exec(request.headers['content-range'] ?? '') ?? []
    if (start !== undefined && Number(start) !== held)
      return sendUpload(state, { response, repository, id: rest, status: 416 })
    received.push(body)
    return sendUpload(state, { response, repository, id: rest, status: 202 })
  }
  if (method === 'PUT') {
    if (server.habits.takesWhole === false && body.length > 0)
      return sendError(response, 413, 'TOO_LARGE')
    const digest = url.searchParams.get('digest') ?? ''
    const whole = Buffer.concat([...received, body])
    if (sha256(whole) !== digest) return sendError(response, 400, 'DIGEST_INVALID')
    mapOf(server.blobs, repository).set(digest, whole)
    uploads.delete(rest)
    return void response.writeHead(201, { 'docker-content-digest': digest }).end()
  }
  sendUpload(state, { response, repository, id: rest, status: 204 })
}

function beginUpload(state: State, { response, url }: Exchange, repository: string): void {
  const { server, uploads } = state
  const { mounts = true } = server.habits
  const mounted = url.searchParams.get('mount') ?? ''
  const source = server.blobs.get(url.searchParams.get('from') ?? '')?.get(mounted)
  if (source !== undefined && mounts) {
    mapOf(server.blobs, repository).set(mounted, source)
    return void response.writeHead(201, { 'docker-content-digest': mounted }).end()
  }
  const id = randomUUID()
  uploads.set(id, [])
  sendUpload(state, { response, repository, id, status: 202 })
}

interface UploadAnswer {
  readonly response: ServerResponse
  readonly repository: string
  readonly id: string
  readonly status: number
}

function sendUpload(
  { server, uploads }: State,
  { response, repository, id, status }: UploadAnswer,
): void {
  const { absoluteLocations, chunkMinLength } = server.habits
  const held = (uploads.get(id) ?? []).reduce((sum, chunk) => sum + chunk.length, 0)
  const location = `/v2/${repository}/blobs/uploads/${id}?_state=a%2Fb`
  response.writeHead(status, {
    location: absoluteLocations ? `${server.origin}${location}` : location,
    range: `0-${Math.max(0, held - 1)}`,
    'docker-upload-uuid': id,
    ...(chunkMinLength === undefined ? {} : { 'oci-chunk-min-length': chunkMinLength }),
  })
  response.end()
}

function answerTags({ server }: State, { response, url }: Exchange, repository: string): void {
  const known = server.manifests.get(repository)
  if (known === undefined || known.size === 0) return sendError(response, 404, 'NAME_UNKNOWN')
  const all = [...known.keys()].filter(name => !name.startsWith('sha256:')).toSorted()
  const last = url.searchParams.get('last')
  const rest = last === null ? all : all.filter(tag => tag > last)
  const page = rest.slice(0, server.habits.tagsOnPage ?? 1000)
  const isLast = page.length === rest.length
  response.writeHead(200, {
    'content-type': 'application/json',
    ...(isLast
      ? {}
      : { link: `</v2/${repository}/tags/list?n=2&last=${page.at(-1)}>; rel="next"` }),
  })
  response.end(JSON.stringify({ name: repository, tags: page }))
}

function answerCatalog({ server }: State, { response }: Exchange): void {
  const repositories = [...server.manifests.keys()].toSorted()
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ repositories }))
}

function answerReferrers(
  { server }: State,
  { response, url }: Exchange,
  { repository, rest }: Place,
): void {
  if (server.habits.referrers === false) return sendError(response, 404, 'NOT_FOUND')
  const wanted = url.searchParams.get('artifactType')
  const found = [...mapOf(server.manifests, repository)]
    .filter(([name, { bytes }]) => name.startsWith('sha256:') && subjectOf(bytes) === rest)
    .map(([digest, { bytes, mediaType }]) => {
      const { artifactType, config } = parsed(bytes) as { artifactType?: string; config?: Named }
      return {
        mediaType,
        digest,
        size: bytes.length,
        artifactType: artifactType ?? config?.mediaType,
      }
    })
    .filter(item => wanted === null || item.artifactType === wanted)
  response.writeHead(200, { 'content-type': 'application/vnd.oci.image.index.v1+json' })
  response.end(JSON.stringify({ schemaVersion: 2, manifests: found }))
}
