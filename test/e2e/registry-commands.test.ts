// pull, push, login, logout, copy and run as a person types them, with a registry on loopback.

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type KauriProgram, kauriProgram, type ProgramResult } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { type RegistryServer, serveRegistry } from '../helpers/registry-server.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { makeSmallRoot, tarOfRoot } from '../helpers/small-root.ts'
import { tarOf } from '../helpers/tar.ts'
import { makeAuthority } from '../helpers/test-authority.ts'

interface Home {
  readonly kauri: KauriProgram
  readonly scratch: Scratch
  readonly run: (args: readonly string[], input?: string | Uint8Array) => Promise<ProgramResult>
  /** Runs, and fails where it fails; what it printed. */
  readonly ok: (args: readonly string[], input?: string | Uint8Array) => Promise<string>
}

/** kauri with a home directory that nobody else has. */
function home(kauri: KauriProgram, scratch: Scratch): Home {
  const config = scratch.at('registries.conf')
  if (!existsSync(config)) writeFileSync(config, '')
  const env = {
    HOME: scratch.path,
    DOCKER_CONFIG: scratch.at('docker'),
    XDG_CONFIG_HOME: scratch.at('config'),
    XDG_RUNTIME_DIR: scratch.at('run'),
    CONTAINERS_REGISTRIES_CONF: config,
    REGISTRY_AUTH_FILE: '',
    http_proxy: '',
    https_proxy: '',
  }
  const run: Home['run'] = (args, input) =>
    kauri.run(args, input === undefined ? { env } : { env, input })
  return {
    kauri,
    scratch,
    run,
    async ok(args, input) {
      const { code, stdout, stderr } = await run(args, input)
      if (code !== 0) throw new Error(`kauri ${args.join(' ')}: ${code}\n${stderr}`)
      return stdout.trim()
    },
  }
}

const small = (name: string): Buffer =>
  tarOf({ name: './', type: '5' }, { name: `./${name}`, body: name })

async function importAs({ ok }: Home, name: string): Promise<string> {
  return await ok(['import', '-', name], small(name.replaceAll(/[^a-z]/g, '')))
}

function homeTest(title: string, body: (home: Home, t: ExecutionContext) => Promise<void>): void {
  test(title, async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    await body(home(kauri, scratch), t)
  })
}

homeTest('what is pushed can be pulled, with the same digest', async (user, t) => {
  await using server = await serveRegistry()
  const name = `${server.host}/team/app:1`
  const digest = await importAs(user, name)
  t.is(await user.ok(['push', name]), `${name} ${digest}`)
  await user.ok(['rmi', name])
  t.is(await user.ok(['pull', name]), `${name} ${digest}`)
  t.deepEqual(JSON.parse(await user.ok(['pull', '--json', name])), [{ reference: name, digest }])
  t.is(await user.ok(['pull', '-q', name]), name)
  t.is(await user.ok(['push', '-q', name, `${server.host}/other:2`]), `${server.host}/other:2`)
  t.true(server.log.some(line => line.includes('mount=') && line.endsWith(' 201')))
})

homeTest('every tag of a repository is pulled with --all-tags', async (user, t) => {
  await using server = await serveRegistry({ habits: { tagsOnPage: 2 } })
  for (const tag of ['a', 'b', 'c']) {
    const name = `${server.host}/app:${tag}`
    await importAs(user, name)
    await user.ok(['push', name])
    await user.ok(['rmi', name])
  }
  const printed = await user.ok(['pull', '--all-tags', `${server.host}/app`])
  t.is(printed.split('\n').length, 3)
  t.is((await user.run(['pull', '-a', `${server.host}/app:a`])).code, 2)
})

homeTest(
  'a login is tried, kept, used and forgotten, and no secret is printed',
  async (user, t) => {
    const logins = { kind: 'bearer', username: 'ann', password: 's3cret-word' } as const
    await using server = await serveRegistry({ logins })
    const name = `${server.host}/app:1`
    await importAs(user, name)
    const login = ['login', '-u', 'ann', '--password-stdin', server.host]
    const refused = await user.run(['push', name])
    t.is(refused.code, 1)
    t.regex(refused.stderr, /kauri login/)
    const wrong = await user.run(login, 'wrong-s3cret\n')
    t.is(wrong.code, 1)
    t.false(existsSync(user.scratch.at('docker/config.json')))
    const done = await user.run(login, 's3cret-word\n')
    t.regex(done.stdout, /Login Succeeded/)
    t.is(statSync(user.scratch.at('docker/config.json')).mode & 0o777, 0o600)
    const pushed = await user.run(['push', '--debug', name])
    t.is(pushed.code, 0)
    const out = await user.run(['logout', server.host])
    t.regex(out.stdout, /Removed login credentials/)
    const again = await user.run(['pull', '--debug', '--progress', 'json', name])
    t.is(again.code, 1)
    const printed = [refused, wrong, done, pushed, out, again]
    t.notRegex(printed.map(({ stdout, stderr }) => stdout + stderr).join(), /s3cret/)
    t.regex((await user.run(['logout', server.host])).stdout, /Not logged in/)
    await user.ok(['push', '--creds', 'ann:s3cret-word', name])
  },
)

