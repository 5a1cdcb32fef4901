// What fsck finds in a store that somebody or something has damaged, what it says of it, and what it has again.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import test from 'ava'
import type { StoreFinding } from '../../src/store/store-finding.ts'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { serveRegistry } from '../helpers/registry-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { tarOf } from '../helpers/tar.ts'

const rooted = testWith({ root: true })

async function must(kauri: KauriProgram, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await kauri.run(args)
  if (code !== 0) throw new Error(`kauri ${args.join(' ')}: ${code}\n${stdout}${stderr}`)
  return stdout
}

async function importOf(kauri: KauriProgram, name: string, file = name): Promise<void> {
  const input = tarOf({ name: './', type: '5' }, { name: './file', body: file.repeat(5000) })
  const { code, stderr } = await kauri.run(['import', '-', name], { input })
  if (code !== 0) throw new Error(stderr)
}

interface Checked {
  readonly code: number | null
  readonly findings: readonly StoreFinding[]
  readonly restored: readonly string[]
}

async function fsck(kauri: KauriProgram, ...options: readonly string[]): Promise<Checked> {
  const { code, stdout, stderr } = await kauri.run(['fsck', '--json', ...options])
  try {
    return { code, ...JSON.parse(stdout) }
  } catch {
    throw new Error(stderr)
  }
}

function inStore(kauri: KauriProgram, ...parts: readonly string[]): string {
  return path.join(kauri.dataRoot, 'oci', ...parts)
}

function blobFile(kauri: KauriProgram, digest: string): string {
  return inStore(kauri, 'blobs/sha256', digest.replace('sha256:', ''))
}

interface Parts {
  readonly manifest: string
  readonly config: string
  readonly layers: readonly string[]
}

async function partsOf(kauri: KauriProgram, name: string): Promise<Parts> {
  const [image] = JSON.parse(await must(kauri, 'inspect', '--json', name))
  const layers: readonly { digest: string }[] = image.Manifest.Layers
  return {
    manifest: image.Descriptor.digest,
    config: image.Manifest.Config.digest,
    layers: layers.map(({ digest }) => digest),
  }
}

function damage(file: string): void {
  chmodSync(file, 0o644)
  writeFileSync(file, 'harm', { flag: 'r+' })
  chmodSync(file, 0o444)
}

test('a damaged blob is named with its digest, the images that need it, and what to do', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'app')
  await must(kauri, 'tag', 'app', 'other:2')
  const { layers } = await partsOf(kauri, 'app')
  const [layer = ''] = layers
  damage(blobFile(kauri, layer))
  const { code, findings } = await fsck(kauri)
  t.is(code, 1)
  const [damaged, ...incomplete] = findings
  t.like(damaged, { rule: 'blob-damaged', subject: layer, images: ['app:latest', 'other:2'] })
  t.regex(damaged?.hint ?? '', /kauri fsck --rebuild/)
  t.deepEqual(
    incomplete.map(({ rule, subject }) => `${rule} ${subject}`),
    ['image-incomplete app:latest', 'image-incomplete other:2'],
  )
  const { stdout } = await kauri.run(['fsck'])
  t.regex(stdout, new RegExp(`^blob-damaged: ${layer} .*needed by app:latest, other:2$`, 'm'))
})

test('a damaged blob that no image needs is said to be that', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'app')
  await importOf(kauri, 'gone')
  const { layers } = await partsOf(kauri, 'gone')
  const index = inStore(kauri, 'index.json')
  const text = readFileSync(index, 'utf8')
  const document = JSON.parse(text)
  document.manifests.pop()
  writeFileSync(index, JSON.stringify(document))
  damage(blobFile(kauri, layers[0] ?? ''))
  const { code, findings } = await fsck(kauri)
  t.is(code, 1)
  t.is(findings.length, 1)
  t.regex(findings[0]?.message ?? '', /no image needs it/)
})

