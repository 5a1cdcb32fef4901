// The client's side of the distribution specification's conformance cases: pull, push, content discovery, content management.

import { buffer } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { parsePlatform } from '../../src/oci/platform.ts'
import { fallbackTag } from '../../src/registry/referrers.ts'
import type { RegistryRepository } from '../../src/registry/registry.ts'
import { repositoryStore } from '../../src/registry/repository-store.ts'
import { copyImage } from '../../src/store/copy-image.ts'
import { memoryStore } from '../../src/store/memory-store.ts'
import {
  giveBlob,
  giveManifest,
  type Habits,
  type RegistryServer,
  serveRegistry,
  sha256,
} from '../helpers/registry-server.ts'
import { putNamed } from '../store/small-image.ts'
import { giveImage, giveIndex, named, quickRegistries, someBytes } from './small-registry.ts'

type Body = (
  repository: RegistryRepository,
  server: RegistryServer,
  t: ExecutionContext,
) => Promise<void>

function withRepository(title: string, body: Body, habits: Habits = {}): void {
  test(title, async t => {
    await using server = await serveRegistry({ habits })
    await using registries = await quickRegistries()
    await body(registries.repository(named(server, 'team/app')), server, t)
  })
}

withRepository('what is not there is undefined, false or said', async (repository, _server, t) => {
  const digest = digestOf('nothing')
  t.is(await repository.findManifest('latest'), undefined)
  t.is(await repository.resolve('latest'), undefined)
  t.is(await repository.resolve(digest), undefined)
  t.false(await repository.hasBlob(digest))
  t.false(await repository.deleteManifest(digest))
  t.is(await repository.listTags(), undefined)
  await t.throwsAsync(repository.openBlob({ mediaType: 'a/b', digest, size: 7 }), {
    code: 'BLOB_NOT_FOUND',
  })
})

withRepository('a tag is resolved without its document', async (repository, server, t) => {
  const { digest, manifest } = giveImage(server, 'team/app', { tag: 'v1' })
  t.deepEqual(await repository.resolve('v1'), {
    mediaType: mediaTypes.manifest,
    digest: digest as never,
    size: Buffer.byteLength(manifest),
  })
  t.deepEqual(server.log, ['HEAD /v2/team/app/manifests/v1 200'])
})

withRepository(
  'a registry that says nothing to HEAD is asked by GET',
  async (repository, server, t) => {
    const { digest } = giveImage(server, 'team/app', { tag: 'v1' })
    server.intercept = ({ response, method }) => {
      if (method !== 'HEAD') return false
      response.writeHead(200).end()
      return true
    }
    t.is((await repository.resolve('v1'))?.digest as string, digest)
  },
)

withRepository('blobs and manifests come back as they were put', async (repository, _server, t) => {
  const bytes = someBytes(5000)
  const blob = { digest: digestOf(bytes), size: bytes.length }
  await repository.putBlob(async () => [bytes] as never, blob)
  t.true(await repository.hasBlob(blob.digest))
  t.deepEqual(await buffer(await repository.openBlob({ mediaType: 'a/b', ...blob })), bytes)
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: 'application/x-config', ...blob },
    layers: [],
  })
  const manifest = { bytes: Buffer.from(text), mediaType: mediaTypes.manifest }
  const descriptor = await repository.putManifest(manifest, undefined)
  t.is(descriptor.digest, digestOf(text))
  await repository.putManifest(manifest, 'v1')
  t.deepEqual((await repository.findManifest('v1'))?.descriptor, descriptor)
  t.true(await repository.deleteManifest('v1'))
  t.is(await repository.resolve('v1'), undefined)
})