homeTest('words that make no sense are refused before anybody is asked', async (user, t) => {
  await using server = await serveRegistry()
  const { host } = server
  const cases = [
    ['login', '-u', 'a', '-p', 'b', '--password-stdin', host],
    ['login', '--password-stdin', host],
    ['login', 'https://'],
    ['pull', '--platform', 'linux/amd64', '--all-platforms', `${host}/a`],
    ['pull', `${host}/UPPER`],
    ['copy', `docker://${host}/a:1`, `docker://${host}/a:1`],
    ['copy', 'oci:', `docker://${host}/a:1`],
    ['pull', '--creds', 'nocolon', `${host}/a`],
  ]
  for (const args of cases) t.is((await user.run(args, 'x')).code, 2, args.join(' '))
  t.is((await user.run(['copy', 'dir:/tmp/x', `docker://${host}/a:1`])).code, 1)
  t.deepEqual(server.log, [])
})

homeTest(
  'copy moves an image through every kind of place, and its digest stays',
  async (user, t) => {
    await using from = await serveRegistry()
    await using to = await serveRegistry()
    const { scratch, ok } = user
    const digest = await importAs(user, `${from.host}/app:1`)
    await ok(['push', `${from.host}/app:1`])
    const places = [
      `docker://${from.host}/app:1`,
      `docker://${to.host}/team/app:2`,
      `oci:${scratch.at('layout')}:one`,
      `oci-archive:${scratch.at('a.tar')}:two`,
      'copied:3',
      `oci:${scratch.at('layout')}:three`,
      `docker://${from.host}/again:4`,
      `oci-archive:${scratch.at('b.tar')}`,
      `docker://${to.host}/last:5`,
    ]
    for (const [index, place] of places.entries()) {
      const next = places[index + 1]
      if (next !== undefined) t.is(await ok(['copy', place, next]), digest, `${place} ${next}`)
    }
    const names = JSON.parse(readFileSync(scratch.at('layout/index.json'), 'utf8')).manifests.map(
      (entry: { annotations: Record<string, string> }) =>
        entry.annotations['org.opencontainers.image.ref.name'],
    )
    t.deepEqual(names, ['one', 'three'])
    t.is(await ok(['copy', 'copied:3', `docker-archive:${scratch.at('d.tar')}:app:6`]), digest)
    await ok([
      'copy',
      `docker-archive:${scratch.at('d.tar')}:app:6`,
      `docker://${to.host}/docker:7`,
    ])
    await ok(['copy', `docker://${to.host}/docker:7`, `docker-archive:${scratch.at('e.tar')}`])
    await ok(['copy', `docker-archive:${scratch.at('e.tar')}`, 'back:8'])
    t.regex(await ok(['images']), /back +8 /)
    t.deepEqual(readdirSync(path.join(user.kauri.dataRoot, 'scratch')), [])
  },
)

homeTest('copy says which images there are where it is not told which', async (user, t) => {
  const layout = user.scratch.at('layout')
  for (const name of ['one', 'two']) {
    await importAs(user, `${name}:1`)
    await user.ok(['copy', `${name}:1`, `oci:${layout}:${name}`])
  }
  const { code, stderr } = await user.run(['copy', `oci:${layout}`, 'x:1'])
  t.is(code, 1)
  t.regex(stderr, /holds 2 images[^]*one, two/)
  t.regex((await user.run(['copy', `oci:${layout}:three`, 'x:1'])).stderr, /has no image three/)
})

homeTest('between registries nothing is written to disk', async (user, t) => {
  await using from = await serveRegistry()
  await using to = await serveRegistry()
  await importAs(user, `${from.host}/app:1`)
  await user.ok(['push', `${from.host}/app:1`])
  const args = ['copy', `docker://${from.host}/app:1`, `docker://${to.host}/app:1`]
  await user.ok([...args, '--data-root', user.scratch.at('untouched')])
  t.false(existsSync(user.scratch.at('untouched')))
})