rooted('--rebuild has a layer again from its unpacked tree', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  writeFileSync(scratch.at('Dockerfile'), 'FROM scratch\nCOPY file /file\n')
  writeFileSync(scratch.at('file'), 'in the tree')
  await must(kauri, 'build', '-q', '-t', 'base', scratch.path)
  // Its tree gets the name of its layers when something stands on it.
  const above = scratch.at('above')
  mkdirSync(above)
  writeFileSync(path.join(above, 'Dockerfile'), 'FROM base\nCOPY more /more\n')
  writeFileSync(path.join(above, 'more'), 'more')
  await must(kauri, 'build', '-q', '-t', 'above', above)
  const { layers } = await partsOf(kauri, 'base')
  const [layer = ''] = layers
  damage(blobFile(kauri, layer))
  const { code, restored } = await fsck(kauri, '--rebuild')
  t.is(code, 0)
  t.deepEqual(restored, [layer])
  t.deepEqual(readdirSync(inStore(kauri, 'damaged')), [layer.replace('sha256:', '')])
  t.deepEqual((await fsck(kauri)).findings, [])
  await must(kauri, 'verify', 'base', 'above')
})

rooted('the tree of an image whose layer is lost for good stays', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'app')
  const { layers } = await partsOf(kauri, 'app')
  rmSync(blobFile(kauri, layers[0] ?? ''))
  const snapshots = path.join(kauri.dataRoot, 'snapshots')
  const trees = (): ReadonlySet<string> =>
    new Set(
      readdirSync(snapshots, { recursive: true, encoding: 'utf8' }).filter(name =>
        name.endsWith('/file'),
      ),
    )
  const before = trees()
  t.true(before.size > 0)
  t.is((await fsck(kauri, '--rebuild')).code, 1)
  t.deepEqual(trees(), before)
})

rooted('--rebuild --pull asks the registry that the name says', async t => {
  using kauri = kauriProgram()
  await using registry = await serveRegistry()
  const name = `${registry.host}/team/app:1`
  await importOf(kauri, name, 'app')
  await must(kauri, 'push', '-q', name)
  const { manifest, config, layers } = await partsOf(kauri, name)
  rmSync(blobFile(kauri, config))
  rmSync(blobFile(kauri, manifest))
  damage(blobFile(kauri, layers[0] ?? ''))
  const local = await fsck(kauri, '--rebuild')
  t.is(local.code, 1)
  t.deepEqual(local.restored, [])
  // What is found depends on what is there already: first the manifest, then what it names.
  await fsck(kauri, '--rebuild', '--pull')
  t.is((await fsck(kauri, '--rebuild', '--pull')).code, 0)
  t.deepEqual((await fsck(kauri)).findings, [])
  await must(kauri, 'verify', name)
})

test('--pull alone is refused', async t => {
  using kauri = kauriProgram()
  t.is((await kauri.run(['fsck', '--pull'])).code, 2)
})

rooted('an index that is lost is made again of the images that are found', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'one')
  await importOf(kauri, 'two')
  const { manifest } = await partsOf(kauri, 'one')
  const index = inStore(kauri, 'index.json')
  rmSync(index)
  t.deepEqual(
    (await fsck(kauri)).findings.map(({ rule }) => rule),
    ['index-missing'],
  )
  const refused = await kauri.run(['gc', '--older-than', '0s'])
  t.is(refused.code, 1)
  t.regex(refused.stderr, /index\.json is missing, but there are blobs\nhint: .*fsck --rebuild/)
  t.is((await kauri.run(['tag', manifest, 'x'])).code, 1)
  t.is((await fsck(kauri, '--rebuild')).code, 0)
  t.is((await kauri.run(['images', '-q'])).stdout.trim().split('\n').length, 2)
  await must(kauri, 'tag', manifest, 'one')
  await must(kauri, 'verify', 'one')
})

rooted('an index that is broken is put aside', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'one')
  truncateSync(inStore(kauri, 'index.json'), 30)
  const gc = await kauri.run(['gc', '--older-than', '0s'])
  t.is(gc.code, 1)
  t.regex(gc.stderr, /index\.json is not valid JSON/)
  t.is((await fsck(kauri, '--rebuild')).code, 0)
  const [kept = ''] = readdirSync(inStore(kauri, 'damaged'))
  t.regex(kept, /^index-\d+\.json$/)
  t.deepEqual((await fsck(kauri)).findings, [])
  t.is((await kauri.run(['images', '-q'])).stdout.trim().split('\n').length, 1)
})

