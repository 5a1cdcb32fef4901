// Registries that lie, stall and lure: a clear error in bounded time, nothing half visible, no password for strangers. What
// they do to single documents and blobs of a pull is in pull.test.ts.

import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { ignoreEvents } from '../../src/core/events.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { pullImage } from '../../src/registry/pull-image.ts'
import type { Registries, RegistryLimits, RegistryRepository } from '../../src/registry/registry.ts'
import { diskStore } from '../../src/store/disk-store.ts'
import {
  type Exchange,
  type RegistryServer,
  serveRegistry,
  sha256,
} from '../helpers/registry-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import {
  type GivenImage,
  giveImage,
  named,
  quickLimits,
  quickRegistries,
  someBytes,
} from './small-registry.ts'

interface Trap {
  readonly t: ExecutionContext
  readonly server: RegistryServer
  readonly image: GivenImage
  readonly registries: Registries
  readonly repository: RegistryRepository
  /** Pulls, which must fail; the message. Nothing is visible afterwards. */
  readonly pull: () => Promise<string>
}

const credentials = { kind: 'password', username: 'ann', password: 'secret-word' } as const

function trap(
  title: string,
  body: (trap: Trap) => Promise<void>,
  limits: Partial<RegistryLimits> = {},
): void {
  test(title, async t => {
    await using server = await serveRegistry()
    using scratch = makeScratch()
    const image = giveImage(server, 'app', { layer: someBytes(200_000) })
    const store = diskStore(scratch.at('oci'))
    await using registries = await quickRegistries({
      credentials,
      limits: { ...quickLimits, ...limits },
    })
    const pull = async (): Promise<string> => {
      const how = { registries, emit: ignoreEvents }
      const error = await t.throwsAsync(pullImage(store, named(server, 'app'), how))
      t.deepEqual(await store.listImages(), [])
      t.false(existsSync(store.blobPath(image.digest as never)))
      t.notRegex(error?.message ?? '', /secret-word/)
      return error?.message ?? ''
    }
    const repository = registries.repository(named(server, 'app'))
    await body({ t, server, image, registries, repository, pull })
  })
}

/** Answers what the path fits to, and nothing else. */
function answering(
  server: RegistryServer,
  part: string,
  answer: (exchange: Exchange) => void | Promise<void>,
): void {
  server.intercept = async exchange => {
    if (!exchange.path.includes(part)) return false
    exchange.request.resume()
    await answer(exchange)
    return true
  }
}

trap('a redirect to a file leads nowhere', async ({ t, server, pull }) => {
  answering(server, '/blobs/', ({ response }) => {
    response.writeHead(307, { location: 'file:///etc/shadow' }).end()
  })
  t.regex(await pull(), /leads to file:/)
})

trap('redirects in a circle end', async ({ t, server, pull }) => {
  answering(server, '/blobs/', ({ response, path, count }) => {
    response.writeHead(307, { location: `${path}?again=${count}` }).end()
  })
  t.regex(await pull(), /redirects over and over/)
  t.true(server.log.length < 30)
})

for (const address of [
  'http://169.254.169.254/latest',
  'http://[fe80::1]/',
  'http://metadata.google.internal/',
])
  trap(
    `a redirect to ${address}, where clouds keep secrets, is not followed`,
    async ({ t, server, pull }) => {
      answering(server, '/blobs/', ({ response }) => {
        response.writeHead(307, { location: address }).end()
      })
      t.regex(await pull(), /is no https address/)
    },
  )

trap(
  'another host that a blob is redirected to gets no password, whatever it asks',
  async trapped => {
    const { t, server, pull } = trapped
    await using thief = await serveRegistry()
    thief.intercept = ({ response }) => {
      const challenge = `Basic realm="x", Bearer realm="${thief.origin}/token"`
      response.writeHead(401, { 'www-authenticate': challenge }).end()
      return true
    }
    answering(server, '/blobs/', ({ response, path }) => {
      response.writeHead(307, { location: `${thief.origin}${path}` }).end()
    })
    await pull()
    t.true(thief.log.length > 0)
    t.true(thief.authorizations.every(header => header === undefined))
    t.false(thief.log.some(line => line.includes('/token')))
  },
)

