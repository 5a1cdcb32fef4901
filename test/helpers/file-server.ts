// A small web server on loopback for what clients of repositories must cope with: it remembers requests, wants a
// password where it is told one, and answers conditional requests.

import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'

export interface FileServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** `STATUS PATH` of every request so far; for a proxy the path is the whole address. */
  readonly requests: string[]
}

export interface FileServerOptions {
  /** `user:password` that requests must carry. */
  readonly credentials?: string
}

/** Serves a directory. */
export async function serveFiles(
  directory: string,
  { credentials }: FileServerOptions = {},
): Promise<FileServer> {
  const requests: string[] = []
  const wanted =
    credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const answer = (status: number, headers: Record<string, string | number> = {}): void => {
      requests.push(`${status} ${request.url}`)
      response.writeHead(status, headers)
    }
    if (wanted !== undefined && request.headers.authorization !== wanted) {
      answer(401, { 'www-authenticate': 'Basic realm="repository"' })
      response.end()
      return
    }
    const file = path.join(directory, path.posix.normalize(decodeURIComponent(pathname)))
    const stats = statSync(file, { throwIfNoEntry: false })
    if (stats?.isFile() !== true) {
      answer(404)
      response.end()
      return
    }
    const modified = new Date(Math.floor(stats.mtimeMs / 1000) * 1000).toUTCString()
    if (request.headers['if-modified-since'] === modified) {
      answer(304)
      response.end()
      return
    }
    answer(200, { 'content-length': stats.size, 'last-modified': modified })
    createReadStream(file).pipe(response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: () =>
      new Promise<void>(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
