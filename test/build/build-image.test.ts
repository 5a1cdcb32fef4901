// What becomes of a built root: layers, configuration, files.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import {
  type BuiltImage,
  buildImage,
  type ImageParts,
  type ImageRequest,
} from '../../src/build/build-image.ts'
import type { KauriError } from '../../src/core/errors.ts'
import type { BuildEvent } from '../../src/core/events.ts'
import { layerTarBytes } from '../../src/image/layer-tar.ts'
import { openImage } from '../../src/image/open-image.ts'
import { parseReference } from '../../src/oci/reference.ts'
import { type BuildStep, guestPath } from '../../src/plan/plan.ts'
import { diskStore } from '../../src/store/disk-store.ts'
import { type Doubles, installOf, makeDoubles, planOf, runOf } from '../helpers/build-doubles.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })

const copyOverlay: BuildStep = {
  kind: 'copy',
  title: 'overlay',
  phase: 'config',
  source: { context: 'description', path: 'root' },
  target: guestPath('/'),
  as: 'tree',
}

const users: BuildStep = {
  kind: 'users',
  title: 'users',
  phase: 'config',
  users: [{ name: 'tux', passwordHash: '!', groups: [] }],
}

interface Setting {
  readonly parts: ImageParts
  readonly doubles: Doubles
  readonly description: string
  readonly target: string
}

async function makeSetting(directory: string): Promise<Setting> {
  const description = path.join(directory, 'description')
  mkdirSync(path.join(description, 'root/etc'), { recursive: true })
  mkdirSync(path.join(description, 'root/run/lock'), { recursive: true })
  mkdirSync(path.join(description, 'root/dev'), { recursive: true })
  writeFileSync(path.join(description, 'root/etc/motd'), 'hello\n')
  writeFileSync(path.join(description, 'root/run/lock/x'), 'left out\n')
  writeFileSync(path.join(description, 'root/dev/x'), 'left out\n')
  writeFileSync(path.join(description, 'root/.dockerenv'), 'left out\n')
  const dataRoot = path.join(directory, 'data')
  mkdirSync(dataRoot)
  const doubles = await makeDoubles(dataRoot)
  const inventory = await doubles.parts.packageManager('apt')
  const parts = { ...doubles.parts, inventory, store: diskStore(path.join(dataRoot, 'oci')) }
  return { parts, doubles, description, target: path.join(directory, 'target') }
}

interface Wish {
  readonly script?: string
  readonly fresh?: boolean
  readonly layers?: 'single' | 'phases'
  readonly form?: 'docker' | 'oci' | 'tbz'
  readonly compression?: 'none' | 'gzip' | 'xz' | 'zstd'
  readonly epoch?: number
  readonly events?: BuildEvent[]
}

async function build(
  { parts, description, target }: Setting,
  wish: Wish = {},
): Promise<BuiltImage> {
  const { layers = 'single', form = 'docker', compression = 'none', epoch } = wish
  const plan = planOf(
    [installOf(['base'], true), copyOverlay, users, runOf(wish.script ?? 'true')],
    description,
  )
  const request: ImageRequest = {
    plan,
    options: {
      useCache: wish.fresh !== true,
      offline: false,
      sourceDateEpoch: epoch,
      emit: event => wish.events?.push(event),
    },
    commit: {
      layers,
      compression: { codec: 'zstd' },
      ...(epoch === undefined ? {} : { sourceDateEpoch: epoch }),
    },
    references: form === 'tbz' ? [] : [parseReference('demo:1.0'), parseReference('demo:latest')],
    results: { directory: target, baseName: 'demo.x86_64-1.0.0', form, compression },
  }
  return await buildImage(request, parts)
}

function digestOfImage({ image }: BuiltImage): string | undefined {
  return image?.descriptor.digest
}

async function layerNames(built: BuiltImage): Promise<string[][]> {
  const lists: string[][] = []
  for (const layer of built.image?.layers ?? []) {
    const chunks: Uint8Array[] = []
    for await (const chunk of layerTarBytes(layer)) chunks.push(chunk)
    const input = Buffer.concat(chunks)
    lists.push(execFileSync('tar', ['-t'], { input, encoding: 'utf8' }).trim().split('\n'))
  }
  return lists
}