for (const realm of [
  'http://169.254.169.254/token',
  'https://169.254.169.254/token',
  'http://auth.example.org/token',
])
  trap(`a token endpoint at ${realm} is asked nothing`, async ({ t, server, pull }) => {
    answering(server, '/v2/', ({ response }) => {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="x"` }).end()
    })
    t.regex(await pull(), /sends logins to/)
  })

trap('a token endpoint that hangs is given up', async ({ t, server, pull }) => {
  answering(server, '/', ({ response, path }) => {
    const challenge = `Bearer realm="${server.origin}/token",service="x"`
    if (path !== '/token') response.writeHead(401, { 'www-authenticate': challenge }).end()
  })
  t.regex(await pull(), /gave no answer in time/)
})

trap('a manifest of 4 GB is not read', async ({ t, server, pull }) => {
  answering(server, '/manifests/', ({ response }) => {
    response.writeHead(200, {
      'content-type': mediaTypes.manifest,
      'content-length': 4_294_967_296,
    })
    response.write(Buffer.alloc(100_000))
  })
  t.regex(await pull(), /more than 4194304 bytes/)
})

trap('a manifest without an end is read to its limit', async ({ t, server, pull }) => {
  let sent = 0
  answering(server, '/manifests/', async ({ response }) => {
    response.writeHead(200, { 'content-type': mediaTypes.manifest })
    const closed = once(response, 'close')
    while (!response.destroyed && sent < 200_000_000) {
      sent += 65_536
      if (!response.write(Buffer.alloc(65_536, ' ')))
        await Promise.race([once(response, 'drain'), closed])
    }
  })
  t.regex(await pull(), /more than 4194304 bytes/)
  t.true(sent < 100_000_000)
})

trap(
  'a manifest that drips is given up',
  async ({ t, server, pull }) => {
    answering(server, '/manifests/', ({ response }) => {
      response.writeHead(200, { 'content-type': mediaTypes.manifest })
      const timer = setInterval(() => response.write(' '), 50)
      response.once('close', () => clearInterval(timer))
    })
    t.regex(await pull(), /did not come whole within 3 s/)
  },
  { documentMs: 3000 },
)

trap(
  'a blob that drips is given up',
  async ({ t, server, image, pull }) => {
    answering(server, image.layerDigest, ({ response }) => {
      response.writeHead(200, { 'content-length': 200_000 })
      const timer = setInterval(() => response.write('x'), 50)
      response.once('close', () => clearInterval(timer))
    })
    t.regex(await pull(), /less than 64 bytes a second/)
  },
  { leastBytesPerSecond: 64 },
)

trap('a blob that is a web page of the right length is refused by its digest', async trapped => {
  const { t, server, image, pull } = trapped
  answering(server, image.layerDigest, ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/html', 'content-length': 200_000 })
    response.end('<html>'.padEnd(200_000))
  })
  t.regex(await pull(), /expected the digest/)
})

for (const length of ['199999', '200001', '-1', '0x30d40', '1e9'])
  trap(
    `a blob whose Content-Length is ${length} is refused`,
    async ({ t, server, image, pull }) => {
      answering(server, image.layerDigest, ({ response }) => {
        response.socket?.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`)
        response.socket?.end(image.layer)
      })
      t.not(await pull(), '')
    },
  )

trap(
  'a header that names the digest of something else is no way around the check',
  async trapped => {
    const { t, server, image, pull } = trapped
    answering(server, image.layerDigest, ({ response }) => {
      const bytes = Buffer.alloc(200_000, 1)
      const headers = { 'content-length': bytes.length, 'docker-content-digest': image.layerDigest }
      response.writeHead(200, headers).end(bytes)
    })
    t.regex(await pull(), /expected the digest/)
  },
)

for (const encoding of ['gzip', 'br', 'zstd', 'deflate, gzip'])
  trap(`a manifest packed as ${encoding} that nobody asked for is refused`, async trapped => {
    const { t, server, pull } = trapped
    answering(server, '/manifests/', ({ response }) => {
      const bytes = gzipSync(Buffer.alloc(100_000_000))
      response.writeHead(200, {
        'content-type': mediaTypes.manifest,
        'content-encoding': encoding,
        'content-length': bytes.length,
      })
      response.end(bytes)
    })
    t.regex(await pull(), /which nobody has asked for/)
  })

trap('a blob is what its bytes are, though the answer calls them packed', async trapped => {
  const { t, server, image, repository } = trapped
  answering(server, image.layerDigest, ({ response }) => {
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': image.layer.length })
    response.end(image.layer)
  })
  const descriptor = { mediaType: 'x/y', digest: image.layerDigest as never, size: 200_000 }
  const chunks = await (await repository.openBlob(descriptor)).toArray()
  t.is(sha256(Buffer.concat(chunks)), image.layerDigest)
})

