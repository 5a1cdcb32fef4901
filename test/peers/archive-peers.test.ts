// Archives between kauri and docker, podman, skopeo, umoci and buildah, both ways: the image has the same configuration and
// the same names wherever it comes from.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { ExecutionContext } from 'ava'
import { startDockerDaemon } from '../helpers/docker-daemon.ts'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { tarOf } from '../helpers/tar.ts'

const run = (program: string, args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

const skopeo = (...args: string[]): string => run('skopeo', ['--insecure-policy', ...args])

/** podman or buildah with a storage of the test's own. */
function containersTool(scratch: Scratch, program: 'podman' | 'buildah') {
  const places = ['--root', scratch.at('storage'), '--runroot', scratch.at('storage-run')]
  return (...args: string[]): string =>
    run(program, [...places, '--storage-driver', 'vfs', ...args]).trim()
}

async function ok(
  t: ExecutionContext,
  kauri: KauriProgram,
  args: readonly string[],
  input?: Uint8Array,
): Promise<string> {
  const { code, stdout, stderr } = await kauri.run(args, input === undefined ? {} : { input })
  t.is(code, 0, `${args.join(' ')}: ${stderr}`)
  return stdout.trim()
}

/** Two layers, and what docker keeps beside what OCI knows. */
async function makeImages(
  t: ExecutionContext,
  kauri: KauriProgram,
  scratch: Scratch,
): Promise<void> {
  const tar = tarOf(
    { name: './', type: '5' },
    { name: './etc/', type: '5' },
    { name: './etc/one', body: 'one' },
    { name: './link', type: '2', link: 'etc/one' },
  )
  await ok(t, kauri, ['import', '-c', 'CMD ["/x"]', '-c', 'ENV A=b', '-', 'base:1'], tar)
  writeFileSync(scratch.at('two.tar'), tarOf({ name: 'two', body: 'two' }, { name: '.wh.link' }))
  const label = ['image', 'append', 'base:1', scratch.at('two.tar'), '-t', 'example.org/team/app:2']
  await ok(t, kauri, label)
  await ok(t, kauri, ['tag', 'example.org/team/app:2', 'other:latest'])
}

const names = ['base:1', 'example.org/team/app:2', 'other:latest']

/** Digest of the configuration: what docker and podman call the image's ID. */
async function idOf(t: ExecutionContext, kauri: KauriProgram, name: string): Promise<string> {
  const [image] = JSON.parse(await ok(t, kauri, ['inspect', '--json', name]))
  return image.Manifest.Config.digest
}

testWith({ root: true, programs: ['dockerd', 'docker'] })(
  'docker loads what kauri saves, and kauri what docker saves',
  async t => {
    using from = kauriProgram()
    using to = kauriProgram()
    using scratch = makeScratch()
    await makeImages(t, from, scratch)
    const edits = [
      ['config', 'base:1', '-c', 'ENTRYPOINT ["/e"]', '-t', 'edited:config'],
      ['squash', 'other', '-t', 'edited:squash'],
      ['append', 'other', scratch.at('two.tar'), scratch.at('two.tar'), '-t', 'edited:append'],
      ['rebase', 'other', '--from', 'base:1', '--onto', 'edited:squash', '-t', 'edited:rebase'],
    ]
    for (const edit of edits) await ok(t, from, ['image', ...edit])
    await using daemon = await startDockerDaemon()
    const archive = scratch.at('images.tar')
    await ok(t, from, ['save', '-o', archive, ...names])
    const loaded = daemon.docker(['load', '-i', archive])
    for (const name of names) t.true(loaded.includes(name), loaded)
    const dockerId = (name: string): string =>
      daemon.docker(['image', 'inspect', '--format', '{{.Id}}', name]).trim()
    for (const name of names) t.is(dockerId(name), await idOf(t, from, name), name)
    await ok(t, from, ['save', '-o', scratch.at('edited.tar'), 'edited'])
    daemon.docker(['load', '-i', scratch.at('edited.tar')])
    for (const kind of ['config', 'squash', 'append', 'rebase'])
      t.is(dockerId(`edited:${kind}`), await idOf(t, from, `edited:${kind}`), kind)
    daemon.docker(['save', '-o', scratch.at('docker.tar'), ...names])
    const told = await ok(t, to, ['load', '-i', scratch.at('docker.tar')])
    t.deepEqual(
      told.split('\n').toSorted(),
      names.map(name => `Loaded image: ${name}`),
    )
    for (const name of names) {
      t.is(await idOf(t, to, name), dockerId(name), name)
      await ok(t, to, ['verify', name])
    }
    const difference = await ok(t, to, ['diff', '--json', 'base:1', 'other'])
    t.deepEqual(
      JSON.parse(difference).files.map((file: { path: string }) => file.path),
      ['/link', '/two'],
    )
  },
)

testWith({ root: true, programs: ['podman'] })(
  'podman loads what kauri saves, and kauri what podman saves in each of its forms',
  async t => {
    using from = kauriProgram()
    using scratch = makeScratch()
    await makeImages(t, from, scratch)
    const podman = containersTool(scratch, 'podman')
    const app = 'example.org/team/app:2'
    const id = await idOf(t, from, app)
    for (const format of ['oci-archive', 'docker-archive']) {
      const file = scratch.at(`from-kauri-${format}`)
      await ok(t, from, ['save', '--format', format, '-o', file, app])
      podman('rmi', '-f', '--ignore', app)
      podman('load', '-i', file)
      t.is(`sha256:${podman('image', 'inspect', '--format', '{{.Id}}', app)}`, id, format)
    }
    for (const format of ['docker-archive', 'oci-archive', 'oci-dir', 'docker-dir']) {
      using to = kauriProgram()
      const file = scratch.at(`from-podman-${format}`)
      podman('save', '--quiet', '--format', format, '-o', file, app)
      const told = await ok(t, to, ['load', '-i', file])
      const name = told.replace(/^Loaded image(?: ID)?: /, '')
      if (format !== 'docker-dir') t.is(name, app, format)
      if (!format.startsWith('oci') && format !== 'docker-dir') t.is(await idOf(t, to, name), id)
      await ok(t, to, ['verify', name])
    }
  },
)

testWith({ root: true, programs: ['podman'] })(
  'an archive of several images of podman’s loads with all its names',
  async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    await makeImages(t, kauri, scratch)
    const podman = containersTool(scratch, 'podman')
    await ok(t, kauri, ['save', '-o', scratch.at('images.tar'), ...names])
    const loaded = podman('load', '-i', scratch.at('images.tar')).split('\n')
    // Short names are podman's own there: localhost/base:1.
    const theirs = loaded.map(line => line.replace('Loaded image: ', ''))
    t.is(theirs.length, names.length)
    podman('save', '--quiet', '-m', '-o', scratch.at('podman.tar'), ...theirs)
    const told = await ok(t, kauri, ['load', '-i', scratch.at('podman.tar')])
    t.deepEqual(told.split('\n').toSorted(), loaded.toSorted())
    for (const name of theirs) await ok(t, kauri, ['verify', name])
  },
)

