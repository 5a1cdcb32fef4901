// A git repository made on the spot, and a server for it on loopback: git's own http-backend behind node:http.

import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import process from 'node:process'

const environment = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.org',
}

export interface GitRepository {
  /** Runs git in it; the result is what it printed. */
  git(...args: readonly string[]): string
  /** Writes files, and commits all that is there; the result is the commit. `seconds` is its time. */
  commit(files: Readonly<Record<string, string>>, seconds?: number): string
}

/** Makes a repository with a work tree in a directory. */
export function makeGitRepository(directory: string): GitRepository {
  mkdirSync(directory, { recursive: true })
  const git = (...args: readonly string[]): string =>
    execFileSync('git', args, { cwd: directory, env: environment, encoding: 'utf8' }).trim()
  git('init', '--quiet', '--initial-branch=main')
  return {
    git,
    commit(files, seconds = 1_600_000_000) {
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(path.dirname(path.join(directory, name)), { recursive: true })
        writeFileSync(path.join(directory, name), text)
      }
      git('add', '--all')
      const date = `${seconds} +0000`
      execFileSync('git', ['commit', '--quiet', '--message', 'change'], {
        cwd: directory,
        env: { ...environment, GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date },
      })
      return git('rev-parse', 'HEAD')
    },
  }
}

export interface GitServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** Path and Authorization header of every request so far. */
  readonly requests: { readonly path: string; readonly authorization: string | undefined }[]
}

export interface GitServerChoice {
  /** Whoever comes without this header is refused. */
  readonly authorization?: string
  /** Another server, to which everybody is sent. */
  readonly redirectsTo?: string
}

/** Serves every repository below a directory; a work tree's is called `NAME/.git`, and a link makes it `NAME.git`. */
export async function serveGit(
  directory: string,
  { authorization, redirectsTo }: GitServerChoice = {},
): Promise<GitServer> {
  const requests: GitServer['requests'] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const given = request.headers.authorization
    requests.push({ path: url.pathname, authorization: given })
    if (authorization !== undefined && given !== authorization) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
      return
    }
    if (redirectsTo !== undefined) {
      response.writeHead(302, { location: `${redirectsTo}${request.url}` }).end()
      return
    }
    const backend = spawn('git', ['-c', 'safe.directory=*', 'http-backend'], {
      env: {
        ...environment,
        GIT_PROJECT_ROOT: directory,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'safe.directory',
        GIT_CONFIG_VALUE_0: '*',
        PATH_INFO: url.pathname,
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method ?? 'GET',
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        ...(request.headers['content-encoding'] === undefined
          ? {}
          : { HTTP_CONTENT_ENCODING: request.headers['content-encoding'] }),
        ...(typeof request.headers['git-protocol'] === 'string'
          ? { GIT_PROTOCOL: request.headers['git-protocol'] }
          : {}),
      },
    })
    request.pipe(backend.stdin)
    const chunks: Buffer[] = []
    backend.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    backend.once('close', () => {
      const whole = Buffer.concat(chunks)
      const end = whole.indexOf('\r\n\r\n')
      const head = whole.subarray(0, end).toString('latin1').split('\r\n')
      const headers = head.map(line => line.split(': ') as [string, string])
      const status = headers.find(([name]) => name === 'Status')?.[1] ?? '200'
      response.writeHead(Number.parseInt(status, 10), Object.fromEntries(headers))
      response.end(whole.subarray(end + 4))
    })
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
