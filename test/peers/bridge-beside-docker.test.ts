// kauri's bridge and docker's on one host, whichever came first: both have a way out, and neither opens the other's
// containers. Docker sets the policy of what is forwarded to DROP.

import anyTest, { type ExecutionContext } from 'ava'
import { type DockerDaemon, startDockerDaemon } from '../helpers/docker-daemon.ts'
import { eventually } from '../helpers/eventually.ts'
import { kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { compileTalk } from '../helpers/network-containers.ts'
import { type PrivateHost, startPrivateHost } from '../helpers/private-host.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { makeSmallRoot, tarOfRoot } from '../helpers/small-root.ts'

const test = testWith({ root: true, programs: ['dockerd', 'docker', 'ip', 'iptables-nft'] })
const kauri = kauriProgram()
anyTest.after.always(() => kauri[Symbol.dispose]())

let image: Uint8Array | undefined

/** A small root with the program that talks. */
function talker(): Uint8Array {
  if (image !== undefined) return image
  using scratch = makeScratch()
  makeSmallRoot(scratch.path)
  compileTalk(scratch.at('bin/talk'))
  image = tarOfRoot(scratch.path)
  return image
}

/** A host that forwards nothing yet, as one is after installation. */
async function startHost(): Promise<PrivateHost> {
  const host = await startPrivateHost()
  host.onHost('sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward')
  return host
}

async function startDocker({ through }: PrivateHost): Promise<DockerDaemon> {
  const daemon = await startDockerDaemon({ through })
  daemon.docker(['import', '-', 'talker'], talker())
  return daemon
}

async function inKauri({ through }: PrivateHost, ...words: readonly string[]): Promise<string> {
  const { stdout, stderr } = await kauri.run(['run', '--rm', 'talker', ...words], { through })
  return stdout.trimEnd() + stderr
}

function inDocker(daemon: DockerDaemon, ...words: readonly string[]): string {
  try {
    return daemon.docker(['run', '--rm', 'talker', ...words]).trimEnd()
  } catch (error) {
    return error instanceof Error && 'stdout' in error ? String(error.stdout).trimEnd() : ''
  }
}

async function bothHaveAWayOut(
  t: ExecutionContext,
  host: PrivateHost,
  daemon: DockerDaemon,
): Promise<void> {
  const words = ['talk', 'connect', host.world, '80']
  t.is(await inKauri(host, ...words), `from ${host.address}`)
  t.is(inDocker(daemon, ...words), `from ${host.address}`)
}

const out = /^(?:Operation now in progress|No route to host|Connection timed out)$/

test('after docker: both have a way out, also when docker starts again, and iptables lists every rule', async t => {
  await kauri.run(['import', '-', 'talker'], { input: talker() })
  using host = await startHost()
  {
    await using daemon = await startDocker(host)
    t.regex(host.onHost('iptables-nft', '-S', 'FORWARD'), /^-P FORWARD DROP/)
    await bothHaveAWayOut(t, host, daemon)
    const rules = host.onHost('iptables-nft', '-S', 'DOCKER-USER')
    t.regex(rules, /^-A DOCKER-USER -i kauri0 -o way-out -j ACCEPT$/m)
    t.regex(rules, /^-A DOCKER-USER -o kauri0 -j ACCEPT$/m)
  }
  await using again = await startDocker(host)
  await bothHaveAWayOut(t, host, again)
  const rules = host.onHost('iptables-nft', '-S', 'DOCKER-USER')
  t.is(rules.match(/kauri0/g)?.length, 2, rules)
  host.onHost('iptables-nft', '-D', 'DOCKER-USER', '-o', 'kauri0', '-j', 'ACCEPT')
})

test('before docker: both have a way out', async t => {
  await kauri.run(['import', '-', 'talker'], { input: talker() })
  using host = await startHost()
  t.regex(await inKauri(host, 'talk', 'connect', host.world, '80'), /^from /)
  await using daemon = await startDocker(host)
  await bothHaveAWayOut(t, host, daemon)
})

test('neither reaches the containers of the other', async t => {
  await kauri.run(['import', '-', 'talker'], { input: talker() })
  using host = await startHost()
  await using daemon = await startDocker(host)
  daemon.docker(['run', '-d', '--name', 'server', 'talker', 'talk', 'listen', '7000', '60'])
  const format = '{{.NetworkSettings.IPAddress}}'
  const theirs = daemon.docker(['inspect', '-f', format, 'server']).trim()
  const { through } = host
  const words = ['run', '--rm', 'talker', 'sh', '-c', 'hostname -i; talk listen 7000 60']
  const server = kauri.start(words, { through })
  let told = ''
  server.stdout?.on('data', chunk => (told += String(chunk)))
  await eventually(() => told.includes('listening'))
  const [ours = ''] = told.split('\n')
  t.is(inDocker(daemon, 'talk', 'connect', theirs, '7000'), 'hello')
  t.is(await inKauri(host, 'talk', 'connect', ours, '7000'), 'hello')
  t.regex(await inKauri(host, 'talk', 'connect', theirs, '7000'), out)
  t.regex(inDocker(daemon, 'talk', 'connect', ours, '7000'), out)
  server.kill('SIGTERM')
  daemon.docker(['rm', '-f', 'server'])
})
