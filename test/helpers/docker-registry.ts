// Debian's docker-registry on loopback, with everything in a directory of the test's.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import type { Scratch } from './scratch.ts'
import type { TokenServer } from './token-server.ts'

export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string
}

export interface DockerRegistryOptions {
  /** Files of a certificate and its key: it speaks https. */
  readonly tls?: { readonly certificate: string; readonly key: string }
  /** It lets in this user alone. */
  readonly login?: { readonly username: string; readonly password: string }
  /** It sends people to this token server; `rootcertbundle` is the file of its authority. */
  readonly token?: TokenServer['settings'] & { readonly rootcertbundle: string }
}

/** Starts it and waits until it answers; needs the programs docker-registry and perl. */
export async function startDockerRegistry(
  scratch: Pick<Scratch, 'at'>,
  { tls, login, token }: DockerRegistryOptions = {},
): Promise<DockerRegistry> {
  const port = await freePort()
  const host = `127.0.0.1:${port}`
  const data = scratch.at(`registry-${port}`)
  mkdirSync(data)
  if (login !== undefined) writeFileSync(`${data}.users`, passwordLine(login))
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: data }, delete: { enabled: true } },
    http: {
      addr: host,
      ...(tls === undefined ? {} : { tls: { certificate: tls.certificate, key: tls.key } }),
    },
    ...(login === undefined
      ? {}
      : { auth: { htpasswd: { realm: 'test', path: `${data}.users` } } }),
    ...(token === undefined ? {} : { auth: { token } }),
  }
  // JSON is YAML, too.
  writeFileSync(`${data}.json`, JSON.stringify(config))
  const child = spawn('docker-registry', ['serve', `${data}.json`], { stdio: 'ignore' })
  await untilItAnswers(`${tls === undefined ? 'http' : 'https'}://${host}/v2/`, child)
  return {
    host,
    [Symbol.asyncDispose]: () =>
      new Promise<void>(resolve => {
        child.once('close', () => resolve())
        child.kill('SIGKILL')
      }),
  }
}

/** bcrypt, as it wants passwords. */
function passwordLine({ username, password }: { username: string; password: string }): string {
  const script = 'print crypt($ARGV[0], q($2y$05$abcdefghijklmnopqrstuu))'
  const hash = execFileSync('perl', ['-e', script, password], { encoding: 'utf8' })
  return `${username}:${hash}\n`
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>(resolve => void server.close(() => resolve()))
  return port
}

async function untilItAnswers(url: string, child: ChildProcess): Promise<void> {
  const isHttps = url.startsWith('https')
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) throw new Error('docker-registry ended')
    try {
      // A certificate that nobody knows is an answer, too.
      await fetch(url)
      return
    } catch (error) {
      const cause =
        error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined
      if (isHttps && cause?.code !== 'ECONNREFUSED') return
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(`docker-registry does not answer at ${url}`)
}
