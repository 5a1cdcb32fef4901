// Images and indexes made from stored ones, as a person types it.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { digestOf } from '../../src/oci/digest.ts'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { serveRegistry } from '../helpers/registry-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { tarOf } from '../helpers/tar.ts'

async function importOf(
  kauri: KauriProgram,
  name: string,
  ...more: readonly string[]
): Promise<string> {
  const input = tarOf(
    { name: './', type: '5' },
    { name: `./${name.replace(':', '-')}`, body: name },
  )
  const { stdout } = await kauri.run(['import', ...more, '-', name], { input })
  return stdout.trim()
}

async function ok(kauri: KauriProgram, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await kauri.run(args, {
    env: { SOURCE_DATE_EPOCH: '1500000000' },
  })
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
  return stdout.trim()
}

async function inspect(kauri: KauriProgram, name: string) {
  const [image] = JSON.parse(await ok(kauri, 'inspect', '--json', name))
  return image
}

test('a configuration changes without a build; the same change gives the same image', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'app')
  const change = ['image', 'config', 'app', '-c', 'CMD ["x"]', '-c', 'LABEL a=b', '-t', 'app:2']
  const digest = await ok(kauri, ...change)
  t.is(await ok(kauri, ...change), digest)
  const [before, after] = [await inspect(kauri, 'app'), await inspect(kauri, 'app:2')]
  t.deepEqual(after.Config, { Cmd: ['x'], Labels: { a: 'b' } })
  t.deepEqual(after.RootFS, before.RootFS)
  await ok(kauri, 'verify', 'app:2')
})

test('members of a configuration that kauri does not know outlive its changes', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  const layer = tarOf({ name: 'file', body: 'x' })
  const config = JSON.stringify({
    os: 'linux',
    architecture: 'amd64',
    docker_version: '19.03',
    container_config: { Cmd: ['stale'] },
    'org.example.future': [1],
    config: { Hostname: 'h', StopTimeout: 7, Cmd: ['old'] },
    rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
  })
  const manifest = '[{"Config":"c","RepoTags":["foreign:1"],"Layers":["l"]}]'
  writeFileSync(
    scratch.at('foreign.tar'),
    tarOf(
      { name: 'c', body: config },
      { name: 'l', body: layer },
      { name: 'manifest.json', body: manifest },
    ),
  )
  await ok(kauri, 'load', '-i', scratch.at('foreign.tar'))
  await ok(kauri, 'image', 'config', 'foreign:1', '-c', 'CMD ["new"]', '-t', 'foreign:2')
  const { Manifest } = await inspect(kauri, 'foreign:2')
  const blob = path.join(kauri.dataRoot, 'oci/blobs/sha256', Manifest.Config.digest.slice(7))
  const changed = JSON.parse(readFileSync(blob, 'utf8'))
  t.like(changed, { docker_version: '19.03', 'org.example.future': [1] })
  t.deepEqual(changed.config, { Hostname: 'h', StopTimeout: 7, Cmd: ['new'] })
  t.false('container_config' in changed)
})

test('tars become layers on top, and whiteouts in them remove', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  await importOf(kauri, 'app')
  writeFileSync(scratch.at('one.tar'), tarOf({ name: 'new', body: 'new' }))
  writeFileSync(scratch.at('two.tar'), tarOf({ name: '.wh.app' }))
  await ok(kauri, 'image', 'append', 'app', scratch.at('one.tar'), scratch.at('two.tar'), '-t', 'b')
  t.is((await inspect(kauri, 'b')).RootFS.Layers.length, 3)
  await ok(kauri, 'verify', 'b')
  const lines = (await ok(kauri, 'diff', 'app', 'b')).split('\n')
  t.deepEqual(lines.slice(0, 2), ['D /app (-3B)', 'A /new (+3B)'])
  const broken = scratch.at('broken.tar')
  writeFileSync(broken, 'no tar')
  t.is((await kauri.run(['image', 'append', 'app', broken])).code, 2)
  t.is((await kauri.run(['image', 'append', 'app', scratch.at('missing')])).code, 2)
})

