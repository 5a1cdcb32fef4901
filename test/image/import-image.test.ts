// Import in one pass: what is stored, what is unpacked, and that a bad archive leaves neither.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { ignoreEvents } from '../../src/core/events.ts'
import { fileSource } from '../../src/image/file-source.ts'
import { type ImportOptions, type ImportTree, importImage } from '../../src/image/import-image.ts'
import { validateImage } from '../../src/image/validate-image.ts'
import { defaultArchiveLimits } from '../../src/layer/layer.ts'
import { type ChainId, digestOf } from '../../src/oci/digest.ts'
import { type DiskStore, diskStore } from '../../src/store/disk-store.ts'
import { openOwnRoot } from '../helpers/own-root.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { inPieces, tarOf } from '../helpers/tar.ts'
import { ref } from '../store/small-image.ts'
import { packed } from './make-image.ts'

const tar = tarOf(
  { name: './', type: '5' },
  { name: './etc/', type: '5' },
  { name: './etc/hello', body: 'hello' },
  { name: './etc/again', type: '1', link: './etc/hello' },
)

interface Setting {
  readonly scratch: Scratch
  readonly store: DiskStore
  /** Chain IDs of the trees that were kept. */
  readonly kept: ChainId[]
  readonly import: (
    bytes: Uint8Array | AsyncIterable<Uint8Array>,
    more?: Partial<ImportOptions>,
  ) => ReturnType<typeof importImage>
}

function makeSetting(): Setting {
  const scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const kept: ChainId[] = []
  const openTree = async (): Promise<ImportTree> => {
    const root = openOwnRoot(scratch.at('tree'))
    return {
      rootFd: root.fd,
      keep: async chainId => void kept.push(chainId),
      [Symbol.asyncDispose]: async () => root[Symbol.dispose](),
    }
  }
  return {
    scratch,
    store,
    kept,
    import: (bytes, more = {}) =>
      importImage(
        store,
        { bytes: bytes instanceof Uint8Array ? inPieces(bytes, 777) : bytes, name: 'the input' },
        {
          config: {},
          platform: { os: 'linux', architecture: 'amd64' },
          message: 'Imported from -',
          created: '2024-01-01T00:00:00Z',
          reference: ref('mine:1'),
          openTree,
          emit: ignoreEvents,
          ...more,
        },
      ),
  }
}

for (const codec of ['none', 'gzip', 'zstd'] as const)
  test(`a root packed with ${codec} becomes an image, and a tree of its chain ID`, async t => {
    const setting = makeSetting()
    using _ = setting.scratch
    const input = await packed(tar, codec)
    const image = await setting.import(input, { config: { Cmd: ['/bin/sh'] } })
    const [layer] = (await validateImage(setting.store, image.descriptor)).layers
    t.is(layer?.diffId, digestOf(tar) as never)
    t.deepEqual(setting.kept, [digestOf(tar)] as never)
    t.is(readFileSync(setting.scratch.at('tree', 'etc/again'), 'utf8'), 'hello')
    const kind = codec === 'gzip' ? 'gzip' : 'zstd'
    t.is(layer?.descriptor.mediaType, `application/vnd.oci.image.layer.v1.tar+${kind}`)
    if (codec !== 'none') t.is(layer?.descriptor.digest, digestOf(input))
    t.deepEqual(image.config, {
      architecture: 'amd64',
      config: { Cmd: ['/bin/sh'] },
      created: '2024-01-01T00:00:00Z',
      history: [{ comment: 'Imported from -', created: '2024-01-01T00:00:00Z' }],
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
    } as never)
  })

for (const program of ['xz', 'bzip2'])
  test(`a root packed with ${program} is packed anew`, async t => {
    const setting = makeSetting()
    using _ = setting.scratch
    const { stdout } = spawnSync(program, ['-c'], { input: tar })
    const image = await setting.import(stdout)
    t.is(image.layers[0]?.diffId, digestOf(tar) as never)
    t.regex(image.layers[0]?.descriptor.mediaType ?? '', /zstd$/)
    await validateImage(setting.store, image.descriptor)
  })

test('the same input gives the same image', async t => {
  const setting = makeSetting()
  using _ = setting.scratch
  const one = await setting.import(tar)
  const two = await setting.import(inPieces(tar, 3), { reference: ref('other:1') })
  t.deepEqual(one.descriptor, two.descriptor)
})

