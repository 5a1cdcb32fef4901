// In what images differ, and what their layers waste.

import { Readable } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import { compareImages } from '../../src/image/compare-images.ts'
import type { Image } from '../../src/image/image.ts'
import { addLayer, type ImageTree, listLayer } from '../../src/image/layer-listing.ts'
import { measureLayers } from '../../src/image/layer-usage.ts'
import {
  packageDatabase,
  parseApkInstalled,
  parseDpkgStatus,
} from '../../src/image/package-list.ts'
import { asDiffId, digestOf } from '../../src/oci/digest.ts'
import type { RunConfig } from '../../src/oci/image-config.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { tarOf } from '../helpers/tar.ts'

function imageOf(tars: readonly Buffer[], config: RunConfig = {}): Image {
  const layers = tars.map(tar => {
    const digest = digestOf(tar)
    const descriptor = {
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest,
      size: tar.length,
    }
    return { descriptor, diffId: asDiffId(digest), open: async () => Readable.from([tar]) }
  })
  const diffIds = layers.map(({ diffId }) => diffId)
  const descriptor = { mediaType: mediaTypes.manifest, digest: digestOf('image'), size: 5 }
  const configDescriptor = { mediaType: mediaTypes.config, digest: digestOf('config'), size: 6 }
  return {
    descriptor,
    manifest: {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: configDescriptor,
      layers: layers.map(layer => layer.descriptor),
    },
    config: {
      os: 'linux',
      architecture: 'amd64',
      config,
      rootfs: { type: 'layers', diff_ids: diffIds },
      history: [
        { created_by: 'label', empty_layer: true },
        ...layers.map((_, index) => ({ created_by: `step ${index}` })),
      ],
    },
    layers,
  }
}

const etc = { name: 'etc/', type: '5' } as const

async function paths(
  t: ExecutionContext,
  image: Image,
  expected: readonly string[],
): Promise<void> {
  const tree: ImageTree = new Map()
  for (const layer of image.layers) addLayer(tree, await listLayer(layer))
  t.deepEqual([...tree.keys()].toSorted(), expected)
}

test('a removed directory goes with all in it, and what comes later in the same place is there', async t => {
  const image = imageOf([
    tarOf(etc, { name: 'etc/a', body: 'a' }, { name: 'etcetera', body: 'b' }),
    tarOf({ name: '.wh.etc' }, { name: 'etc', body: 'a file now' }),
  ])
  await paths(t, image, ['etc', 'etcetera'])
})

test('an opaque directory shows only what its own layer has, wherever the mark stands', async t => {
  const image = imageOf([
    tarOf(etc, { name: 'etc/a', body: 'a' }),
    tarOf(etc, { name: 'etc/b', body: 'b' }, { name: 'etc/.wh..wh..opq' }),
  ])
  await paths(t, image, ['etc', 'etc/b'])
})

test('files differ in type, mode, owner and content, and not in times', async t => {
  const before = tarOf(
    etc,
    { name: 'etc/same', body: 'same', mtime: 1 },
    { name: 'etc/mode', body: 'm', mode: 0o644 },
    { name: 'etc/owner', body: 'o' },
    { name: 'etc/text', body: 'one' },
    { name: 'etc/kind', body: 'kind' },
    { name: 'etc/gone', body: 'gone' },
    { name: 'etc/link', type: '2', link: 'one' },
    { name: 'etc/null', type: '3', major: 1, minor: 3 },
    { name: 'etc/xattr', body: 'x', pax: { 'SCHILY.xattr.user.a': '1' } },
  )
  const after = tarOf(
    etc,
    { name: 'etc/same', body: 'same', mtime: 2 },
    { name: 'etc/mode', body: 'm', mode: 0o755 },
    { name: 'etc/owner', body: 'o', uid: 7 },
    { name: 'etc/text', body: 'three' },
    { name: 'etc/kind', type: '2', link: 'text' },
    { name: 'etc/new', body: 'new' },
    { name: 'etc/link', type: '2', link: 'two' },
    { name: 'etc/null', type: '3', major: 1, minor: 5 },
    { name: 'etc/xattr', body: 'x', pax: { 'SCHILY.xattr.user.a': '2' } },
  )
  const { files, bytes } = await compareImages(imageOf([before]), imageOf([after]))
  t.deepEqual(
    files.map(({ path, change, differs, bytes: more }) => [path, change, differs.join(), more]),
    [
      ['/etc/gone', 'removed', '', -4],
      ['/etc/kind', 'changed', 'type', -4],
      ['/etc/link', 'changed', 'link', 0],
      ['/etc/mode', 'changed', 'mode', 0],
      ['/etc/new', 'added', '', 3],
      ['/etc/null', 'changed', 'device', 0],
      ['/etc/owner', 'changed', 'owner', 0],
      ['/etc/text', 'changed', 'content', 2],
      ['/etc/xattr', 'changed', 'xattrs', 0],
    ],
  )
  t.deepEqual(bytes, [18, 15])
  const stateOf = (path: string): unknown[] =>
    files.filter(file => file.path === path).flatMap(({ from, to }) => [from, to])
  t.like(stateOf('/etc/mode'), [{ mode: '0644' }, { mode: '0755' }])
  t.like(stateOf('/etc/kind'), [
    { type: 'file', sizeBytes: 4 },
    { type: 'symlink', link: 'text' },
  ])
  t.like(stateOf('/etc/null'), [{ device: '1:3' }, { device: '1:5' }])
  t.like(stateOf('/etc/xattr'), [{ xattrs: ['user.a=31'] }, { xattrs: ['user.a=32'] }])
  t.deepEqual(stateOf('/etc/new')[0], undefined)
})