test('the image says when, by whom and how it was made, and nothing of this machine', async t => {
  using scratch = makeScratch()
  const setting = await makeSetting(scratch.path)
  const { image } = await build(setting)
  t.deepEqual(image?.config.config, { Cmd: ['/bin/sh'] })
  t.like(image?.config, {
    created: '2023-11-14T22:13:20Z',
    author: 'somebody',
    os: 'linux',
    architecture: 'amd64',
    history: [{ created: '2023-11-14T22:13:20Z', created_by: 'a test' }],
  })
  for (const name of ['demo:1.0', 'demo:latest'])
    t.is(
      (await setting.parts.store.findImage(parseReference(name)))?.digest,
      image?.descriptor.digest,
    )
})

test('what belongs to a running system is left out, its directories stay', async t => {
  using scratch = makeScratch()
  const [names = []] = await layerNames(await build(await makeSetting(scratch.path)))
  t.true(names.includes('run/'))
  t.true(names.includes('dev/'))
  t.true(names.includes('etc/motd'))
  t.deepEqual(
    names.filter(name => /^(?:run|dev)\/.|dockerenv|kauri|^image/.test(name)),
    [],
  )
})

test('the same steps give the same image in another directory, without the cache, and later', async t => {
  using first = makeScratch()
  using second = makeScratch()
  const setting = await makeSetting(first.path)
  const digest = digestOfImage(await build(setting))
  t.is(digestOfImage(await build(setting, { fresh: true })), digest)
  await new Promise(resolve => setTimeout(resolve, 1100))
  t.is(digestOfImage(await build(await makeSetting(second.path))), digest)
})

test('the epoch of the caller is the time of the image and of its accounts', async t => {
  using scratch = makeScratch()
  const setting = await makeSetting(scratch.path)
  const byPackages = await build(setting)
  const { image, built } = await build(setting, { epoch: 86_400 * 10 })
  t.is(image?.config.created, '1970-01-11T00:00:00Z')
  t.not(image?.descriptor.digest, digestOfImage(byPackages))
  using tree = setting.parts.snapshotter.open(built.snapshot)
  t.regex(readFileSync(`${tree.path}/etc/shadow`, 'utf8'), /^tux:!:10:/m)
})

test('layers by phase hold what each phase changed, with a line of history for each', async t => {
  using scratch = makeScratch()
  const setting = await makeSetting(scratch.path)
  const built = await build(setting, { layers: 'phases' })
  const [bootstrap = [], config = []] = await layerNames(built)
  t.true(bootstrap.includes('packages/base'))
  t.false(bootstrap.includes('etc/motd'))
  t.true(config.includes('etc/motd'))
  t.true(config.includes('etc/passwd'))
  t.false(config.includes('packages/base'))
  t.is(built.image?.config.history?.length, 2)
  t.is(digestOfImage(await build(setting, { layers: 'phases', fresh: true })), digestOfImage(built))
})

test('nothing is packed or written twice', async t => {
  using scratch = makeScratch()
  const setting = await makeSetting(scratch.path)
  const first = await build(setting)
  const before = first.files.map(file => statSync(file.path, { bigint: true }).mtimeNs)
  const events: BuildEvent[] = []
  const second = await build(setting, { events })
  t.deepEqual(second.files, first.files)
  t.deepEqual(
    second.files.map(file => statSync(file.path, { bigint: true }).mtimeNs),
    before,
  )
  const started = events.filter(event => event.kind === 'step-started').map(event => event.title)
  t.deepEqual(started, ['resolve bootstrap', 'bootstrap', 'overlay', 'users', 'config.sh'])
})

for (const [what, damage] of [
  ['was removed', (file: string) => renameSync(file, `${file}.away`)],
  ['was changed', (file: string) => writeFileSync(file, 'something else')],
] as const)
  test(`a result file that ${what} is written again, from the store`, async t => {
    using scratch = makeScratch()
    const setting = await makeSetting(scratch.path)
    const { files } = await build(setting)
    const archive = files[0]?.path ?? ''
    const whole = readFileSync(archive)
    damage(archive)
    await build(setting)
    t.true(readFileSync(archive).equals(whole))
  })