testWith({ programs: ['skopeo'] })(
  'skopeo reads each form of kauri’s archives, and kauri each of skopeo’s',
  async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    await makeImages(t, kauri, scratch)
    const app = 'example.org/team/app:2'
    const id = await idOf(t, kauri, app)
    const saved = (format: string): string => scratch.at(`kauri-${format}`)
    for (const format of ['docker-archive', 'oci-archive', 'oci-dir'])
      await ok(t, kauri, ['save', '--format', format, '-o', saved(format), ...names])
    const sources = [
      `docker-archive:${saved('docker-archive')}:${app}`,
      `oci-archive:${saved('oci-archive')}:${app}`,
      `oci:${saved('oci-dir')}:${app}`,
    ]
    for (const source of sources) {
      const raw = JSON.parse(skopeo('inspect', '--raw', source))
      t.is(raw.config.digest, id, source)
    }
    const [source = ''] = sources
    const targets = [
      `docker-archive:${scratch.at('skopeo.tar')}:skopeo/docker:1`,
      `oci-archive:${scratch.at('skopeo-oci.tar')}:skopeo/oci:1`,
      `oci:${scratch.at('skopeo-layout')}:skopeo/layout:1`,
      `dir:${scratch.at('skopeo-dir')}`,
    ]
    for (const target of targets) {
      skopeo('copy', '--quiet', source, target)
      const file = target.split(':')[1] ?? ''
      const told = await ok(t, kauri, ['load', file])
      const name = told.replace(/^Loaded image(?: ID)?: /, '')
      t.regex(told, target.startsWith('dir:') ? /^Loaded image ID: / : /^Loaded image: skopeo\//)
      await ok(t, kauri, ['verify', name])
    }
    t.is(await idOf(t, kauri, 'skopeo/docker:1'), id)
  },
)