testWith({ root: true })('run pulls what is missing, as --pull says', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  const user = home(kauri, scratch)
  await using server = await serveRegistry()
  const name = `${server.host}/small:1`
  mkdirSync(scratch.at('root'))
  makeSmallRoot(scratch.at('root'))
  await user.ok(['import', '-', name], tarOfRoot(scratch.at('root')))
  await user.ok(['push', name])
  await user.ok(['rmi', name])
  const words = ['--rm', '--network', 'none', name, 'sh', '-c', 'echo ran']
  t.is((await user.run(['run', '--pull', 'never', ...words])).code, 125)
  t.is(await user.ok(['run', ...words]), 'ran')
  const before = server.log.length
  t.is(await user.ok(['run', ...words]), 'ran')
  t.is(server.log.length, before)
  t.is(await user.ok(['run', '--pull', 'always', ...words]), 'ran')
  t.true(server.log.length > before)
  const missing = await user.run(['run', '--rm', `${server.host}/nothing:1`])
  t.is(missing.code, 125)
  t.regex(missing.stderr, /there is no image/)
})

testWith({ programs: ['openssl'] })(
  'a registry with certificates and tokens serves who knows its authority',
  async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    const user = home(kauri, scratch)
    const authority = makeAuthority(scratch)
    const logins = { kind: 'bearer', username: 'ann', password: 'pw' } as const
    await using server: RegistryServer = await serveRegistry({ authority, logins })
    const name = `${server.host}/app:1`
    const digest = await importAs(user, name)
    const stranger = await user.run(['push', '--creds', 'ann:pw', name])
    t.is(stranger.code, 1)
    t.regex(stranger.stderr, /certs\.d/)
    t.deepEqual(server.log, [])
    mkdirSync(scratch.at('certs'))
    writeFileSync(scratch.at('certs/ca.crt'), authority.authority)
    const known = ['--cert-dir', scratch.at('certs')]
    await user.ok(['login', ...known, '-u', 'ann', '--password-stdin', server.host], 'pw')
    await user.ok(['push', ...known, name])
    await user.ok(['rmi', name])
    t.is(await user.ok(['pull', '--tls-verify', 'false', name]), `${name} ${digest}`)
  },
)

homeTest('an interrupted pull leaves no name and no temporary', async (user, t) => {
  await using server = await serveRegistry()
  const name = `${server.host}/app:1`
  await importAs(user, name)
  await user.ok(['push', name])
  await user.ok(['rmi', name])
  let isAsked = (): void => {}
  const asked = new Promise<void>(resolve => {
    isAsked = resolve
  })
  server.intercept = ({ path: where, method }) => {
    if (method !== 'GET' || !where.includes('/blobs/')) return false
    isAsked()
    return true
  }
  const child = user.kauri.start(['pull', name])
  await asked
  child.kill('SIGINT')
  const code = await new Promise(resolve => child.once('close', resolve))
  t.is(code, 130)
  t.notRegex(await user.ok(['images']), /app/)
  t.deepEqual(readdirSync(path.join(user.kauri.dataRoot, 'oci/ingest')), [])
})

/** More by command: KAURI_KILLS=500. */
const kills = Number(process.env['KAURI_KILLS'] ?? 8)

homeTest(`after ${kills} kills in the middle of pulls the store is whole`, async (user, t) => {
  await using server = await serveRegistry()
  const name = `${server.host}/app:1`
  const digest = await importAs(user, name)
  await user.ok(['push', name])
  await user.ok(['rmi', name])
  await user.ok(['gc', '--grace', '0s'])
  for (let round = 0; round < kills; round++) {
    // Somewhere in a transfer: each blob waits a moment.
    server.intercept = async ({ path: where }) => {
      if (where.includes('/blobs/')) await new Promise(resolve => setTimeout(resolve, 40))
      return false
    }
    const child = user.kauri.start(['pull', name])
    const closed = new Promise(resolve => child.once('close', resolve))
    await new Promise(resolve => setTimeout(resolve, 60 + ((round * 37) % 240)))
    child.kill('SIGKILL')
    await closed
    const checked = await user.run(['fsck'])
    t.is(checked.code, 0, checked.stderr)
  }
  t.is(await user.ok(['pull', name]), `${name} ${digest}`)
  await user.ok(['verify', name])
  t.deepEqual(readdirSync(path.join(user.kauri.dataRoot, 'oci/ingest')), [])
})