for (const size of [0, 1])
  withRepository(`a blob of ${size} bytes is a blob`, async (repository, server, t) => {
    const bytes = Buffer.alloc(size)
    const blob = { digest: digestOf(bytes), size }
    await repository.putBlob(async () => (size === 0 ? [] : [bytes]) as never, blob)
    t.is(server.blobs.get('team/app')?.get(blob.digest)?.length, size)
    t.is((await buffer(await repository.openBlob({ mediaType: 'a/b', ...blob }))).length, size)
    server.habits = { takesWhole: false }
    server.blobs.get('team/app')?.delete(blob.digest)
    await repository.putBlob(async () => (size === 0 ? [] : [bytes]) as never, blob)
    t.is(server.blobs.get('team/app')?.get(blob.digest)?.length, size)
  })

withRepository('a registry that deletes nothing says so', async (repository, server, t) => {
  server.habits = { deletes: false }
  const { digest } = giveImage(server, 'team/app')
  await t.throwsAsync(repository.deleteManifest(digest), { code: 'UNSUPPORTED' })
})

withRepository(
  'tags come page by page',
  async (repository, server, t) => {
    const tags = ['a', 'b', 'c', 'd', 'e']
    for (const tag of tags) giveImage(server, 'team/app', { tag })
    t.deepEqual(await repository.listTags(), tags)
    t.is(server.log.length, 3)
  },
  { tagsOnPage: 2 },
)

for (const { title, link } of [
  { title: 'at its beginning', link: '</v2/team/app/tags/list?n=1000>; rel="next"' },
  { title: 'elsewhere', link: '<https://example.org/v2/x/tags/list>; rel="next"' },
])
  withRepository(`a list that goes on ${title} is a lie`, async (repository, server, t) => {
    server.intercept = ({ response }) => {
      response.writeHead(200, { link }).end('{"tags":["a"]}')
      return true
    }
    await t.throwsAsync(repository.listTags(), { code: 'REGISTRY_FAILED', message: /goes on/ })
    t.is(server.log.length, 1)
  })

for (const tag of ['../../etc', 'a/b', '', '.hidden', 'a b', 'x'.repeat(129)])
  withRepository(`"${tag.slice(0, 20)}" is no tag`, async (repository, server, t) => {
    server.intercept = ({ response }) => {
      response.writeHead(200).end(JSON.stringify({ tags: ['good', tag] }))
      return true
    }
    await t.throwsAsync(repository.listTags(), { code: 'REGISTRY_FAILED', message: /tags\[1\]/ })
  })

withRepository('a list without an end ends', async (repository, server, t) => {
  let page = 0
  server.intercept = ({ response }) => {
    page++
    response.writeHead(200, { link: `</v2/team/app/tags/list?last=${page}>; rel="next"` })
    response.end('{"tags":["a"]}')
    return true
  }
  await t.throwsAsync(repository.listTags(), { message: /more than 1000 pages/ })
})

for (const referrers of [true, false])
  withRepository(
    `referrers are found ${referrers ? 'by the API' : 'under the fallback tag, which a push keeps'}`,
    async (repository, server, t) => {
      const subject = giveImage(server, 'team/app')
      const config = {
        mediaType: 'application/vnd.oci.empty.v1+json',
        digest: sha256('{}'),
        size: 2,
      }
      giveBlob(server, 'team/app', Buffer.from('{}'))
      const about = {
        mediaType: mediaTypes.manifest,
        digest: subject.digest,
        size: Buffer.byteLength(subject.manifest),
      }
      const put = async (artifactType: string): Promise<string> => {
        const text = JSON.stringify({
          schemaVersion: 2,
          mediaType: mediaTypes.manifest,
          artifactType,
          config,
          layers: [],
          subject: about,
          annotations: { of: artifactType },
        })
        const manifest = { bytes: Buffer.from(text), mediaType: mediaTypes.manifest }
        return (await repository.putManifest(manifest, undefined)).digest
      }
      const signature = await put('application/x-signature')
      const sbom = await put('application/x-sbom')
      await put('application/x-sbom')
      const all = await repository.listReferrers(subject.digest as never)
      t.deepEqual(
        all.map(({ digest }) => digest as string).toSorted(),
        [signature, sbom].toSorted(),
      )
      const some = await repository.listReferrers(subject.digest as never, {
        artifactType: 'application/x-sbom',
      })
      t.deepEqual(
        some.map(({ digest }) => digest as string),
        [sbom],
      )
      t.is(server.manifests.get('team/app')?.has(fallbackTag(subject.digest as never)), !referrers)
      t.deepEqual(await repository.listReferrers(digestOf('nobody')), [])
    },
    { referrers },
  )

