// Debian's docker-registry and skopeo, both ways: what one puts somewhere the other one reads, byte for byte.

import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import type { ExecutionContext } from 'ava'
import { startDockerDaemon } from '../helpers/docker-daemon.ts'
import { startDockerRegistry } from '../helpers/docker-registry.ts'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { tarOf } from '../helpers/tar.ts'
import { makeAuthority } from '../helpers/test-authority.ts'
import { startTokenServer } from '../helpers/token-server.ts'

const test = testWith({ programs: ['docker-registry', 'perl', 'skopeo', 'openssl'] })

const skopeo = (...args: string[]): string =>
  execFileSync('skopeo', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

/** Layers of some megabytes, so that pieces are more than one. */
const tarWith = (name: string): Buffer =>
  tarOf(
    { name: './', type: '5' },
    { name: `./${name}`, body: name },
    { name: './large', body: Buffer.alloc(3_000_000, name) },
  )

async function ok(
  t: ExecutionContext,
  kauri: KauriProgram,
  args: readonly string[],
  input?: Uint8Array,
): Promise<string> {
  const env = { DOCKER_CONFIG: `${kauri.dataRoot}-docker`, CONTAINERS_REGISTRIES_CONF: '/dev/null' }
  const { code, stdout, stderr } = await kauri.run(
    args,
    input === undefined ? { env } : { env, input },
  )
  t.is(code, 0, stderr)
  return stdout.trim()
}

test('docker-registry takes what kauri pushes, and skopeo pulls it', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  await using registry = await startDockerRegistry(scratch)
  const name = `${registry.host}/team/app:1`
  const digest = await ok(t, kauri, ['import', '-', name], tarWith('app'))
  await ok(t, kauri, ['push', name])
  const insecure = '--tls-verify=false'
  t.is(JSON.parse(skopeo('inspect', insecure, `docker://${name}`)).Digest, digest)
  skopeo('copy', '--src-tls-verify=false', `docker://${name}`, `oci:${scratch.at('layout')}:app`)
  t.is(await ok(t, kauri, ['copy', `oci:${scratch.at('layout')}:app`, 'again:1']), digest)
  await ok(t, kauri, ['push', name, `${registry.host}/mounted:1`])
  await ok(t, kauri, ['copy', `docker://${name}`, `docker://${registry.host}/third:1`])
  t.is(JSON.parse(skopeo('inspect', insecure, `docker://${registry.host}/third:1`)).Digest, digest)
  await ok(t, kauri, ['rmi', name])
  t.is(await ok(t, kauri, ['pull', name]), `${name} ${digest}`)
  await ok(t, kauri, ['pull', '-q', '--all-tags', `${registry.host}/mounted`])
})

for (const format of ['oci', 'v2s2'])
  test(`kauri pulls what skopeo pushed as ${format}`, async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    await using registry = await startDockerRegistry(scratch)
    const name = `${registry.host}/app:1`
    await ok(t, kauri, ['import', '-', 'app:1'], tarWith('app'))
    await ok(t, kauri, ['save', '-o', scratch.at('app.tar'), 'app:1'])
    skopeo(
      'copy',
      '--dest-tls-verify=false',
      '--format',
      format,
      `docker-archive:${scratch.at('app.tar')}`,
      `docker://${name}`,
    )
    const { Digest: digest } = JSON.parse(
      skopeo('inspect', '--tls-verify=false', `docker://${name}`),
    )
    t.is(await ok(t, kauri, ['pull', name]), `${name} ${digest}`)
    await ok(t, kauri, ['verify', name])
    // Docker's media types stay what they are on their way out, too.
    await ok(t, kauri, ['push', name, `${registry.host}/back:1`])
    t.is(
      JSON.parse(skopeo('inspect', '--tls-verify=false', `docker://${registry.host}/back:1`))
        .Digest,
      digest,
    )
  })

