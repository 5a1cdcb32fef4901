import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import { ignoreEvents } from '../../src/core/events.ts'
import { openImage } from '../../src/image/open-image.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { parsePlatform } from '../../src/oci/platform.ts'
import type { Reference } from '../../src/oci/reference.ts'
import { type PullOptions, pullImage } from '../../src/registry/pull-image.ts'
import type { RegistryOptions } from '../../src/registry/registry.ts'
import { type DiskStore, diskStore } from '../../src/store/disk-store.ts'
import {
  giveBlob,
  giveManifest,
  type RegistryServer,
  serveRegistry,
  sha256,
} from '../helpers/registry-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { giveImage, giveIndex, named, quickRegistries, someBytes } from './small-registry.ts'

const amd64 = parsePlatform('linux/amd64')

interface Setting {
  readonly t: ExecutionContext
  readonly server: RegistryServer
  readonly store: DiskStore
  readonly pull: (reference: Reference, platform?: 'all' | 'linux/arm64') => Promise<string>
}

/** A registry, an empty store and a client. */
function pulling(
  title: string,
  body: (setting: Setting) => Promise<void>,
  options: Partial<RegistryOptions> = {},
): void {
  test(title, async t => {
    await using server = await serveRegistry()
    using scratch = makeScratch()
    const store = diskStore(scratch.at('oci'))
    await using registries = await quickRegistries(options)
    const pull: Setting['pull'] = async (reference, platform) => {
      const wanted = platform === 'all' ? platform : parsePlatform(platform ?? 'linux/amd64')
      const how: PullOptions = { registries, platform: wanted, emit: ignoreEvents }
      return (await pullImage(store, reference, how)).digest
    }
    await body({ t, server, store, pull })
    t.deepEqual(
      existsSync(scratch.at('oci/ingest')) ? readdirSync(scratch.at('oci/ingest')) : [],
      [],
    )
  })
}

/** No name, and no way to an image. */
async function nothingVisible({ t, store }: Setting): Promise<void> {
  t.deepEqual(await store.listImages(), [])
}

pulling('an image arrives whole, with its name', async ({ t, server, store, pull }) => {
  const { digest, layer } = giveImage(server, 'team/app', { tag: '1' })
  t.is(await pull(named(server, 'team/app:1')), digest)
  const descriptor = await store.findImage(named(server, 'team/app:1'))
  const image = await openImage(store, descriptor ?? t.fail(), amd64)
  t.deepEqual(await buffer(await image.layers[0]!.open()), layer)
})

pulling('what is there is not asked for again', async ({ t, server, pull }) => {
  giveImage(server, 'app')
  await pull(named(server, 'app'))
  const before = server.log.length
  await pull(named(server, 'app'))
  t.deepEqual(server.log.slice(before), ['GET /v2/app/manifests/latest 200'])
})

pulling(
  'of an index the platform is pulled, or all of them',
  async ({ t, server, store, pull }) => {
    const one = giveImage(server, 'app', { layer: someBytes(10, 1), architecture: 'amd64' })
    const two = giveImage(server, 'app', { layer: someBytes(10, 2), architecture: 'arm64' })
    const index = giveIndex(server, 'app', [
      { image: one, architecture: 'amd64' },
      { image: two, architecture: 'arm64' },
    ])
    t.is(await pull(named(server, 'app:multi')), index)
    const has = async (digest: string): Promise<boolean> =>
      existsSync(store.blobPath(digest as never))
    t.true(await has(one.layerDigest))
    t.false(await has(two.layerDigest))
    t.is(await pull(named(server, 'app:multi'), 'all'), index)
    t.true(await has(two.layerDigest))
  },
)

pulling('a missing name, and a missing platform, are said', async setting => {
  const { t, server, pull } = setting
  const image = giveImage(server, 'app')
  giveIndex(server, 'app', [{ image, architecture: 's390x' }])
  await t.throwsAsync(pull(named(server, 'app:none')), { code: 'IMAGE_NOT_FOUND' })
  await t.throwsAsync(pull(named(server, 'nothing/here')), { code: 'IMAGE_NOT_FOUND' })
  await t.throwsAsync(pull(named(server, 'app:multi')), {
    code: 'IMAGE_NOT_FOUND',
    message: /nothing for linux\/amd64/,
  })
  await nothingVisible(setting)
})

pulling('a digest in the name is what is pulled', async ({ t, server, pull }) => {
  const { digest } = giveImage(server, 'app')
  t.is(await pull(named(server, `app@${digest}`)), digest)
  giveManifest(server, 'app', { mediaType: mediaTypes.manifest, text: '{"x":1}', tags: [digest] })
  await t.throwsAsync(pull(named(server, `app@${digest}`)), { code: 'CHECKSUM_MISMATCH' })
})

