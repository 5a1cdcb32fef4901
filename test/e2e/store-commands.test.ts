// fsck, verify, df and gc, as a person types them.

import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { makeSmallRoot, tarOfRoot } from '../helpers/small-root.ts'
import { tarOf } from '../helpers/tar.ts'

async function importOf(kauri: KauriProgram, name: string): Promise<void> {
  const input = tarOf({ name: './', type: '5' }, { name: `./${name}`, body: name.repeat(5000) })
  await kauri.run(['import', '-', name], { input })
}

interface Blob {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

async function blobsOf(
  kauri: KauriProgram,
  name: string,
): Promise<{ layer: string; config: string; manifest: string }> {
  const [image] = JSON.parse((await kauri.run(['inspect', '--json', name])).stdout)
  const file = ({ digest }: Blob): string =>
    path.join(kauri.dataRoot, 'oci/blobs/sha256', digest.replace('sha256:', ''))
  return {
    layer: file(image.Manifest.Layers[0]),
    config: file(image.Manifest.Config),
    manifest: file(image.Descriptor),
  }
}

interface Checked {
  readonly code: number | null
  readonly rules: readonly string[]
  readonly text: string
}

async function fsck(kauri: KauriProgram, ...options: readonly string[]): Promise<Checked> {
  const { code, stdout } = await kauri.run(['fsck', '--json', ...options])
  const { findings } = JSON.parse(stdout) as { findings: { rule: string }[] }
  return { code, rules: findings.map(({ rule }) => rule).toSorted(), text: stdout }
}

test('a whole store has no findings, and neither has one that is not there', async t => {
  using kauri = kauriProgram()
  t.deepEqual((await fsck(kauri)).rules, [])
  await importOf(kauri, 'app')
  const { code, rules, text } = await fsck(kauri)
  t.is(code, 0)
  t.deepEqual(rules, [])
  t.like(JSON.parse(text), { images: 1, blobs: 3 })
})

type Harm = (
  t: ExecutionContext,
  kauri: KauriProgram,
  blobs: Awaited<ReturnType<typeof blobsOf>>,
) => void

const harms: readonly [string, Harm, readonly string[]][] = [
  [
    'a layer with other bytes is named as damaged, and the image as incomplete',
    (_t, _kauri, { layer }) => {
      chmodSync(layer, 0o600)
      writeFileSync(layer, 'x', { flag: 'a' })
    },
    ['blob-damaged', 'image-incomplete'],
  ],
  [
    'a missing layer is named, and the record of it',
    (_t, _kauri, { layer }) => rmSync(layer),
    ['image-incomplete', 'record-dangling'],
  ],
  [
    'an emptied manifest is damaged',
    (_t, _kauri, { manifest }) => truncateSync(manifest, 0),
    ['blob-damaged', 'image-incomplete'],
  ],
  [
    'a missing configuration is named',
    (_t, _k, { config }) => rmSync(config),
    ['image-incomplete'],
  ],
  [
    'a torn index is named',
    (_t, kauri) => truncateSync(path.join(kauri.dataRoot, 'oci/index.json'), 20),
    ['index-unreadable'],
  ],
  [
    'a file that no digest names is named',
    (_t, kauri) => writeFileSync(path.join(kauri.dataRoot, 'oci/blobs/sha256/note'), ''),
    ['blob-name'],
  ],
]

for (const [title, harm, rules] of harms)
  test(title, async t => {
    using kauri = kauriProgram()
    await importOf(kauri, 'app')
    harm(t, kauri, await blobsOf(kauri, 'app'))
    const checked = await fsck(kauri)
    t.is(checked.code, 1)
    t.deepEqual(checked.rules, rules)
  })

testWith({ root: true })(
  '--rebuild puts a damaged blob aside, so that it can be had again',
  async t => {
    using kauri = kauriProgram()
    await importOf(kauri, 'app')
    const { layer } = await blobsOf(kauri, 'app')
    chmodSync(layer, 0o600)
    writeFileSync(layer, 'harm')
    t.is((await fsck(kauri, '--rebuild')).code, 1)
    t.false(existsSync(layer))
    t.deepEqual(readdirSync(path.join(kauri.dataRoot, 'oci/damaged')), [path.basename(layer)])
    await importOf(kauri, 'app')
    t.deepEqual(await fsck(kauri), { ...(await fsck(kauri)), code: 0, rules: [] })
  },
)

testWith({ root: true })(
  'what a stopped container wrote outlives gc and fsck --rebuild, unpacked images do not need to',
  async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    makeSmallRoot(scratch.path)
    await kauri.run(['import', '-', 'small'], { input: tarOfRoot(scratch.path) })
    const ran = await kauri.run([
      'run',
      '--network',
      'none',
      '--name',
      'kept',
      'small',
      'touch',
      '/x',
    ])
    t.is(ran.code, 0, ran.stderr)
    const snapshots = path.join(kauri.dataRoot, 'snapshots')
    const trees = (): readonly string[] =>
      readdirSync(snapshots, { recursive: true, withFileTypes: true })
        .filter(entry => path.dirname(entry.parentPath) === snapshots && entry.name.length === 64)
        .map(({ name }) => name)
    const [container = ''] = readdirSync(path.join(kauri.dataRoot, 'containers')).filter(
      name => name.length === 64,
    )
    t.is((await kauri.run(['gc', '--cache-age', '0s', '--grace', '0s'])).code, 0)
    t.true(trees().includes(container))
    t.is((await kauri.run(['fsck', '--rebuild'])).code, 0)
    t.true(trees().includes(container))
    t.is((await kauri.run(['rm', 'kept'])).code, 0)
    t.is((await kauri.run(['fsck', '--rebuild'])).code, 0)
    t.deepEqual(trees(), [])
    t.is((await kauri.run(['run', '--rm', '--network', 'none', 'small', 'true'])).code, 0)
  },
)