test('skopeo reads the archives and layouts of kauri copy, and kauri those of skopeo', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  const digest = await ok(t, kauri, ['import', '-', 'app:1'], tarWith('app'))
  await ok(t, kauri, ['copy', 'app:1', `oci:${scratch.at('layout')}:v1`])
  t.is(JSON.parse(skopeo('inspect', `oci:${scratch.at('layout')}:v1`)).Digest, digest)
  await ok(t, kauri, ['copy', 'app:1', `oci-archive:${scratch.at('oci.tar')}:v2`])
  t.is(JSON.parse(skopeo('inspect', `oci-archive:${scratch.at('oci.tar')}:v2`)).Digest, digest)
  await ok(t, kauri, ['copy', 'app:1', `docker-archive:${scratch.at('docker.tar')}:app:3`])
  t.regex(skopeo('inspect', `docker-archive:${scratch.at('docker.tar')}:app:3`), /"Layers"/)
  skopeo('copy', `oci:${scratch.at('layout')}:v1`, `oci-archive:${scratch.at('theirs.tar')}:x`)
  t.is(
    await ok(t, kauri, ['copy', `oci-archive:${scratch.at('theirs.tar')}:x`, 'theirs:1']),
    digest,
  )
  skopeo(
    'copy',
    `docker-archive:${scratch.at('docker.tar')}:app:3`,
    `docker-archive:${scratch.at('theirs-docker.tar')}:some/name:9`,
  )
  await ok(t, kauri, [
    'copy',
    `docker-archive:${scratch.at('theirs-docker.tar')}:some/name:9`,
    'docker:1',
  ])
})

test('a registry with TLS and a password, and a login that skopeo can use', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  const authority = makeAuthority(scratch)
  const login = { username: 'ann', password: 'pass word' }
  const tls = { certificate: scratch.at('server.crt'), key: scratch.at('server.key') }
  await using registry = await startDockerRegistry(scratch, { tls, login })
  mkdirSync(scratch.at('certs'))
  writeFileSync(scratch.at('certs/ca.crt'), authority.authority)
  const certificates = ['--cert-dir', scratch.at('certs')]
  const name = `${registry.host}/app:1`
  const digest = await ok(t, kauri, ['import', '-', name], tarWith('app'))
  const file = scratch.at('auth.json')
  await ok(
    t,
    kauri,
    ['login', ...certificates, '--authfile', file, '-u', 'ann', '--password-stdin', registry.host],
    Buffer.from('pass word\n'),
  )
  await ok(t, kauri, ['push', ...certificates, '--authfile', file, name])
  const inspected = skopeo('inspect', '--authfile', file, ...certificates, `docker://${name}`)
  t.is(JSON.parse(inspected).Digest, digest)
  execFileSync('skopeo', ['logout', '--authfile', file, registry.host])
  t.deepEqual(JSON.parse(readFileSync(file, 'utf8')).auths ?? {}, {})
  execFileSync(
    'skopeo',
    ['login', '--authfile', file, ...certificates, '-u', 'ann', '--password-stdin', registry.host],
    { input: 'pass word' },
  )
  await ok(t, kauri, ['rmi', name])
  t.is(await ok(t, kauri, ['pull', ...certificates, '--authfile', file, name]), `${name} ${digest}`)
})