pulling('a broken connection goes on where it broke', async ({ t, server, pull }) => {
  const { layer, layerDigest } = giveImage(server, 'app', { layer: someBytes(200_000) })
  server.intercept = ({ response, path, count }) => {
    if (!path.endsWith(layerDigest) || count > 0) return false
    response.writeHead(200, { 'content-length': layer.length })
    response.write(layer.subarray(0, 70_000), () => response.destroy())
    return true
  }
  await pull(named(server, 'app'))
  t.is(server.log.filter(line => line.endsWith(`${layerDigest} 206`)).length, 1)
})

pulling(
  'a server without ranges sends everything again, and what came is skipped',
  async ({ t, server, pull }) => {
    server.habits = { knowsRanges: false }
    const { layer, layerDigest } = giveImage(server, 'app', { layer: someBytes(200_000) })
    server.intercept = ({ response, path, count }) => {
      if (!path.endsWith(layerDigest) || count > 1) return false
      // Without a length, as a proxy may send it: the end looks like an end.
      response.writeHead(200)
      response.end(layer.subarray(0, 50_000 * (count + 1)))
      return true
    }
    await t.notThrowsAsync(pull(named(server, 'app')))
  },
)

pulling('a registry that truncates each time is given up', async setting => {
  const { t, server, pull } = setting
  const { layer, layerDigest } = giveImage(server, 'app', { layer: someBytes(200_000) })
  server.intercept = ({ response, path }) => {
    if (!path.endsWith(layerDigest)) return false
    response.writeHead(200, { 'content-length': layer.length })
    response.write(layer.subarray(0, 10), () => response.destroy())
    return true
  }
  await t.throwsAsync(pull(named(server, 'app')), {
    code: 'REGISTRY_FAILED',
    message: /broke again and again, after 10 of 200000 bytes/,
  })
  await nothingVisible(setting)
})

for (const range of [
  'bytes 0-199999/200000',
  'bytes 70000-199998/200000',
  'bytes 70000-199999/300000',
  'nonsense',
  '',
])
  pulling(`a Content-Range of "${range}" is a lie`, async setting => {
    const { t, server, pull } = setting
    const { layer, layerDigest } = giveImage(server, 'app', { layer: someBytes(200_000) })
    server.intercept = ({ response, path, count }) => {
      if (!path.endsWith(layerDigest)) return false
      if (count === 0) {
        response.writeHead(200, { 'content-length': layer.length })
        response.write(layer.subarray(0, 70_000), () => response.destroy())
      } else {
        response.writeHead(206, range === '' ? {} : { 'content-range': range })
        response.end(layer.subarray(70_000))
      }
      return true
    }
    await t.throwsAsync(pull(named(server, 'app')), {
      code: 'REGISTRY_FAILED',
      message: /was asked for the bytes \d+-199999/,
    })
    await nothingVisible(setting)
  })

pulling('other bytes of the right length are refused', async setting => {
  const { t, server, pull } = setting
  const { layer, layerDigest } = giveImage(server, 'app')
  server.blobs.get('app')?.set(layerDigest, Buffer.alloc(layer.length))
  await t.throwsAsync(pull(named(server, 'app')), { code: 'CHECKSUM_MISMATCH' })
  await nothingVisible(setting)
})

pulling('a blob of another length is refused before it is read', async setting => {
  const { t, server, pull } = setting
  const { layerDigest } = giveImage(server, 'app')
  server.blobs.get('app')?.set(layerDigest, Buffer.alloc(10))
  await t.throwsAsync(pull(named(server, 'app')), {
    code: 'REGISTRY_FAILED',
    message: /has 10 bytes for the blob .* says 5000/,
  })
  await nothingVisible(setting)
})

pulling('a body without an end is cut off at the size that was said', async setting => {
  const { t, server, pull } = setting
  const { layerDigest } = giveImage(server, 'app')
  let sent = 0
  server.intercept = async ({ response, path }) => {
    if (!path.endsWith(layerDigest)) return false
    response.writeHead(200)
    const closed = once(response, 'close')
    while (!response.destroyed && sent < 500_000_000) {
      sent += 65_536
      if (!response.write(Buffer.alloc(65_536)))
        await Promise.race([once(response, 'drain'), closed])
    }
    return true
  }
  await t.throwsAsync(pull(named(server, 'app')), { message: /more than the 5000 bytes/ })
  t.true(sent < 100_000_000)
  await nothingVisible(setting)
})

pulling('a registry that says nothing is given up', async setting => {
  const { t, server, pull } = setting
  giveImage(server, 'app')
  server.intercept = () => true
  await t.throwsAsync(pull(named(server, 'app')), {
    code: 'REGISTRY_FAILED',
    message: /gave no answer in time/,
  })
  await nothingVisible(setting)
})