test('what stands on one base is put onto another', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  for (const base of ['old', 'new']) await importOf(kauri, base)
  writeFileSync(scratch.at('layer.tar'), tarOf({ name: 'app', body: 'app' }))
  await ok(kauri, 'image', 'append', 'old', scratch.at('layer.tar'), '-t', 'app')
  await ok(kauri, 'image', 'rebase', 'app', '--from', 'old', '--onto', 'new', '-t', 'app:new')
  const [image, base] = [await inspect(kauri, 'app:new'), await inspect(kauri, 'new')]
  t.deepEqual(image.RootFS.Layers.slice(0, 1), base.RootFS.Layers)
  await ok(kauri, 'verify', 'app:new')
  t.like(image.Manifest.Annotations, {
    'org.opencontainers.image.base.name': 'docker.io/library/new:latest',
    'org.opencontainers.image.base.digest': base.Id,
  })
  writeFileSync(scratch.at('more.tar'), tarOf({ name: 'more', body: 'more' }))
  await ok(
    kauri,
    'image',
    'append',
    'new',
    scratch.at('more.tar'),
    scratch.at('layer.tar'),
    '-t',
    'wide',
  )
  await ok(kauri, 'image', 'rebase', 'app', '--from', 'old', '--onto', 'wide', '-t', 'app:wide')
  const wide = await inspect(kauri, 'wide')
  t.deepEqual((await inspect(kauri, 'app:wide')).RootFS.Layers, [
    ...wide.RootFS.Layers,
    image.RootFS.Layers[1],
  ])
  await ok(kauri, 'verify', 'app:wide')
  const wrong = ['image', 'rebase', 'app', '--from', 'new', '--onto', 'old']
  t.regex((await kauri.run(wrong)).stderr, /does not stand on the layers of the old base/)
})

test('an index lists images by platform, and one for the same platform takes the old one’s place', async t => {
  using kauri = kauriProgram()
  const amd = await importOf(kauri, 'app:amd', '--platform', 'linux/amd64')
  const arm = await importOf(kauri, 'app:arm', '--platform', 'linux/arm64')
  const newer = await importOf(kauri, 'app:newer', '--platform', 'linux/amd64', '-m', 'newer')
  await ok(kauri, 'manifest', 'create', 'app', 'app:amd', 'app:arm')
  const members = async (): Promise<unknown[]> => {
    const { manifests } = JSON.parse(await ok(kauri, 'manifest', 'inspect', 'app'))
    return manifests.map((entry: { digest: string; platform: { architecture: string } }) => [
      entry.platform.architecture,
      entry.digest,
    ])
  }
  t.deepEqual(await members(), [
    ['amd64', amd],
    ['arm64', arm],
  ])
  t.is((await kauri.run(['manifest', 'create', 'app', 'app:amd'])).code, 1)
  await ok(kauri, 'manifest', 'add', 'app', 'app:newer')
  t.deepEqual(await members(), [
    ['arm64', arm],
    ['amd64', newer],
  ])
  await ok(kauri, 'manifest', 'rm', 'app', arm)
  t.deepEqual(await members(), [['amd64', newer]])
  t.is((await kauri.run(['manifest', 'rm', 'app', arm])).code, 1)
})

test('notes of an index’s images are changed, and the images are not', async t => {
  using kauri = kauriProgram()
  const digest = await importOf(kauri, 'app:arm', '--platform', 'linux/arm64')
  await ok(kauri, 'manifest', 'create', 'app', 'app:arm')
  const notes = ['--variant', 'v8', '--annotation', 'team=a', '--os-version', '12']
  await ok(kauri, 'manifest', 'annotate', 'app', digest.slice(7, 19), ...notes)
  const { manifests } = JSON.parse(await ok(kauri, 'manifest', 'inspect', 'app'))
  t.like(manifests[0], {
    digest,
    annotations: { team: 'a' },
    platform: { os: 'linux', architecture: 'arm64', variant: 'v8', 'os.version': '12' },
  })
  await ok(kauri, 'verify', 'app')
  await ok(kauri, 'manifest', 'annotate', 'app', '--annotation', 'of=itself')
  const whole = JSON.parse(await ok(kauri, 'manifest', 'inspect', 'app'))
  t.is(whole.annotations.of, 'itself')
  t.is((await kauri.run(['manifest', 'annotate', 'app', '--arch', 'arm'])).code, 2)
  t.is((await kauri.run(['manifest', 'annotate', 'app', 'app:arm'])).code, 2)
  t.is((await kauri.run(['manifest', 'annotate', 'app:arm', 'app:arm', '--os', 'x'])).code, 2)
})

