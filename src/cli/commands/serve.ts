// `kauri serve`: offers the store to others, for now as a registry.

import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { isIP } from 'node:net'
import { KauriError } from '../../core/errors.ts'
import type { CommandContext, CommandSpec, ParsedOptions } from '../command.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'serve',
  summary: 'Offer the images of the store to others',
  details: [
    'With --registry ro everybody who reaches the address may pull every image of the store: docker.io’s under their short names, others below the name of their registry. With an htpasswd file only its users may; with rw they may push and delete, too. Other addresses than loopback need TLS.',
    'Runs until it is interrupted; requests under way are finished.',
  ],
  options: [
    {
      long: 'registry',
      value: 'MODE',
      choices: ['ro', 'rw'],
      required: true,
      summary: 'Serve the OCI distribution API, read-only or writable',
    },
    {
      long: 'listen',
      value: 'ADDRESS:PORT',
      summary: 'Where to listen (default: 127.0.0.1:5000; port 0: any that is free)',
    },
    {
      long: 'htpasswd',
      value: 'FILE',
      summary: 'Only for these users: names and bcrypt hashes, as htpasswd -B writes them',
    },
    {
      long: 'server-name',
      value: 'NAME',
      repeat: true,
      summary:
        'A name by which clients come through a proxy on this machine; without TLS others are refused',
    },
    { long: 'tlscert', value: 'FILE', summary: 'Certificate chain, PEM' },
    { long: 'tlskey', value: 'FILE', summary: 'Its private key, PEM' },
  ],
  run: async ({ options, context }) => {
    const { host, port } = parseAddress(options.text('listen') ?? '127.0.0.1:5000')
    const tls = readTls(options)
    if (tls === undefined && !isLoopback(host))
      throw new KauriError('USAGE', `${host} is not loopback: passwords and images need TLS`, {
        hint: 'give --tlscert and --tlskey, or listen on 127.0.0.1',
      })
    const server = await openServer(options, context, tls)
    await listen(server, host, port)
    const address = server.address()
    const actual = typeof address === 'object' && address !== null ? address.port : port
    const shown = `${tls === undefined ? 'http' : 'https'}://${host}:${actual}`
    context.print(shown)
    context.printJson({ address: shown })
    await untilStopped(server, context.signal)
    return 0
  },
}

type Tls = { readonly cert: Buffer; readonly key: Buffer } | undefined

async function openServer(
  options: ParsedOptions,
  context: CommandContext,
  tls: Tls,
): Promise<Server> {
  const mode = options.text('registry') === 'rw' ? 'rw' : 'ro'
  const passwordFile = options.text('htpasswd')
  if (mode === 'rw' && passwordFile === undefined)
    throw new KauriError('USAGE', 'who may write must be named', {
      hint: 'make a file with htpasswd -B -c FILE NAME and give it with --htpasswd',
    })
  const { openAccess } = await import('../../registry/serve-access.ts')
  const { registryServer } = await import('../../registry/serve-registry.ts')
  const access = openAccess({ mode, passwordFile })
  const names = options.texts('server-name')
  return registryServer({ store: openStore(context), access, tls, names, emit: context.emit })
}

function parseAddress(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? (plain === 'localhost' ? '127.0.0.1' : (plain ?? ''))
  if (isIP(host) === 0 || Number(port) > 65_535)
    throw new KauriError('USAGE', `--listen takes ADDRESS:PORT, not "${text}"`, {
      hint: 'write 127.0.0.1:5000, or [::1]:5000',
    })
  return { host, port: Number(port) }
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1'
}

function readTls(options: ParsedOptions): Tls {
  const [cert, key] = [options.text('tlscert'), options.text('tlskey')]
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined || key === undefined)
    throw new KauriError('USAGE', '--tlscert and --tlskey belong together')
  return { cert: readFileSync(cert), key: readFileSync(key) }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', error =>
      reject(
        new KauriError('PROCESS_FAILED', `cannot listen on ${host}:${port}: ${error.message}`, {
          cause: error,
        }),
      ),
    )
    server.listen(port, host, resolve)
  })
}

/** Ends when interrupted; what is under way gets a few seconds. */
async function untilStopped(server: Server, signal: AbortSignal): Promise<void> {
  await new Promise<void>(resolve => {
    const stop = (): void => {
      server.close(() => resolve())
      server.closeIdleConnections()
      setTimeout(() => server.closeAllConnections(), graceMs).unref()
    }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}

const graceMs = 5000