test('a file is read with two buffers only', async t => {
  const setting = makeSetting()
  using _ = setting.scratch
  const body = Buffer.alloc(5_000_000, 'x')
  for (let at = 0; at < body.length; at += 4096) body.writeUInt32LE(at, at)
  const large = tarOf({ name: 'large', body })
  writeFileSync(setting.scratch.at('root.tar'), large)
  const source = fileSource(setting.scratch.at('root.tar'))
  const image = await importImage(
    setting.store,
    { ...source, name: 'root.tar' },
    {
      config: {},
      platform: { os: 'linux', architecture: 'amd64' },
      message: '',
      created: '2024-01-01T00:00:00Z',
      reference: undefined,
      emit: ignoreEvents,
    },
  )
  t.is(image.layers[0]?.diffId, digestOf(large) as never)
  await validateImage(setting.store, image.descriptor)
})

test('without a name the image is kept all the same', async t => {
  const setting = makeSetting()
  using _ = setting.scratch
  const { descriptor } = await setting.import(tar, { reference: undefined })
  t.deepEqual(await setting.store.listEntries(), [{ reference: undefined, descriptor }])
})

test('without root rights nothing is unpacked, and the archive is checked', async t => {
  const setting = makeSetting()
  using _ = setting.scratch
  await setting.import(tar, { openTree: undefined })
  t.false(existsSync(setting.scratch.at('tree')))
  await t.throwsAsync(setting.import(tar.subarray(0, 1700), { openTree: undefined }), {
    message: /cut short/,
  })
})

test('the right checksum passes', async t => {
  const setting = makeSetting()
  using _ = setting.scratch
  const input = await packed(tar, 'gzip')
  await setting.import(input, { checksum: digestOf(input) })
  await setting.import(tar, { checksum: digestOf(tar) })
  t.pass()
})

/** Nothing of a failed import is left. */
function isUntouched({ store, kept }: Setting): boolean {
  const blobs = `${store.root}/blobs/sha256`
  return (
    kept.length === 0 &&
    readFileSync(`${store.root}/index.json`, 'utf8').includes('"manifests":[]') &&
    (!existsSync(blobs) || readdirSync(blobs).length === 0) &&
    readdirSync(`${store.root}/ingest`).length === 0
  )
}

const limits = {
  ...defaultArchiveLimits,
  maxTotalBytes: 100_000,
  ratioFreeBytes: 10_000,
  maxRatio: 50,
}

const refused: readonly [string, () => Promise<Uint8Array>, Partial<ImportOptions>, RegExp][] = [
  ['a wrong checksum', async () => tar, { checksum: digestOf('x') }, /expected the digest/],
  [
    'a wrong checksum of a kept blob',
    async () => await packed(tar, 'zstd'),
    { checksum: digestOf(tar) },
    /expected the digest/,
  ],
  ['an empty input', async () => Buffer.alloc(0), {}, /nothing in it|cut short/],
  ['what is no tar', async () => Buffer.alloc(2000, 'x'), {}, /the input/],
  ['a truncated tar', async () => tar.subarray(0, 1700), {}, /cut short/],
  ['a truncated gzip', async () => (await packed(tar, 'gzip')).subarray(0, 60), {}, /cut short/],
  [
    'something behind the zstd data',
    async () => Buffer.concat([await packed(tar, 'zstd'), Buffer.from('more')]),
    {},
    /follows|broken/,
  ],
  [
    'a bomb',
    async () => await packed(tarOf({ name: 'zeros', body: Buffer.alloc(90_000) }), 'zstd'),
    { limits },
    /times its size/,
  ],
  [
    'too many bytes',
    async () => tarOf({ name: 'a', body: Buffer.alloc(200_000) }),
    { limits },
    /more than 100000/,
  ],
  ['a name that leads out', async () => tarOf({ name: '../evil', body: 'x' }), {}, /leads out/],
]
for (const [name, make, more, message] of refused)
  test(`import refuses ${name} and leaves nothing`, async t => {
    const setting = makeSetting()
    using _ = setting.scratch
    mkdirSync(setting.scratch.at('tree'))
    await t.throwsAsync(setting.import(await make(), more), { message })
    t.true(isUntouched(setting))
  })

test('an abort in the middle leaves nothing', async t => {
  const setting = makeSetting()
  using _ = setting.scratch
  const controller = new AbortController()
  const endless = (async function* () {
    yield tar.subarray(0, 2048)
    controller.abort()
    yield tar.subarray(2048)
  })()
  await t.throwsAsync(setting.import(endless, { signal: controller.signal }), { code: 'CANCELLED' })
  t.true(isUntouched(setting))
})

test('a source that breaks leaves nothing', async t => {
  const setting = makeSetting()
  using _ = setting.scratch
  const broken = (async function* () {
    yield tar.subarray(0, 2048)
    throw new Error('connection lost')
  })()
  await t.throwsAsync(setting.import(broken), { message: 'connection lost' })
  t.true(isUntouched(setting))
})
