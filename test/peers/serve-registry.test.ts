// kauri serve beside the clients that people have.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { ExecutionContext } from 'ava'
import { hashSync } from 'bcryptjs'
import { startDockerDaemon } from '../helpers/docker-daemon.ts'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { sha256 } from '../helpers/registry-server.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { tarOf } from '../helpers/tar.ts'

async function importOf(kauri: KauriProgram, name: string): Promise<string> {
  const input = tarOf({ name: './', type: '5' }, { name: './file', body: name })
  return (await kauri.run(['import', '-', name], { input })).stdout.trim()
}

/** Starts it on a port of its own; `work` gets `127.0.0.1:PORT`. */
async function whileServing(
  t: ExecutionContext,
  kauri: KauriProgram,
  options: readonly string[],
  work: (address: string) => Promise<void>,
): Promise<void> {
  const child = kauri.start(['serve', '--listen', '127.0.0.1:0', ...options])
  try {
    const [line] = await once(child.stdout ?? process.stdin, 'data')
    await work(String(line).trim().replace('http://', ''))
  } finally {
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    const [code, signal] = await ended
    t.true(code === 0 || code === 130 || code === 143, `${code} ${signal}`)
  }
}

const skopeo = (...args: readonly string[]): string =>
  execFileSync('skopeo', ['--insecure-policy', ...args], { encoding: 'utf8', stdio: 'pipe' })

testWith({ programs: ['skopeo'] })('skopeo takes images from a read-only store', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  const digest = await importOf(kauri, 'team/app:1')
  await whileServing(t, kauri, ['--registry', 'ro'], async address => {
    const source = `docker://${address}/team/app:1`
    skopeo('copy', '--src-tls-verify=false', source, `oci:${scratch.at('layout')}:1`)
    const text = skopeo('inspect', '--tls-verify=false', source)
    t.is(JSON.parse(text).Digest, digest)
    const target = `docker://${address}/team/app:2`
    t.throws(() =>
      skopeo('copy', '--dest-tls-verify=false', `oci:${scratch.at('layout')}:1`, target),
    )
  })
})

testWith({ programs: ['skopeo'] })('skopeo and another kauri push where they may', async t => {
  using kauri = kauriProgram()
  using other = kauriProgram()
  using scratch = makeScratch()
  writeFileSync(scratch.at('users'), `ann:${hashSync('secret', 4)}\n`)
  const digest = await importOf(other, 'app')
  const rights = ['--registry', 'rw', '--htpasswd', scratch.at('users')]
  await whileServing(t, kauri, rights, async address => {
    const login = ['login', '--username', 'ann', '--password-stdin', address]
    const auth = { DOCKER_CONFIG: scratch.at('config') }
    const logged = await other.run(login, { input: 'secret', env: auth })
    t.is(logged.code, 0, logged.stderr)
    await other.run(['tag', 'app', `${address}/app:pushed`])
    const pushed = await other.run(['push', `${address}/app:pushed`], { env: auth })
    t.is(pushed.code, 0, pushed.stderr)
    const user = ['--src-creds', 'ann:secret', '--dest-creds', 'ann:secret']
    const again = ['--src-tls-verify=false', '--dest-tls-verify=false', ...user]
    skopeo('copy', ...again, `docker://${address}/app:pushed`, `docker://${address}/app:copied`)
  })
  for (const tag of ['pushed', 'copied']) {
    const verified = await kauri.run(['verify', `app:${tag}`])
    t.is(verified.stdout.trim(), `app:${tag} ${digest}`, verified.stderr)
  }
})

/** A server where ann may write, and what kauri imported there. */
async function whileWritable(
  t: ExecutionContext,
  work: (parts: { kauri: KauriProgram; scratch: Scratch; address: string }) => Promise<void>,
): Promise<void> {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  writeFileSync(scratch.at('users'), `ann:${hashSync('secret', 4)}\n`)
  const rights = ['--registry', 'rw', '--htpasswd', scratch.at('users')]
  await whileServing(t, kauri, rights, address => work({ kauri, scratch, address }))
}