test('verify reads an image to its last byte', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'app')
  const good = await kauri.run(['verify', 'app'])
  t.is(good.code, 0, good.stderr)
  t.regex(good.stdout, /^app:latest sha256:[0-9a-f]{64}\n$/)
  const { layer } = await blobsOf(kauri, 'app')
  chmodSync(layer, 0o600)
  writeFileSync(layer, 'harm')
  const bad = await kauri.run(['verify', 'app'])
  t.is(bad.code, 1)
  t.regex(bad.stderr, /has 4 bytes, not \d+/)
})

test('df tells what images, trees and caches take, and what sharing saves', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'app')
  await kauri.run(['tag', 'app', 'app:2'])
  await kauri.run(['import', '-', 'other', '-m', 'same layer'], {
    input: tarOf({ name: './', type: '5' }, { name: './app', body: 'app'.repeat(5000) }),
  })
  const { stdout } = await kauri.run(['df', '--json'])
  const { usages, sharedBytes } = JSON.parse(stdout)
  t.like(usages[0], { type: 'images', count: 2, reclaimableBytes: 0 })
  t.true(sharedBytes > 0)
  await kauri.run(['rmi', 'other'])
  const table = (await kauri.run(['df'])).stdout
  t.regex(table, /^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE\nImages +1 +0 +\S+ +0B \(0%\)\n/)
  t.regex(table, /\nContainers +0 +0 +0B +0B\nLocal Volumes +0 +0 +0B +0B\n/)
})

test('df -v tells of each image what it shares with others', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'app')
  const input = tarOf({ name: './', type: '5' }, { name: './app', body: 'app'.repeat(5000) })
  await kauri.run(['import', '-', 'same', '-m', 'another configuration'], { input })
  await importOf(kauri, 'other')
  const { usages } = JSON.parse((await kauri.run(['df', '-v', '--json'])).stdout)
  const items: { name: string; bytes: number; sharedBytes: number }[] = usages[0].items
  const of = (name: string): number => items.find(item => item.name === name)?.sharedBytes ?? -1
  t.true(of('app:latest') > 0)
  t.is(of('app:latest'), of('same:latest'))
  t.is(of('other:latest'), 0)
  const { stdout } = await kauri.run(['df', '-v'])
  t.regex(stdout, /^IMAGE +IMAGE ID +SIZE +SHARED SIZE +UNIQUE SIZE +CONTAINERS$/m)
  t.regex(stdout, /^other:latest +[0-9a-f]{12} +\S+ +0B +\S+ +0$/m)
})

test('df passes over images that are damaged', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'app')
  const { manifest } = await blobsOf(kauri, 'app')
  truncateSync(manifest, 3)
  const { code, stderr } = await kauri.run(['df'])
  t.is(code, 0, stderr)
})

testWith({ root: true })(
  'export writes the files of an image, or of a container that ended',
  async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    makeSmallRoot(scratch.path)
    await kauri.run(['import', '-', 'small'], { input: tarOfRoot(scratch.path) })
    const ran = [
      'run',
      '--network',
      'none',
      '--name',
      'c',
      'small',
      'sh',
      '-c',
      'echo new > /etc/new',
    ]
    t.is((await kauri.run(ran)).code, 0)
    const names = async (...args: readonly string[]): Promise<readonly string[]> => {
      const file = scratch.at('out.tar')
      const { code, stderr } = await kauri.run(['export', ...args, '-o', file])
      t.is(code, 0, stderr)
      return execFileSync('tar', ['-tf', file], { encoding: 'utf8' }).split('\n')
    }
    const image = await names('--image', 'small')
    t.true(image.includes('etc/passwd'))
    t.false(image.includes('etc/new'))
    t.deepEqual(
      (await names('c')).filter(name => !image.includes(name)),
      ['etc/new'],
    )
    t.is((await kauri.run(['export'])).code, 2)
    t.is((await kauri.run(['export', 'nobody'])).code, 1)
  },
)
