// The store as a registry (distribution-spec v1.1): read-only for everybody, or writable for those who may. Every answer is
// made of what the store has at that moment, so other commands and other servers may work on it meanwhile.

import type { Server } from 'node:http'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Emit } from '../core/events.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { Access } from './serve-access.ts'
import { digestOfTarget, serveBlob } from './serve-blobs.ts'
import { boundConnections, connectionLimits, requireOwnName } from './serve-connections.ts'
import { Refusal, refusalOf } from './serve-error.ts'
import { catalogPage, type ListPage, tagPage } from './serve-lists.ts'
import {
  deleteServed,
  findServed,
  putServed,
  referrersIndex,
  referrersOf,
} from './serve-manifests.ts'
import { type Route, routeOf } from './serve-route.ts'
import { rangeHeader, type Uploads, uploadsInto } from './serve-uploads.ts'

export interface RegistryServerOptions {
  readonly store: DiskStore
  readonly access: Access
  /** PEM; undefined: plain http, for loopback only. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer } | undefined
  readonly emit: Emit
  /** Names that clients may use beside those of loopback, where there is no TLS. */
  readonly names?: readonly string[]
  /** A connection on which nothing moves for so long goes, by default two minutes. */
  readonly idleMs?: number
}

const transferIdleMs = 120_000

/** A server that listens nowhere yet; `close` it. */
export function registryServer(options: RegistryServerOptions): Server {
  const uploads = uploadsInto(options.store)
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    void handle({ ...options, uploads, request, response })
  }
  const server =
    options.tls === undefined
      ? createHttpServer(connectionLimits, answer)
      : createHttpsServer({ ...connectionLimits, ...options.tls, minVersion: 'TLSv1.2' }, answer)
  boundConnections(server, options.idleMs ?? transferIdleMs)
  server.once('close', () => uploads[Symbol.dispose]())
  return server
}