test('an index stays whole through save, load, tag and rmi, and shows each of its platforms', async t => {
  using kauri = kauriProgram()
  using other = kauriProgram()
  using scratch = makeScratch()
  const digests = {
    amd64: await importOf(kauri, 'app:amd', '--platform', 'linux/amd64'),
    arm64: await importOf(kauri, 'app:arm', '--platform', 'linux/arm64'),
  }
  const index = await ok(kauri, 'manifest', 'create', 'app', 'app:amd', 'app:arm')
  for (const format of ['oci-archive', 'oci-dir']) {
    const file = scratch.at(format)
    await ok(kauri, 'save', '--format', format, '-o', file, 'app:latest')
    await ok(other, 'load', '-i', file)
    await ok(other, 'tag', 'app', 'copy:1')
    for (const [architecture, digest] of Object.entries(digests)) {
      const platform = ['--platform', `linux/${architecture}`]
      const [shown] = JSON.parse(await ok(other, 'inspect', '--json', ...platform, 'copy:1'))
      t.like(shown, { Id: index, Architecture: architecture, Descriptor: { digest } })
      t.is(shown.Manifests.length, 2)
    }
    await ok(other, 'verify', 'copy:1')
    await ok(other, 'rmi', 'app', 'copy:1')
    t.deepEqual(readdirSync(path.join(other.dataRoot, 'oci/blobs/sha256')), [])
  }
  const arm = ['save', '--format', 'oci-archive', '--platform', 'linux/arm64']
  await ok(kauri, ...arm, '-o', scratch.at('arm.tar'), 'app:latest')
  await ok(other, 'load', '-i', scratch.at('arm.tar'))
  t.is((await inspect(other, 'app')).Id, digests.arm64)
})

test('an index goes into a registry with all its images, and only whole', async t => {
  using kauri = kauriProgram()
  await using server = await serveRegistry()
  const digests = [
    await importOf(kauri, 'app:amd', '--platform', 'linux/amd64'),
    await importOf(kauri, 'app:arm', '--platform', 'linux/arm64'),
  ]
  const index = await ok(
    kauri,
    'manifest',
    'create',
    '--annotation',
    'a=b',
    'app',
    'app:amd',
    'app:arm',
  )
  const target = `${server.host}/team/app:1`
  t.is(await ok(kauri, 'manifest', 'push', 'app', target), `${target} ${index}`)
  const stored = server.manifests.get('team/app')
  for (const name of ['1', ...digests]) t.true(stored?.has(name), name)
  t.is(JSON.parse(stored?.get('1')?.bytes.toString('utf8') ?? '').annotations.a, 'b')
  t.is((await kauri.run(['manifest', 'push', 'app:amd', target])).code, 2)
  await ok(kauri, 'manifest', 'push', '--purge', 'app', target)
  t.is((await kauri.run(['manifest', 'inspect', 'app'])).code, 1)
})

testWith({ root: true })('many layers become one, or one above those that stay', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  await importOf(kauri, 'app')
  writeFileSync(scratch.at('1.tar'), tarOf({ name: 'one', body: '1' }, { name: 'two', body: '2' }))
  writeFileSync(scratch.at('2.tar'), tarOf({ name: '.wh.one' }, { name: 'app', body: 'changed' }))
  await ok(kauri, 'image', 'append', 'app', scratch.at('1.tar'), scratch.at('2.tar'), '-t', 'b')
  for (const [keep, layers] of [
    ['0', 1],
    ['1', 2],
  ] as const) {
    await ok(kauri, 'image', 'squash', 'b', '--keep', keep, '-t', `b:${keep}`)
    t.is((await inspect(kauri, `b:${keep}`)).RootFS.Layers.length, layers)
    await ok(kauri, 'verify', `b:${keep}`)
    const difference = JSON.parse(await ok(kauri, 'diff', '--json', 'b', `b:${keep}`))
    t.deepEqual(difference.files, [])
  }
  const { layers } = JSON.parse(await ok(kauri, 'tree', '--json', 'b:0'))
  t.is(layers[0].wastedBytes, 0)
  t.is((await kauri.run(['image', 'squash', 'b', '--keep', '3'])).code, 2)
})
