// The store as a registry, for tests that ask it.

import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hashSync } from 'bcryptjs'
import { openAccess } from '../../src/registry/serve-access.ts'
import { registryServer } from '../../src/registry/serve-registry.ts'
import { diskStore } from '../../src/store/disk-store.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

export interface Serving extends AsyncDisposable {
  readonly scratch: Scratch
  readonly server: Server
  readonly port: number
  ask(method: string, path: string, options?: Asking): Promise<Answer>
  /** Uploads a blob in one piece; its digest. */
  blob(text: string): Promise<string>
  /** Uploads a manifest under a tag or its digest. */
  manifest(target: string, more?: object): Promise<{ digest: string; answer: Answer }>
}

export interface ServeOptions {
  readonly idleMs?: number
  readonly names?: readonly string[]
  readonly scratch?: Scratch
}

export interface Asking {
  readonly body?: string | Uint8Array<ArrayBuffer>
  readonly headers?: Readonly<Record<string, string>>
  readonly user?: string
}

export interface Answer {
  readonly status: number
  readonly text: string
  header(name: string): string | null
}

export const digestOf = (text: string | Uint8Array): string =>
  `sha256:${createHash('sha256').update(text).digest('hex')}`

export const manifestType = 'application/vnd.oci.image.manifest.v1+json'
export const indexType = 'application/vnd.oci.image.index.v1+json'

/** Starts a server on a port of its own; with a scratch directory of another one, it serves the same store. */
export async function serve(
  mode: 'ro' | 'rw' = 'rw',
  isOpen = false,
  { scratch: given, ...more }: ServeOptions = {},
): Promise<Serving> {
  const scratch = given ?? makeScratch()
  const passwordFile = scratch.at('htpasswd')
  writeFileSync(passwordFile, `# users\nann:${hashSync('secret', 4)}\n`)
  const store = diskStore(scratch.at('store'))
  const access = openAccess({ mode, passwordFile: isOpen ? undefined : passwordFile })
  const server = registryServer({ store, access, emit: () => {}, ...more })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return serving(server, scratch, given === undefined)
}

function serving(server: Server, scratch: Scratch, isOwn: boolean): Serving {
  const { port } = server.address() as AddressInfo
  const ask: Serving['ask'] = async (method, path, { body, headers, user = 'ann:secret' } = {}) => {
    const authorization = `Basic ${Buffer.from(user).toString('base64')}`
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { ...(user === '' ? {} : { authorization }), ...headers },
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
    })
    return {
      status: response.status,
      text: await response.text(),
      header: name => response.headers.get(name),
    }
  }
  const self: Serving = {
    scratch,
    server,
    port,
    ask,
    async blob(text) {
      const digest = digestOf(text)
      await ask('POST', `/v2/team/app/blobs/uploads/?digest=${digest}`, { body: text })
      return digest
    },
    async manifest(target, more = {}) {
      const config = await self.blob('{}')
      const layer = await self.blob('layer')
      const body = JSON.stringify({
        schemaVersion: 2,
        mediaType: manifestType,
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config, size: 2 },
        layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layer, size: 5 }],
        ...more,
      })
      const digest = digestOf(body)
      const path = `/v2/team/app/manifests/${target === 'digest' ? digest : target}`
      const headers = { 'content-type': manifestType }
      return { digest, answer: await ask('PUT', path, { body, headers }) }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
      if (isOwn) scratch[Symbol.dispose]()
    },
  }
  return self
}