testWith({ programs: ['umoci'] })(
  'umoci unpacks what kauri saves, and kauri loads what umoci writes',
  async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    await makeImages(t, kauri, scratch)
    const layout = scratch.at('layout')
    // umoci 0.4 of Debian 12 knows no zstd.
    const app = ['copy', 'example.org/team/app:2', `oci:${scratch.at('zstd')}:app`]
    await ok(t, kauri, app)
    await ok(t, kauri, ['save', '-o', scratch.at('docker.tar'), 'example.org/team/app:2'])
    execFileSync('mkdir', [scratch.at('plain')])
    execFileSync('tar', ['-xf', scratch.at('docker.tar'), '-C', scratch.at('plain')])
    const bundle = scratch.at('bundle')
    run('umoci', ['unpack', '--rootless', '--image', `${scratch.at('plain')}:2`, bundle])
    t.is(readFileSync(path.join(bundle, 'rootfs/etc/one'), 'utf8'), 'one')
    t.is(readFileSync(path.join(bundle, 'rootfs/two'), 'utf8'), 'two')
    run('umoci', ['init', '--layout', layout])
    run('umoci', ['new', '--image', `${layout}:made/by-umoci:1`])
    mkdirSync(scratch.at('tree'))
    writeFileSync(scratch.at('tree', 'file'), 'umoci')
    const insert = ['insert', '--rootless', '--image', `${layout}:made/by-umoci:1`]
    run('umoci', [...insert, scratch.at('tree', 'file'), '/file'])
    t.is(await ok(t, kauri, ['load', layout]), 'Loaded image: made/by-umoci:1')
    await ok(t, kauri, ['verify', 'made/by-umoci:1'])
  },
)

testWith({ root: true, programs: ['buildah'] })(
  'buildah takes what kauri saves, and kauri loads what buildah pushes',
  async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    await makeImages(t, kauri, scratch)
    const buildah = containersTool(scratch, 'buildah')
    await ok(t, kauri, ['save', '-o', scratch.at('kauri.tar'), 'other'])
    buildah('pull', '--quiet', `docker-archive:${scratch.at('kauri.tar')}`)
    for (const kind of ['oci-archive', 'docker-archive']) {
      const file = scratch.at(`buildah-${kind}`)
      buildah('push', '--quiet', 'localhost/other:latest', `${kind}:${file}:built/by:${kind}`)
      const told = await ok(t, kauri, ['load', '-i', file])
      t.true(told.includes(`Loaded image: built/by:${kind}`), told)
      await ok(t, kauri, ['verify', `built/by:${kind}`])
    }
    rmSync(scratch.at('storage'), { recursive: true, force: true })
  },
)