const links: readonly [string, string, RegExp][] = [
  ['itself', '</v2/app/tags/list?n=1000>; rel="next"', /at its beginning/],
  ['another host', '<http://elsewhere.example.org/v2/app/tags/list>; rel="next"', /elsewhere/],
  ['a file', '<file:///etc/passwd>; rel="next"', /elsewhere/],
]

for (const [what, link, message] of links)
  trap(`a list of tags that goes on at ${what} is refused`, async ({ t, server, repository }) => {
    answering(server, '/tags/list', ({ response }) => {
      response.writeHead(200, { link }).end('{"name":"app","tags":["a"]}')
    })
    await t.throwsAsync(repository.listTags(), { code: 'REGISTRY_FAILED', message })
  })

trap('a list of tags that goes in a circle ends', async ({ t, server, repository }) => {
  answering(server, '/tags/list', ({ response, url }) => {
    const next = (Number(url.searchParams.get('page')) + 1) % 3
    const link = `</v2/app/tags/list?page=${next}>; rel="next"`
    response.writeHead(200, { link }).end('{"name":"app","tags":["a"]}')
  })
  await t.throwsAsync(repository.listTags(), { message: /goes in a circle/ })
  t.true(server.log.length < 10)
})

trap('lists that are web pages, or of other things, are refused', async trapped => {
  const { t, server, registries, repository } = trapped
  const bodies = [
    '<html>',
    '[]',
    '{"tags":"a"}',
    '{"tags":["../x"],"repositories":["../x"]}',
    'null',
  ]
  for (const body of bodies) {
    answering(server, '/', ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end(body)
    })
    await t.throwsAsync(repository.listTags(), { code: 'REGISTRY_FAILED' }, body)
    if (body !== '{"tags":"a"}')
      await t.throwsAsync(
        registries.listRepositories(server.host),
        { code: 'REGISTRY_FAILED' },
        body,
      )
    await t.throwsAsync(repository.listReferrers(sha256('x') as never), undefined, body)
  }
})

trap('where an upload is sent to another host it goes without a password', async trapped => {
  const { t, server, repository } = trapped
  await using elsewhere = await serveRegistry()
  let received = 0
  elsewhere.intercept = async ({ request, response }) => {
    for await (const chunk of request) received += chunk.length
    response.writeHead(201).end()
    return true
  }
  server.intercept = ({ method, request, response }) => {
    if (method !== 'POST') return false
    request.resume()
    response.writeHead(202, { location: `${elsewhere.origin}/bucket?signature=abc` }).end()
    return true
  }
  const bytes = Buffer.from('hello')
  const blob = { digest: sha256(bytes) as never, size: bytes.length }
  await repository.putBlob(
    async () =>
      (async function* () {
        yield bytes
      })(),
    blob,
  )
  t.is(received, bytes.length)
  t.true(elsewhere.authorizations.every(header => header === undefined))
})

for (const location of ['file:///tmp/x', 'http://169.254.169.254/x', '', 'ftp://example.org/x'])
  trap(`an upload is not sent to "${location}"`, async ({ t, server, repository }) => {
    server.intercept = ({ method, request, response }) => {
      if (method !== 'POST') return false
      request.resume()
      response.writeHead(202, location === '' ? {} : { location }).end()
      return true
    }
    const bytes = Buffer.from('hello')
    const blob = { digest: sha256(bytes) as never, size: bytes.length }
    const send = repository.putBlob(
      async () =>
        (async function* () {
          yield bytes
        })(),
      blob,
    )
    await t.throwsAsync(send, { code: 'REGISTRY_FAILED' })
  })

trap('a registry that hangs before and in the middle of an upload is given up', async trapped => {
  const { t, server } = trapped
  const limits = { ...quickLimits, attempts: 2, answerMs: 300, commitMs: 300 }
  await using registries = await quickRegistries({ limits })
  const repository = registries.repository(named(server, 'app'))
  const bytes = Buffer.from('hello')
  const blob = { digest: sha256(bytes) as never, size: bytes.length }
  for (const method of ['POST', 'PUT']) {
    server.intercept = exchange => exchange.method === method
    const send = repository.putBlob(
      async () =>
        (async function* () {
          yield bytes
        })(),
      blob,
    )
    await t.throwsAsync(send, { code: 'REGISTRY_FAILED' }, method)
  }
})