test('docker-registry with TLS and a token server: each work gets a token of its own', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  const authority = makeAuthority(scratch)
  const users = { username: 'ann', password: 'pass word', refreshToken: 'refresh-me' }
  await using tokens = await startTokenServer(authority, users)
  const tls = { certificate: scratch.at('server.crt'), key: scratch.at('server.key') }
  const token = { ...tokens.settings, rootcertbundle: scratch.at('ca.crt') }
  await using registry = await startDockerRegistry(scratch, { tls, token })
  mkdirSync(scratch.at('certs'))
  writeFileSync(scratch.at('certs/ca.crt'), authority.authority)
  const file = scratch.at('auth.json')
  const known = ['--cert-dir', scratch.at('certs'), '--authfile', file]
  const name = `${registry.host}/team/app:1`
  const digest = await ok(t, kauri, ['import', '-', name], tarWith('app'))
  t.is((await kauri.run(['push', ...known, name])).code, 1)
  const login = ['login', ...known, '-u', 'ann', '--password-stdin', registry.host]
  t.not((await kauri.run(login, { input: Buffer.from('wrong\n') })).code, 0)
  await ok(t, kauri, login, Buffer.from('pass word\n'))
  await ok(t, kauri, ['push', ...known, name])
  t.true(tokens.scopes.includes('repository:team/app:pull,push'))
  // skopeo reads the same files. The token server is in this process, which must not wait without answering.
  const inspect = ['inspect', '--authfile', file, ...known.slice(0, 2), `docker://${name}`]
  const { stdout } = await promisify(execFile)('skopeo', inspect)
  t.is(JSON.parse(stdout).Digest, digest)
  // A mount asks for both repositories at once.
  const other = `${registry.host}/other:2`
  await ok(t, kauri, ['copy', ...known, `docker://${name}`, `docker://${other}`])
  t.true(
    tokens.scopes.some(
      scope => scope.includes('repository:other:pull,push') && scope.includes('team/app:pull'),
    ),
  )
  t.is(await ok(t, kauri, ['registry', 'resolve', ...known, other]), digest)
  t.is(await ok(t, kauri, ['registry', 'catalog', ...known, registry.host]), 'other\nteam/app')
  t.is(await ok(t, kauri, ['registry', 'tags', ...known, `${registry.host}/other`]), '2')
  await ok(t, kauri, ['registry', 'rm', ...known, '--manifest', other])
  t.is((await kauri.run(['registry', 'resolve', ...known, other])).code, 1)
  // What docker keeps after a login with a token that can be renewed.
  writeFileSync(
    file,
    JSON.stringify({ auths: { [registry.host]: { identitytoken: 'refresh-me' } } }),
  )
  await ok(t, kauri, ['rmi', name])
  t.is(await ok(t, kauri, ['pull', ...known, name]), `${name} ${digest}`)
})

testWith({ root: true, programs: ['docker-registry', 'perl', 'dockerd', 'docker'] })(
  'docker pulls what kauri pushed in its format, and kauri what docker pushed',
  async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    await using registry = await startDockerRegistry(scratch)
    await using daemon = await startDockerDaemon()
    const name = `${registry.host}/app:1`
    await ok(t, kauri, ['import', '-c', 'ENV FROM=kauri', '-', name], tarWith('app'))
    for (const words of [
      ['--format', 'docker'],
      ['--compression', 'gzip'],
    ]) {
      await ok(t, kauri, ['push', ...words, name])
      daemon.docker(['pull', name])
      t.regex(daemon.docker(['inspect', name]), /FROM=kauri/)
      daemon.docker(['rmi', name])
    }
    daemon.docker(
      ['import', '-c', 'ENV FROM=docker', '-', `${registry.host}/theirs:1`],
      tarWith('theirs'),
    )
    daemon.docker(['push', `${registry.host}/theirs:1`])
    await ok(t, kauri, ['pull', `${registry.host}/theirs:1`])
    await ok(t, kauri, ['verify', `${registry.host}/theirs:1`])
    t.regex(await ok(t, kauri, ['inspect', `${registry.host}/theirs:1`]), /FROM=docker/)
  },
)

testWith({ root: true, programs: ['docker-registry', 'perl', 'podman'] })(
  'podman pulls what kauri pushed as it is, and kauri what podman pushed',
  async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    await using registry = await startDockerRegistry(scratch)
    const store = ['--root', scratch.at('podman'), '--runroot', scratch.at('podman-run')]
    const podman = (...args: string[]): string =>
      execFileSync('podman', [...store, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      })
    const name = `${registry.host}/app:1`
    const digest = await ok(t, kauri, ['import', '-c', 'ENV FROM=kauri', '-', name], tarWith('app'))
    await ok(t, kauri, ['push', name])
    podman('pull', '-q', '--tls-verify=false', name)
    t.regex(
      podman('image', 'inspect', name),
      new RegExp(`FROM=kauri[^]*${digest}|${digest}[^]*FROM=kauri`),
    )
    podman('tag', name, `${registry.host}/back:1`)
    podman('push', '-q', '--tls-verify=false', `${registry.host}/back:1`)
    await ok(t, kauri, ['pull', `${registry.host}/back:1`])
    await ok(t, kauri, ['verify', `${registry.host}/back:1`])
    execFileSync('podman', [...store, 'rmi', '--all', '--force'], { stdio: 'ignore' })
  },
)