rooted('a marker that is missing is written again', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'one')
  rmSync(inStore(kauri, 'oci-layout'))
  const { code, findings } = await fsck(kauri)
  t.is(code, 1)
  t.like(findings[0], { rule: 'layout-file', subject: inStore(kauri, 'oci-layout') })
  t.is((await fsck(kauri, '--rebuild')).code, 0)
  t.true(existsSync(inStore(kauri, 'oci-layout')))
})

rooted('rights that let others write are named, and taken away', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'one')
  const { layers } = await partsOf(kauri, 'one')
  const file = blobFile(kauri, layers[0] ?? '')
  chmodSync(file, 0o666)
  chmodSync(inStore(kauri), 0o777)
  const { code, findings } = await fsck(kauri)
  t.is(code, 1)
  t.deepEqual(
    findings.map(({ rule, subject }) => `${rule} ${subject}`),
    [`permission ${inStore(kauri)}`, `permission ${file}`],
  )
  t.is((await fsck(kauri, '--rebuild')).code, 0)
  t.is(statSync(file).mode & 0o777, 0o444)
  t.is(statSync(inStore(kauri)).mode & 0o777, 0o700)
})

test('blobs that other programs write with their own rights are no finding', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'one')
  const { layers, config } = await partsOf(kauri, 'one')
  chmodSync(blobFile(kauri, layers[0] ?? ''), 0o644)
  chmodSync(blobFile(kauri, config), 0o600)
  t.deepEqual((await fsck(kauri)).findings, [])
})

test('names that stand for two images, and names that are none, are told', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'one')
  await importOf(kauri, 'two')
  const index = inStore(kauri, 'index.json')
  const document = JSON.parse(readFileSync(index, 'utf8'))
  const [one, two] = document.manifests
  const name = 'org.opencontainers.image.ref.name'
  document.manifests.push(
    { ...two, annotations: one.annotations },
    { ...one, annotations: { [name]: '../../etc/passwd' } },
    { ...one, digest: `sha512:${'0'.repeat(128)}` },
  )
  writeFileSync(index, JSON.stringify(document))
  const { code, findings } = await fsck(kauri)
  t.is(code, 1)
  t.deepEqual(
    findings.map(({ rule, severity }) => `${severity} ${rule}`),
    ['error name-twice', 'note name-invalid', 'note entry-foreign'],
  )
  t.is(findings[0]?.subject, 'one:latest')
  await must(kauri, 'tag', one.digest, 'one')
  t.deepEqual(
    (await fsck(kauri)).findings.map(({ rule }) => rule),
    ['name-invalid', 'entry-foreign'],
  )
})

rooted('a record of a blob that is gone is a note, and goes', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'one')
  const [diffId = ''] = readdirSync(inStore(kauri, 'diff-ids'))
  const [record = ''] = readdirSync(inStore(kauri, 'diff-ids', diffId))
  const stray = inStore(kauri, 'diff-ids', diffId, `${'a'.repeat(64)}.json`)
  renameSync(inStore(kauri, 'diff-ids', diffId, record), stray)
  const { code, findings } = await fsck(kauri)
  t.is(code, 0)
  t.like(findings[0], { rule: 'record-dangling', severity: 'note', subject: stray })
  t.is((await fsck(kauri, '--rebuild')).code, 0)
  t.deepEqual(readdirSync(inStore(kauri, 'diff-ids', diffId)), [record], 'read from the layer')
})

rooted('a record that lies is made anew from the layer', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'one')
  const [diffId = ''] = readdirSync(inStore(kauri, 'diff-ids'))
  const directory = inStore(kauri, 'diff-ids', diffId)
  const file = path.join(directory, readdirSync(directory)[0] ?? '')
  const record = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...record, tarBytes: 1 }))
  await must(kauri, 'fsck', '--rebuild')
  t.deepEqual(JSON.parse(readFileSync(file, 'utf8')), record)
})