testWith({ root: true, programs: ['dockerd', 'docker'] })('docker logs in, pulls and pushes', t =>
  whileWritable(t, async ({ kauri, scratch, address }) => {
    const input = tarOf({ name: './', type: '5' }, { name: './file', body: 'docker' })
    await using daemon = await startDockerDaemon()
    const docker = (...args: string[]): string =>
      daemon.docker(['--config', scratch.at('docker'), ...args])
    t.throws(() => docker('pull', `${address}/theirs:1`))
    daemon.docker(
      ['--config', scratch.at('docker'), 'login', '-u', 'ann', '--password-stdin', address],
      Buffer.from('secret'),
    )
    writeFileSync(scratch.at('root.tar'), input)
    docker('import', '-c', 'ENV FROM=docker', scratch.at('root.tar'), `${address}/ours:1`)
    docker('push', `${address}/ours:1`)
    docker('tag', `${address}/ours:1`, `${address}/ours:2`)
    docker('push', `${address}/ours:2`)
    docker('rmi', `${address}/ours:1`, `${address}/ours:2`)
    docker('pull', `${address}/ours:2`)
    t.regex(docker('inspect', `${address}/ours:2`), /FROM=docker/)
    const verified = await kauri.run(['verify', 'ours:1', 'ours:2'])
    t.is(verified.code, 0, verified.stderr)
    t.regex((await kauri.run(['inspect', 'ours:2'])).stdout, /FROM=docker/)
  }),
)

testWith({ root: true, programs: ['podman'] })('podman pulls and pushes', t =>
  whileWritable(t, async ({ kauri, scratch, address }) => {
    const digest = await importOf(kauri, 'team/app:1')
    const store = ['--root', scratch.at('podman'), '--runroot', scratch.at('podman-run')]
    const ways = ['--tls-verify=false', '--creds', 'ann:secret']
    const podman = (...args: string[]): string =>
      execFileSync('podman', [...store, ...args], { encoding: 'utf8', stdio: 'pipe' })
    t.throws(() => podman('pull', '-q', '--tls-verify=false', `${address}/team/app:1`))
    podman('pull', '-q', ...ways, `${address}/team/app:1`)
    t.regex(podman('image', 'inspect', `${address}/team/app:1`), new RegExp(digest))
    podman('tag', `${address}/team/app:1`, `${address}/back:2`)
    podman('push', '-q', ...ways, `${address}/back:2`)
    podman('rmi', '--all', '--force')
    podman('pull', '-q', ...ways, `${address}/back:2`)
    const verified = await kauri.run(['verify', 'back:2'])
    t.is(verified.code, 0, verified.stderr)
    podman('rmi', '--all', '--force')
  }),
)

testWith({})(
  'a server that is killed in the middle of an upload leaves the store whole',
  async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    writeFileSync(scratch.at('users'), `ann:${hashSync('secret', 4)}\n`)
    const rights = [
      'serve',
      '--listen',
      '127.0.0.1:0',
      '--registry',
      'rw',
      '--htpasswd',
      scratch.at('users'),
    ]
    const authorization = `Basic ${Buffer.from('ann:secret').toString('base64')}`
    const start = async (): Promise<{ address: string; stop: () => Promise<void> }> => {
      const child = kauri.start(rights)
      const [line] = await once(child.stdout ?? process.stdin, 'data')
      const stop = async (): Promise<void> => {
        const ended = once(child, 'exit')
        child.kill('SIGKILL')
        await ended
      }
      return { address: String(line).trim(), stop }
    }
    const bytes = Buffer.alloc(3_000_000, 'kauri')
    const first = await start()
    const begun = await fetch(`${first.address}/v2/app/blobs/uploads/`, {
      method: 'POST',
      headers: { authorization },
    })
    const place = begun.headers.get('location') ?? ''
    const half = { method: 'PATCH', headers: { authorization }, body: bytes.subarray(0, 2_000_000) }
    t.is((await fetch(`${first.address}${place}`, half)).status, 202)
    // One that is killed while bytes come, too.
    const socket = connect(Number(new URL(first.address).port), '127.0.0.1')
    socket.on('error', () => {})
    const head = `PATCH ${place} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\n`
    socket.write(`${head}Content-Length: 900000\r\n\r\n${'x'.repeat(1000)}`)
    await first.stop()
    socket.destroy()
    const checked = await kauri.run(['fsck'])
    t.is(checked.code, 0, checked.stderr)
    const second = await start()
    const state = await fetch(`${second.address}${place}`, { headers: { authorization } })
    t.is(state.status, 204)
    const received = Number(state.headers.get('range')?.slice(2)) + 1
    t.true(received >= 2_000_000, String(received))
    // What came of the broken request may be there or not: the client goes on where it is told, or begins anew.
    const again = await fetch(`${second.address}/v2/app/blobs/uploads/?digest=${sha256(bytes)}`, {
      method: 'POST',
      headers: { authorization },
      body: bytes,
    })
    t.is(again.status, 201)
    await second.stop()
    t.is((await kauri.run(['fsck'])).code, 0)
  },
)