pulling('a registry that stops in the middle is given up', async setting => {
  const { t, server, pull } = setting
  const { layer, layerDigest } = giveImage(server, 'app')
  server.intercept = ({ response, path }) => {
    if (!path.endsWith(layerDigest)) return false
    response.writeHead(200, { 'content-length': layer.length })
    response.write(layer.subarray(0, 100))
    return true
  }
  await t.throwsAsync(pull(named(server, 'app')), { message: /stopped in the middle/ })
  await nothingVisible(setting)
})

pulling(
  'what was complete when a pull failed is kept for the next one',
  async ({ t, server, store, pull }) => {
    const { digest, layer, layerDigest } = giveImage(server, 'app')
    const manifest = server.manifests.get('app')?.get(digest)
    const config = JSON.parse(manifest?.bytes.toString() ?? '{}').config.digest
    const bytes = server.blobs.get('app')?.get(config)
    server.blobs.get('app')?.delete(config)
    await t.throwsAsync(pull(named(server, 'app')), { code: 'BLOB_NOT_FOUND' })
    t.true(existsSync(store.blobPath(layerDigest as never)))
    server.blobs.get('app')?.set(config, bytes ?? Buffer.alloc(0))
    server.blobs.get('app')?.delete(layerDigest)
    t.is(await pull(named(server, 'app')), digest)
    t.is(layer.length, 5000)
  },
)

pulling('a page of a captive portal is no manifest', async setting => {
  const { t, server, pull } = setting
  server.intercept = ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    response.end('<html>Welcome to our hotel</html>')
    return true
  }
  await t.throwsAsync(pull(named(server, 'app')), {
    code: 'REGISTRY_FAILED',
    message: /is a web page: 127\.0\.0\.1:\d+ is no registry/,
  })
  await nothingVisible(setting)
})

const documents = [
  { title: 'is no JSON', text: 'hello', message: /not valid JSON/ },
  { title: 'is nested deeply', text: '['.repeat(10_000), message: /nested deeper/ },
  {
    title: 'is manifest and index at once (CVE-2021-41190)',
    text: JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: { mediaType: mediaTypes.config, digest: sha256('x'), size: 1 },
      layers: [],
      manifests: [],
    }),
    message: /read as two different things/,
  },
  {
    title: 'is an index that is sent as a manifest (CVE-2021-41190)',
    text: JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [] }),
    message: /but was sent as/,
  },
  {
    title: 'is of an unknown type',
    text: JSON.stringify({ schemaVersion: 2, mediaType: 'application/x-thing' }),
    mediaType: 'application/x-thing',
    message: /which is no image/,
  },
  {
    title: 'is of schema version 1',
    text: JSON.stringify({ schemaVersion: 1 }),
    mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
    message: /schema version 1/,
  },
  {
    title: 'has a config of 4 GB',
    text: JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: mediaTypes.config, digest: sha256('x'), size: 4_000_000_000 },
      layers: [],
    }),
    message: /says 4000000000|no blob/,
  },
  {
    title: 'has a negative size',
    text: JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: mediaTypes.config, digest: sha256('x'), size: -1 },
      layers: [],
    }),
    message: /config\.size/,
  },
  {
    title: 'names a blob with ..',
    text: JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: mediaTypes.config, digest: 'sha256:../../etc/passwd', size: 1 },
      layers: [],
    }),
    message: /not a sha256 digest/,
  },
]

for (const { title, text, message, mediaType = mediaTypes.manifest } of documents)
  pulling(`a manifest that ${title} is refused`, async setting => {
    const { t, server, pull } = setting
    giveBlob(server, 'app', Buffer.from('x'))
    giveManifest(server, 'app', { mediaType, text, tags: ['latest'] })
    await t.throwsAsync(pull(named(server, 'app')), { message })
    await nothingVisible(setting)
  })

pulling('of two members with one name none counts', async setting => {
  const { t, server, pull } = setting
  const { manifest, layerDigest } = giveImage(server, 'app')
  const other = manifest.replace(
    /\}$/,
    `,"layers":[{"mediaType":"${mediaTypes.layerTar}","digest":"${layerDigest}","size":1}]}`,
  )
  giveManifest(server, 'app', { mediaType: mediaTypes.manifest, text: other, tags: ['latest'] })
  await t.throwsAsync(pull(named(server, 'app')), { message: /twice in one object/ })
  await nothingVisible(setting)
})

pulling('a manifest of more than 4 MiB is not read', async setting => {
  const { t, server, pull } = setting
  giveManifest(server, 'app', {
    mediaType: mediaTypes.manifest,
    text: ' '.repeat(5_000_000),
    tags: ['latest'],
  })
  await t.throwsAsync(pull(named(server, 'app')), { message: /more than 4194304 bytes/ })
  server.intercept = async ({ response }) => {
    response.writeHead(200, { 'content-type': mediaTypes.manifest })
    while (!response.destroyed) {
      response.write(Buffer.alloc(1_000_000, ' '))
      await new Promise(resolve => setTimeout(resolve, 1))
    }
    return true
  }
  await t.throwsAsync(pull(named(server, 'app')), { message: /more than 4194304 bytes/ })
  await nothingVisible(setting)
})