test('result files have the names of KIWI and are listed as KIWI lists them', async t => {
  using scratch = makeScratch()
  const setting = await makeSetting(scratch.path)
  const { files } = await build(setting)
  const base = path.join(setting.target, 'demo.x86_64-1.0.0')
  t.deepEqual(
    files.map(({ key, path: file }) => [key, file]),
    [
      ['container', `${base}.docker.tar`],
      ['image_packages', `${base}.packages`],
      ['image_changes', `${base}.changes`],
      ['image_verified', `${base}.verified`],
    ],
  )
  t.deepEqual(JSON.parse(readFileSync(path.join(setting.target, 'kiwi.result.json'), 'utf8')), {
    container: {
      compress: false,
      filename: `${base}.docker.tar`,
      shasum: true,
      use_for_bundle: true,
    },
    image_changes: {
      compress: true,
      filename: `${base}.changes`,
      shasum: false,
      use_for_bundle: true,
    },
    image_packages: {
      compress: false,
      filename: `${base}.packages`,
      shasum: false,
      use_for_bundle: true,
    },
    image_verified: {
      compress: false,
      filename: `${base}.verified`,
      shasum: false,
      use_for_bundle: true,
    },
  })
})

test('a failure leaves the files of the build before, and nothing else', async t => {
  using scratch = makeScratch()
  const setting = await makeSetting(scratch.path)
  await build(setting)
  const before = readdirSync(setting.target)
  const contents = before.map(name => readFileSync(path.join(setting.target, name)))
  const inventory = {
    ...setting.parts.inventory,
    inventory: async () => await Promise.reject(new Error('the package database is broken')),
  }
  const broken = { ...setting, parts: { ...setting.parts, inventory } }
  await t.throwsAsync(build(broken, { script: 'another' }), { message: /package database/ })
  t.deepEqual(readdirSync(setting.target), before)
  t.deepEqual(
    before.map(name => readFileSync(path.join(setting.target, name))),
    contents,
  )
})

test('temporary files of a killed build go with the next one', async t => {
  using scratch = makeScratch()
  const setting = await makeSetting(scratch.path)
  mkdirSync(setting.target)
  writeFileSync(path.join(setting.target, '.kauri-tmp-999999999-left'), 'x')
  await build(setting)
  t.deepEqual(
    readdirSync(setting.target).filter(name => name.startsWith('.')),
    [],
  )
})

const readers = {
  none: ['cat'],
  gzip: ['gzip', '-dc'],
  xz: ['xz', '-dc'],
  zstd: ['zstd', '-dcq'],
} as const

for (const [compression, [program, ...args]] of Object.entries(readers))
  test(`a root archive packed with ${compression} is the root`, async t => {
    using scratch = makeScratch()
    const setting = await makeSetting(scratch.path)
    const wish = { form: 'tbz', compression: compression as keyof typeof readers } as const
    const { image, files } = await build(setting, wish)
    t.is(image, undefined)
    t.is(files[0]?.key, 'root_archive')
    const file = files[0]?.path ?? ''
    const packed = readFileSync(file)
    const tar = execFileSync(program, args, { input: packed })
    const names = execFileSync('tar', ['-t'], { input: tar, encoding: 'utf8' }).trim().split('\n')
    t.true(names.includes('etc/motd'))
    t.false(names.includes('run/lock/'))
    await build(setting, { ...wish, fresh: true })
    t.true(readFileSync(file).equals(packed), 'again the same bytes')
  })

test('an OCI archive holds the blobs of the store', async t => {
  using scratch = makeScratch()
  const setting = await makeSetting(scratch.path)
  const built = await build(setting, { form: 'oci' })
  const file = built.files[0]?.path ?? ''
  t.true(file.endsWith('.oci.tar'))
  const names = execFileSync('tar', ['-tf', file], { encoding: 'utf8' })
  for (const layer of built.image?.layers ?? [])
    t.true(names.includes(layer.descriptor.digest.replace(':', '/')))
})

test('a layer that was collected is packed again', async t => {
  using scratch = makeScratch()
  const setting = await makeSetting(scratch.path)
  const first = await build(setting)
  for (const layer of first.image?.layers ?? [])
    renameSync(setting.parts.store.blobPath(layer.descriptor.digest), scratch.at('gone'))
  const second = await build(setting)
  t.is(digestOfImage(second), digestOfImage(first))
  const { descriptor } = second.image ?? t.fail()
  const image = await openImage(setting.parts.store, descriptor)
  t.is((await layerNames({ ...second, image })).length, 1)
})

test('a target directory that cannot be made is told before anything is built', async t => {
  using scratch = makeScratch()
  const setting = await makeSetting(scratch.path)
  writeFileSync(setting.target, 'a file')
  const error = await t.throwsAsync<KauriError>(build(setting))
  t.is(error?.code, 'USAGE')
  t.deepEqual(setting.doubles.calls, [])
})