interface Exchange extends RegistryServerOptions {
  readonly uploads: Uploads
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

async function handle(exchange: Exchange): Promise<void> {
  const { request, response, emit } = exchange
  response.setHeader('Docker-Distribution-Api-Version', 'registry/2.0')
  response.setHeader('X-Content-Type-Options', 'nosniff')
  try {
    if (exchange.tls === undefined) requireOwnName(request, exchange.names ?? [])
    const url = URL.parse(request.url ?? '', 'http://registry')
    if (url === null) throw new Refusal(400, 'NAME_INVALID', 'this is no address')
    const route = routeOf(url.pathname)
    await exchange.access.require(request, isReading(request) ? 'read' : 'write')
    await dispatch(exchange, route, url.searchParams)
  } catch (error) {
    // The client is gone, or the answer has begun: what is sent already is not whole, and says so by its length.
    if (response.headersSent) {
      response.destroy()
      return
    }
    const refusal = refusalOf(error)
    if (refusal.status === 500)
      emit({ kind: 'warning', message: `${request.method} ${request.url}: ${String(error)}` })
    refuse(exchange, refusal)
  }
}

function isReading({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD'
}

function refuse({ request, response }: Exchange, refusal: Refusal): void {
  const { status, code, message, headers } = refusal
  const body = JSON.stringify({ errors: [{ code, message, detail: null }] })
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    // A body that was not read would be taken for the next request.
    ...(request.complete ? {} : { Connection: 'close' }),
    ...headers,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

type Handler<Kind extends Route['kind']> = (
  exchange: Exchange,
  route: Extract<Route, { kind: Kind }>,
  query: URLSearchParams,
) => Promise<void>

const handlers: { readonly [Kind in Route['kind']]: Readonly<Record<string, Handler<Kind>>> } = {
  version: { GET: async ({ response }) => sendJson(response, {}) },
  catalog: {
    GET: async ({ store, response }, _, query) =>
      sendPage(response, await catalogPage(store, query)),
  },
  tags: {
    GET: async ({ store, response }, route, query) =>
      sendPage(response, await tagPage(store, route, query)),
  },
  referrers: { GET: sendReferrers },
  manifest: { GET: sendManifest, PUT: storeManifest, DELETE: removeManifest },
  blob: {
    GET: ({ store, request, response }, { target }) => serveBlob(store, target, request, response),
  },
  uploads: { POST: beginUpload },
  upload: {
    GET: sendUploadState,
    PATCH: continueUpload,
    PUT: endUpload,
    DELETE: async ({ uploads, response }, { target }) => {
      await uploads.cancel(target)
      response.writeHead(204).end()
    },
  },
}

async function dispatch<Kind extends Route['kind']>(
  exchange: Exchange,
  route: Extract<Route, { kind: Kind }>,
  query: URLSearchParams,
): Promise<void> {
  const { method = '' } = exchange.request
  const byMethod: Readonly<Record<string, Handler<Kind>>> = handlers[route.kind]
  const handler = byMethod[method === 'HEAD' ? 'GET' : method]
  if (handler === undefined)
    throw new Refusal(405, 'UNSUPPORTED', `${method} is not possible here`, {
      Allow: Object.keys(byMethod).join(', '),
    })
  await handler(exchange, route, query)
}

function sendPage(response: ServerResponse, { document, headers }: ListPage): void {
  sendJson(response, document, headers)
}

function sendJson(
  response: ServerResponse,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = JSON.stringify(value)
  response.writeHead(200, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    ...headers,
  })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

type Targeted = Extract<Route, { target: string }>

async function sendReferrers(
  { store, response }: Exchange,
  { name, target }: Targeted,
  query: URLSearchParams,
): Promise<void> {
  const wanted = query.get('artifactType')
  const all = await referrersOf(store, name, digestOfTarget(target))
  const found = wanted === null ? all : all.filter(({ artifactType }) => artifactType === wanted)
  const body = referrersIndex(found)
  response.writeHead(200, {
    'Content-Type': 'application/vnd.oci.image.index.v1+json',
    'Content-Length': body.length,
    ...(wanted === null ? {} : { 'OCI-Filters-Applied': 'artifactType' }),
  })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

async function sendManifest(
  { store, response }: Exchange,
  { name, target }: Targeted,
): Promise<void> {
  const { descriptor, bytes } = await findServed(store, name, target)
  response.writeHead(200, {
    'Content-Type': descriptor.mediaType,
    'Content-Length': bytes.byteLength,
    'Docker-Content-Digest': descriptor.digest,
    ETag: `"${descriptor.digest}"`,
  })
  response.end(response.req.method === 'HEAD' ? undefined : bytes)
}

async function storeManifest(
  { store, request, response }: Exchange,
  { name, path, target }: Targeted,
): Promise<void> {
  const { descriptor, subject } = await putServed(store, { ...name, target }, request)
  response.writeHead(201, {
    Location: `/v2/${path}/manifests/${descriptor.digest}`,
    'Docker-Content-Digest': descriptor.digest,
    ...(subject === undefined ? {} : { 'OCI-Subject': subject }),
    'Content-Length': 0,
  })
  response.end()
}

async function removeManifest(
  { store, response }: Exchange,
  { name, target }: Targeted,
): Promise<void> {
  await deleteServed(store, name, target)
  response.writeHead(202, { 'Content-Length': 0 }).end()
}

/** `?mount=` of a blob that is here needs no upload; `?digest=` uploads with the one request. */
async function beginUpload(
  exchange: Exchange,
  route: Extract<Route, { kind: 'tags' | 'uploads' }>,
  query: URLSearchParams,
): Promise<void> {
  const { store, uploads, request } = exchange
  const mount = query.get('mount')
  if (mount !== null) {
    const digest = digestOfTarget(mount)
    if (await store.hasBlob(digest)) {
      request.resume()
      return sendStored(exchange, route.path, digest)
    }
  }
  const text = query.get('digest')
  const digest = text === null ? undefined : digestOfTarget(text)
  const target = uploads.begin()
  if (digest === undefined) {
    request.resume()
    return tellUpload(exchange, { ...route, target }, [202, 0])
  }
  await uploads.finish(target, digest, request)
  return sendStored(exchange, route.path, digest)
}

async function sendUploadState(exchange: Exchange, route: Targeted): Promise<void> {
  tellUpload(exchange, route, [204, await exchange.uploads.received(route.target)])
}

async function continueUpload(exchange: Exchange, route: Targeted): Promise<void> {
  const received = await exchange.uploads.append(route.target, exchange.request)
  tellUpload(exchange, route, [202, received])
}

async function endUpload(
  exchange: Exchange,
  route: Targeted,
  query: URLSearchParams,
): Promise<void> {
  const text = query.get('digest')
  if (text === null) throw new Refusal(400, 'DIGEST_INVALID', 'the digest is missing')
  const digest = digestOfTarget(text)
  await exchange.uploads.finish(route.target, digest, exchange.request)
  sendStored(exchange, route.path, digest)
}

function tellUpload(
  { response }: Exchange,
  { path, target }: { readonly path: string; readonly target: string },
  [status, received]: readonly [status: 202 | 204, received: number],
): void {
  response.writeHead(status, {
    Location: `/v2/${path}/blobs/uploads/${target}`,
    Range: rangeHeader(received),
    'Docker-Upload-UUID': target,
    'Content-Length': 0,
  })
  response.end()
}

function sendStored({ response }: Exchange, path: string, digest: string): void {
  response.writeHead(201, {
    Location: `/v2/${path}/blobs/${digest}`,
    'Docker-Content-Digest': digest,
    'Content-Length': 0,
  })
  response.end()
}
