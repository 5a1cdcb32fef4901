import { mkdirSync, writeFileSync } from 'node:fs'
import { request as askServer, createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import test from 'ava'
import { parseReference } from '../../src/oci/reference.ts'
import { testWith } from '../helpers/needs.ts'
import { serveRegistry } from '../helpers/registry-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { makeAuthority } from '../helpers/test-authority.ts'
import { giveImage, quickRegistries } from './small-registry.ts'

interface Proxy extends AsyncDisposable {
  readonly url: string
  /** `CONNECT host:port` and `GET address`, with the authorization that came along. */
  readonly log: string[]
}

/** A proxy to which every name is 127.0.0.1. */
async function serveProxy(port: number): Promise<Proxy> {
  const log: string[] = []
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => {})
  }
  const server = createServer((incoming, response) => {
    log.push(`${incoming.method} ${incoming.url} ${incoming.headers['proxy-authorization']}`)
    const { pathname } = new URL(incoming.url ?? '/')
    const onward = askServer({ port, path: pathname, method: incoming.method ?? 'GET' }, answer => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    incoming.pipe(onward)
  })
  server.on('connection', keep)
  server.on('connect', (incoming, socket: Socket) => {
    log.push(`CONNECT ${incoming.url} ${incoming.headers['proxy-authorization']}`)
    const onward = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      onward.pipe(socket).pipe(onward)
    })
    keep(onward)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://me:secret@127.0.0.1:${(server.address() as AddressInfo).port}`,
    log,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>(resolve => void server.close(() => resolve()))
    },
  }
}

const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`

testWith({ programs: ['openssl'] })(
  'https goes through a proxy as a tunnel, but for no_proxy',
  async t => {
    using scratch = makeScratch()
    const authority = makeAuthority(scratch)
    await using server = await serveRegistry({ authority })
    const { digest } = giveImage(server, 'app')
    const port = Number(server.host.split(':')[1])
    await using proxy = await serveProxy(port)
    const name = parseReference(`localhost.example.org:${port}/app`)
    mkdirSync(scratch.at('none'))
    const environment = { https_proxy: proxy.url, no_proxy: 'other.example.org' }
    await using registries = await quickRegistries({ environment, tlsVerify: false })
    t.is(
      (await registries.repository(name).findManifest('latest'))?.descriptor.digest as string,
      digest,
    )
    t.deepEqual(proxy.log, [`CONNECT localhost.example.org:${port} ${basic}`])
    await using direct = await quickRegistries({
      environment: { ...environment, no_proxy: '.example.org' },
      tlsVerify: false,
    })
    const error = await t.throwsAsync(direct.repository(name).findManifest('latest'), {
      code: 'REGISTRY_FAILED',
    })
    t.notRegex(error?.message ?? '', /secret/)
    t.is(proxy.log.length, 1)
  },
)

test('this machine is never asked through a proxy, and one that is not there is named without its password', async t => {
  await using server = await serveRegistry()
  const { digest } = giveImage(server, 'app')
  const environment = {
    http_proxy: 'http://me:secret@127.0.0.1:1',
    https_proxy: 'http://me:secret@127.0.0.1:1',
  }
  await using registries = await quickRegistries({ environment })
  const name = parseReference(`${server.host}/app`)
  t.is(
    (await registries.repository(name).findManifest('latest'))?.descriptor.digest as string,
    digest,
  )
  const away = registries.repository(parseReference('registry.example.org/app'))
  const error = await t.throwsAsync(away.findManifest('latest'), { code: 'REGISTRY_FAILED' })
  t.regex(error?.message ?? '', /cannot reach registry\.example\.org/)
  t.notRegex(`${error?.message} ${(error as { hint?: string }).hint}`, /secret/)
})

test('plain http goes through a proxy, too, where it is asked for', async t => {
  using scratch = makeScratch()
  await using server = await serveRegistry()
  const { digest } = giveImage(server, 'app')
  await using proxy = await serveProxy(Number(server.host.split(':')[1]))
  const conf = scratch.at('registries.conf')
  writeFileSync(conf, '[[registry]]\nlocation = "plain.example.org"\ninsecure = true\n')
  await using registries = await quickRegistries({
    environment: { HTTP_PROXY: proxy.url, CONTAINERS_REGISTRIES_CONF: conf },
  })
  const name = parseReference('plain.example.org/app')
  t.is(
    (await registries.repository(name).findManifest('latest'))?.descriptor.digest as string,
    digest,
  )
  t.true(proxy.log.every(line => line.endsWith(basic)))
})