test('a layer that both images have is read once', async t => {
  const shared = tarOf(etc, { name: 'etc/a', body: 'a' })
  const image = imageOf([shared, tarOf({ name: 'etc/b', body: 'b' })])
  let opened = 0
  const counted: Image = {
    ...image,
    layers: image.layers.map(layer => ({
      ...layer,
      open: () => {
        opened++
        return layer.open()
      },
    })),
  }
  t.deepEqual((await compareImages(counted, counted)).files, [])
  t.is(opened, 2)
})

test('a hard link stands for its file in both forms', async t => {
  const linked = tarOf(
    etc,
    { name: 'etc/a', body: 'a' },
    { name: 'etc/b', type: '1', link: 'etc/a' },
  )
  const copied = tarOf(etc, { name: 'etc/a', body: 'a' }, { name: 'etc/b', body: 'a' })
  t.deepEqual((await compareImages(imageOf([linked]), imageOf([copied]))).files, [])
})

test('configurations and packages are compared by member and by name', async t => {
  const status = (version: string, more = ''): Buffer =>
    tarOf({
      name: 'var/lib/dpkg/status',
      body: `Package: a\nStatus: install ok installed\nVersion: ${version}\n\n${more}`,
    })
  const from = imageOf([status('1')], { Env: ['A=1'], User: 'app' })
  const to = imageOf([status('2', 'Package: b\nStatus: deinstall ok config-files\nVersion: 1\n')], {
    Env: ['A=2'],
    User: 'app',
  })
  const { packages, config } = await compareImages(from, to)
  t.deepEqual(packages, [{ name: 'a', from: '1', to: '2' }])
  t.deepEqual(config, [{ member: 'Env', from: ['A=1'], to: ['A=2'] }])
})

test('what a layer writes and a later one hides is the waste of the first', async t => {
  const image = imageOf([
    tarOf(etc, { name: 'etc/big', body: 'x'.repeat(1000) }, { name: 'etc/kept', body: 'y' }),
    tarOf(etc, { name: 'etc/big', body: 'z'.repeat(10) }),
    tarOf(etc, { name: 'etc/.wh.big' }),
  ])
  const { layers, wasted } = await measureLayers(image)
  t.deepEqual(
    layers.map(({ createdBy, addedBytes, hiddenBytes, wastedBytes }) => [
      createdBy,
      addedBytes,
      hiddenBytes,
      wastedBytes,
    ]),
    [
      ['step 0', 1001, 0, 1000],
      ['step 1', 10, 1000, 10],
      ['step 2', 0, 10, 0],
    ],
  )
  t.deepEqual(wasted[0], { path: '/etc/big', bytes: 1000, writtenBy: 0, hiddenBy: 1 })
})

test('a database of packages that is damaged is told of, and the rest is compared', async t => {
  const broken = imageOf([
    tarOf(etc, { name: 'etc/a', body: 'a' }, { name: 'var/lib/rpm/Packages', body: 'nonsense' }),
  ])
  const { files, unread } = await compareImages(broken, imageOf([tarOf(etc)]))
  t.is(files.length, 2)
  t.deepEqual(unread, ['/var/lib/rpm/Packages: the rpm database has a form that is not known here'])
})

test('package databases of dpkg, apk and pacman', t => {
  const desc = packageDatabase('var/lib/pacman/local/zlib-1:1.3-1/desc')
  const text = '%NAME%\nzlib\n\n%VERSION%\n1:1.3-1\n\n%ARCH%\nx86_64\n'
  t.deepEqual([...(desc?.(Buffer.from(text)) ?? [])], [['zlib', '1:1.3-1']])
  t.is(packageDatabase('var/lib/pacman/local/zlib-1/files'), undefined)
  const dpkg =
    'Package: l\nStatus: install ok installed\nArchitecture: i386\nMulti-Arch: same\nVersion: 1:2\n'
  t.deepEqual([...parseDpkgStatus(dpkg)], [['l:i386', '1:2']])
  t.deepEqual(
    [...parseApkInstalled('C:Q1x=\nP:musl\nV:1.2-r3\nA:x86_64\n\nP:b\nV:1\n')],
    [
      ['musl', '1.2-r3'],
      ['b', '1'],
    ],
  )
})