withRepository(
  'docker media types are read and written as they are',
  async (repository, server, t) => {
    const { manifest } = giveImage(server, 'team/app')
    const docker = manifest
      .replaceAll(mediaTypes.manifest, mediaTypes.dockerManifest)
      .replaceAll(mediaTypes.config, mediaTypes.dockerConfig)
      .replaceAll(mediaTypes.layerTar, mediaTypes.dockerLayerTar)
    giveManifest(server, 'team/app', {
      mediaType: mediaTypes.dockerManifest,
      text: docker,
      tags: ['docker'],
    })
    const found = await repository.findManifest('docker')
    t.is(found?.descriptor.mediaType, mediaTypes.dockerManifest)
    t.is(found?.descriptor.digest as string, sha256(docker))
  },
)

withRepository(
  'a document that does not say what it is, is what its header says',
  async (repository, server, t) => {
    const text = JSON.stringify({ schemaVersion: 2, manifests: [] })
    giveManifest(server, 'team/app', { mediaType: mediaTypes.index, text, tags: ['a'] })
    t.is((await repository.findManifest('a'))?.descriptor.mediaType, mediaTypes.index)
    server.manifests
      .get('team/app')
      ?.set('b', { bytes: Buffer.from(text), mediaType: 'application/json' })
    t.is((await repository.findManifest('b'))?.descriptor.mediaType, mediaTypes.index)
  },
)

test('one copy moves images from a registry to another, each blob once and nothing of it twice', async t => {
  await using from = await serveRegistry()
  await using to = await serveRegistry()
  await using registries = await quickRegistries()
  const layer = someBytes(3000)
  const one = giveImage(from, 'a', { layer, architecture: 'amd64' })
  const two = giveImage(from, 'a', { layer, architecture: 'arm64' })
  const index = giveIndex(from, 'a', [
    { image: one, architecture: 'amd64' },
    { image: two, architecture: 'arm64' },
  ])
  const source = repositoryStore(registries.repository(named(from, 'a')))
  const target = repositoryStore(registries.repository(named(to, 'b')))
  await copyImage(source, target, named(from, 'a:multi'), { as: named(to, 'b:1') })
  t.is(sha256(to.manifests.get('b')?.get('1')?.bytes ?? ''), index)
  t.deepEqual(to.blobs.get('b')?.size, 3)
  t.is(from.log.filter(line => line.includes(one.layerDigest)).length, 1)
  t.is((await target.listImages()).length, 1)
  await copyImage(source, target, named(from, 'a:multi'), {
    as: named(to, 'b:amd'),
    platform: parsePlatform('linux/amd64'),
  })
})

test('a repository is a store for who names its images', async t => {
  await using server = await serveRegistry()
  await using registries = await quickRegistries()
  const from = memoryStore()
  const descriptor = await putNamed(from, `${server.host}/app:1`)
  const store = repositoryStore(registries.repository(named(server, 'app')))
  t.is(await store.findImage(named(server, 'app:1')), undefined)
  await copyImage(from, store, named(server, 'app:1'))
  t.is((await store.findImage(named(server, 'app:1')))?.digest, descriptor.digest)
  t.true(await store.hasBlob(descriptor.digest, descriptor.mediaType))
  t.true(await store.untagImage(named(server, 'app:1')))
  await t.throwsAsync(store.findImage(named(server, 'other:1')), { code: 'INTERNAL' })
  await t.throwsAsync(store.tagImage(named(server, `app:1@${digestOf('x')}`), descriptor), {
    code: 'CHECKSUM_MISMATCH',
  })
})
