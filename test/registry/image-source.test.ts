import test, { type ExecutionContext } from 'ava'
import { ignoreEvents } from '../../src/core/events.ts'
import type { ImageSource } from '../../src/image/image.ts'
import { parsePlatform } from '../../src/oci/platform.ts'
import { type PullPolicy, registryImageSource } from '../../src/registry/image-source.ts'
import { type DiskStore, diskStore } from '../../src/store/disk-store.ts'
import { type RegistryServer, serveRegistry } from '../helpers/registry-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { giveImage, giveIndex, named, quickRegistries, someBytes } from './small-registry.ts'

interface Setting {
  readonly t: ExecutionContext
  readonly server: RegistryServer
  readonly store: DiskStore
  /** How often a registry was opened. */
  readonly opened: () => number
  readonly source: (pull: PullPolicy) => ImageSource
}

const amd64 = parsePlatform('linux/amd64')
const arm64 = parsePlatform('linux/arm64')

function sourcing(title: string, body: (setting: Setting) => Promise<void>): void {
  test(title, async t => {
    await using server = await serveRegistry()
    using scratch = makeScratch()
    await using registries = await quickRegistries()
    const store = diskStore(scratch.at('oci'))
    let count = 0
    const open = async (): Promise<typeof registries> => {
      count++
      return registries
    }
    await body({
      t,
      server,
      store,
      opened: () => count,
      source: pull => registryImageSource({ store, registries: open, pull, emit: ignoreEvents }),
    })
  })
}

sourcing('what is missing is pulled once, and then found without a registry', async setting => {
  const { t, server, source, opened } = setting
  const { digest } = giveImage(server, 'app')
  const first = await source('missing').findImage(named(server, 'app'), amd64, {})
  t.is(first?.image.descriptor.digest as string, digest)
  const before = server.log.length
  t.truthy(await source('missing').findImage(named(server, 'app'), amd64, {}))
  t.is(server.log.length, before)
  t.is(opened(), 1)
})

sourcing('never asks nobody, and always asks each time', async ({ t, server, source, opened }) => {
  giveImage(server, 'app')
  t.is(await source('never').findImage(named(server, 'app'), amd64, {}), undefined)
  t.is(opened(), 0)
  t.truthy(await source('always').findImage(named(server, 'app'), amd64, {}))
  const newer = giveImage(server, 'app', { layer: someBytes(20) })
  const old = await source('missing').findImage(named(server, 'app'), amd64, {})
  t.not(old?.image.descriptor.digest as string, newer.digest)
  const now = await source('always').findImage(named(server, 'app'), amd64, {})
  t.is(now?.image.descriptor.digest as string, newer.digest)
})

sourcing('another platform of a stored index is pulled', async ({ t, server, source, store }) => {
  const one = giveImage(server, 'app', { layer: someBytes(10, 1), architecture: 'amd64' })
  const two = giveImage(server, 'app', { layer: someBytes(10, 2), architecture: 'arm64' })
  const index = giveIndex(server, 'app', [
    { image: one, architecture: 'amd64' },
    { image: two, architecture: 'arm64' },
  ])
  const name = named(server, 'app:multi')
  const found = await source('missing').findImage(name, amd64, {})
  t.is(found?.image.descriptor.digest as string, one.digest)
  const other = await source('missing').findImage(name, arm64, {})
  t.is(other?.image.descriptor.digest as string, two.digest)
  t.is((await store.findImage(name))?.digest as string, index)
})

sourcing(
  'a name that nobody has is undefined, a platform that is missing is said',
  async ({ t, server, source }) => {
    t.is(await source('missing').findImage(named(server, 'nothing'), amd64, {}), undefined)
    const image = giveImage(server, 'app')
    giveIndex(server, 'app', [{ image, architecture: 'amd64' }])
    await t.throwsAsync(source('missing').findImage(named(server, 'app:multi'), arm64, {}), {
      code: 'IMAGE_NOT_FOUND',
      message: /nothing for linux\/arm64/,
    })
  },
)

sourcing('an abort ends a pull and leaves no name', async ({ t, server, source, store }) => {
  const { layerDigest } = giveImage(server, 'app')
  const controller = new AbortController()
  server.intercept = ({ path }) => {
    if (!path.endsWith(layerDigest)) return false
    controller.abort(new Error('enough'))
    return true
  }
  const finding = source('missing').findImage(named(server, 'app'), amd64, {
    signal: controller.signal,
  })
  await t.throwsAsync(finding, { code: 'CANCELLED' })
  t.deepEqual(await store.listImages(), [])
})