pulling('indexes in indexes are read to a depth that makes sense', async setting => {
  const { t, server, pull } = setting
  const image = giveImage(server, 'app')
  let child = {
    mediaType: mediaTypes.manifest as string,
    digest: image.digest,
    size: Buffer.byteLength(image.manifest),
  }
  for (let depth = 0; depth < 8; depth++) {
    const platform = { os: 'linux', architecture: 'amd64' }
    const text = JSON.stringify({ schemaVersion: 2, manifests: [{ ...child, platform }] })
    const digest = giveManifest(server, 'app', {
      mediaType: mediaTypes.index,
      text,
      tags: ['deep'],
    })
    child = { mediaType: mediaTypes.index, digest, size: Buffer.byteLength(text) }
    if (depth === 1) await t.notThrowsAsync(pull(named(server, `app@${digest}`)))
  }
  await t.throwsAsync(pull(named(server, 'app:deep')), { message: /deeper than 4/ })
})

pulling(
  'a header that names another digest is believed as little as the document',
  async setting => {
    const { t, server, pull } = setting
    const { manifest } = giveImage(server, 'app')
    server.intercept = ({ response, method, path }) => {
      if (method !== 'GET' || !path.endsWith('latest')) return false
      response.writeHead(200, {
        'content-type': mediaTypes.manifest,
        'docker-content-digest': sha256('other'),
      })
      response.end(manifest)
      return true
    }
    await t.throwsAsync(pull(named(server, 'app')), { code: 'CHECKSUM_MISMATCH' })
    await nothingVisible(setting)
  },
)

for (const status of [408, 429, 500, 502, 503, 504])
  pulling(`after a ${status} the registry is asked again`, async ({ t, server, pull }) => {
    giveImage(server, 'app')
    server.intercept = ({ response, count }) => {
      if (count > 1) return false
      response.writeHead(status).end()
      return true
    }
    await t.notThrowsAsync(pull(named(server, 'app')))
    t.is(server.log.filter(line => line.startsWith('GET /v2/app/manifests/latest')).length, 3)
  })

pulling('Retry-After is kept to, in seconds', async ({ t, server, pull }) => {
  giveImage(server, 'app')
  let firstMs = 0
  server.intercept = ({ response, count }) => {
    if (count === 0) {
      firstMs = performance.now()
      response.writeHead(429, { 'retry-after': '1' }).end()
      return true
    }
    if (count === 1 && performance.now() - firstMs < 990) response.writeHead(403).end()
    return response.headersSent
  }
  await t.notThrowsAsync(pull(named(server, 'app')))
})

pulling(
  'who asks for a longer wait than anybody waits is told as failed',
  async ({ t, server, pull }) => {
    server.intercept = ({ response }) => {
      response.writeHead(429, { 'retry-after': '86400' }).end()
      return true
    }
    await t.throwsAsync(pull(named(server, 'app')), { message: /asks to wait 86400 s/ })
    t.is(server.log.length, 1)
  },
)

pulling('a 404 and a 400 are asked once', async ({ t, server, pull }) => {
  server.intercept = ({ response }) => {
    response.writeHead(400, { 'content-type': 'application/json' })
    response.end('{"errors":[{"code":"NAME_INVALID","message":"bad\\u001b[31m name"}]}')
    return true
  }
  const error = await t.throwsAsync(pull(named(server, 'app')), {
    message: /answered 400: name invalid: bad/,
  })
  t.false(error?.message.includes('\u001b'))
  t.is(server.log.length, 1)
})

pulling('a reset connection is tried again', async ({ t, server, pull }) => {
  giveImage(server, 'app')
  server.intercept = ({ request, count }) => {
    if (count > 0) return false
    request.socket.resetAndDestroy()
    return true
  }
  await t.notThrowsAsync(pull(named(server, 'app')))
})

pulling('addresses inside of descriptors are never asked', async ({ t, server, pull }) => {
  await using elsewhere = await serveRegistry()
  const { manifest } = giveImage(server, 'app')
  const document = JSON.parse(manifest)
  const foreign = {
    mediaType: mediaTypes.layerTar,
    digest: sha256('foreign'),
    size: 7,
    urls: [`${elsewhere.origin}/layer`],
  }
  document.layers.push(foreign)
  giveManifest(server, 'app', {
    mediaType: mediaTypes.manifest,
    text: JSON.stringify(document),
    tags: ['latest'],
  })
  await t.notThrowsAsync(pull(named(server, 'app')))
  t.deepEqual(elsewhere.log, [])
})
