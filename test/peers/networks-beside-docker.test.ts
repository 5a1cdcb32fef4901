// Networks and volumes as docker has them, on one host: what is shown has the same form, what is asked the same answer, and
// neither takes the other's addresses.

import anyTest, { type ExecutionContext } from 'ava'
import { type DockerDaemon, startDockerDaemon } from '../helpers/docker-daemon.ts'
import { kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { compileTalk } from '../helpers/network-containers.ts'
import { type PrivateHost, startPrivateHost } from '../helpers/private-host.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { makeSmallRoot, tarOfRoot } from '../helpers/small-root.ts'

const test = testWith({ root: true, programs: ['dockerd', 'docker', 'ip', 'iptables-nft'] })
const kauri = kauriProgram()
anyTest.after.always(() => kauri[Symbol.dispose]())

/** Both with the same words; their outputs. */
interface Both {
  readonly docker: string
  readonly kauri: string
}

async function inBoth(
  host: PrivateHost,
  daemon: DockerDaemon,
  ...words: readonly string[]
): Promise<Both> {
  const { code, stdout, stderr } = await kauri.run(words, { through: host.through })
  if (code !== 0) throw new Error(`${words.join(' ')}: ${stderr}`)
  return { docker: daemon.docker(words).trimEnd(), kauri: stdout.trimEnd() }
}

/** Keys of the one are keys of the other, but for those that came to docker later. */
function sameKeys(t: ExecutionContext, { docker, kauri: own }: Both): void {
  const [theirs] = JSON.parse(docker)
  const [ours] = JSON.parse(own)
  const later = new Set(['EnableIPv4'])
  t.deepEqual(
    Object.keys(ours)
      .filter(key => !later.has(key))
      .toSorted(),
    Object.keys(theirs).toSorted(),
  )
}

test('docker and kauri make networks and volumes side by side, and show them alike', async t => {
  using host = await startPrivateHost()
  await using daemon = await startDockerDaemon({ through: host.through })
  {
    using scratch = makeScratch()
    makeSmallRoot(scratch.path)
    compileTalk(scratch.at('bin/talk'))
    const image = tarOfRoot(scratch.path)
    daemon.docker(['import', '-', 'talker'], image)
    t.is((await kauri.run(['import', '-', 'talker'], { input: image })).code, 0)
  }
  const both = (...words: readonly string[]): Promise<Both> => inBoth(host, daemon, ...words)

  await both('network', 'create', '--label', 'a=b', 'first')
  await both('network', 'create', 'second')
  sameKeys(t, await both('network', 'inspect', 'first'))
  const subnets = new Set<string>()
  for (const name of ['first', 'second']) {
    const { docker, kauri: own } = await both('network', 'inspect', name)
    for (const text of [docker, own]) subnets.add(JSON.parse(text)[0].IPAM.Config[0].Subnet)
  }
  t.is(subnets.size, 4, [...subnets].join(' '))
  for (const format of [
    '{{.Name}} {{.Driver}} {{.Internal}} {{.Labels}} {{len .Containers}}',
    '{{json .Labels}} {{.Scope}} {{json .ConfigOnly}}',
  ]) {
    const shown = await both('network', 'inspect', '-f', format, 'first')
    t.is(shown.kauri, shown.docker, format)
  }
  const listed = await both('network', 'ls', '--format', '{{.Name}}|{{.Driver}}|{{.Scope}}')
  t.deepEqual(listed.kauri.split('\n').toSorted(), listed.docker.split('\n').toSorted())
  for (const filter of ['driver=bridge', 'name=first', 'label=a', 'type=custom', 'type=builtin']) {
    const found = await both('network', 'ls', '--filter', filter, '--format', '{{.Name}}')
    t.deepEqual(found.kauri.split('\n').toSorted(), found.docker.split('\n').toSorted(), filter)
  }

  await both('volume', 'create', '--label', 'a=b', 'data')
  sameKeys(t, await both('volume', 'inspect', 'data'))
  const format = '{{.Name}} {{.Driver}} {{.Scope}} {{json .Labels}} {{json .Options}}'
  const shown = await both('volume', 'inspect', '-f', format, 'data')
  // Clients of docker 20.10 say {} for no options, later ones null.
  t.is(shown.kauri, shown.docker.replace(/ \{\}$/, ' null'), format)
  const script =
    'stat -c "%a %u" /etc /d; cat /d/passwd | wc -l; ls -d /e; grep -c " /d " /proc/self/mounts'
  const used = await both(
    'run',
    '--rm',
    '-v',
    'data:/d',
    '-v',
    '/e',
    'talker',
    'sh',
    '-c',
    `cp /etc/passwd /d; ${script}`,
  )
  t.is(used.kauri, used.docker)
  const names = await both('volume', 'ls', '-q')
  t.is(names.kauri, names.docker)
  const copied = await both('run', '--rm', '-v', 'filled:/etc', 'talker', 'ls', '/etc')
  t.true(copied.kauri.includes('passwd') && copied.docker.includes('passwd'))
  await both('volume', 'rm', 'data', 'filled')

  await both(
    'run',
    '-d',
    '--name',
    'server',
    '--network',
    'first',
    '-p',
    '127.0.0.1::7000',
    'talker',
    'talk',
    'listen',
    '7000',
    '600',
  )
  const ports = await both('port', 'server')
  t.regex(ports.kauri, /^7000\/tcp -> 127\.0\.0\.1:\d+$/)
  t.regex(ports.docker, /^7000\/tcp -> 127\.0\.0\.1:\d+$/)
  for (const program of ['docker', 'kauri'] as const) {
    const words = [
      'run',
      '--rm',
      '--network',
      'second',
      'talker',
      'talk',
      'connect',
      addressOf(await both('network', 'inspect', 'first'))[program],
      '7000',
    ]
    const answer =
      program === 'docker'
        ? failing(() => daemon.docker(words))
        : (await kauri.run(words, { through: host.through })).stdout
    t.not(answer.trim(), 'hello', `${program}: networks are closed to each other`)
  }
  await both('rm', '-f', 'server')
  await both('network', 'rm', 'first', 'second')
})

function addressOf({ docker, kauri: own }: Both): Both {
  const find = (text: string): string => {
    const containers = Object.values<{ IPv4Address: string }>(JSON.parse(text)[0].Containers)
    return containers[0]?.IPv4Address.split('/')[0] ?? ''
  }
  return { docker: find(docker), kauri: find(own) }
}

function failing(work: () => string): string {
  try {
    return work()
  } catch (error) {
    return error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
  }
}
