// The same Dockerfiles built by kauri and by the BuildKit of a dockerd: what the image says, what its history tells, and
// what its programs saw.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { type DockerDaemon, startDockerDaemon } from '../helpers/docker-daemon.ts'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { makeSmallRoot, tarOfRoot } from '../helpers/small-root.ts'

/** Each leaves what its programs saw in /tmp/seen. */
const dockerfiles: Readonly<Record<string, string>> = {
  'ARG after ENV': 'ENV A=env\nARG A=arg\nRUN env > /tmp/seen; echo $A >> /tmp/seen\n',
  'ENV after ARG': 'ARG A=arg\nENV A=env\nRUN env > /tmp/seen\n',
  'variables set again':
    'ENV B=1 A=2\nENV B=3\nARG C=4\nENV D=$C PATH=$PATH:/x\nRUN env > /tmp/seen\n',
  'arguments of a base stage':
    'ARG A=1\nENV B=$A C=1\nARG C=2\nFROM first\nRUN env > /tmp/seen; echo "$A$C" >> /tmp/seen\n',
  'a command of the base stage': 'CMD ["a"]\nFROM first\nENTRYPOINT ["b"]\n',
  'a command and an entry point': 'CMD ["a"]\nENTRYPOINT ["b"]\n',
  'no command': 'ENTRYPOINT []\nCMD []\n',
  'SHELL and what uses it':
    'SHELL ["/bin/sh","-ec"]\nRUN echo $0 $- > /tmp/seen\nCMD x\nENTRYPOINT y\nHEALTHCHECK --interval=1m30s --timeout=500ms CMD z\n',
  'health checks': 'HEALTHCHECK --interval=1h --start-period=1.5s --retries=3 CMD ["a","b"]\n',
  directories:
    'WORKDIR a\nWORKDIR b/\nWORKDIR ../c\nUSER app\nWORKDIR /d/e/\nRUN pwd > /tmp/seen; stat -c "%n %u:%g %a" /a /a/b /a/c /d /d/e >> /tmp/seen\n',
  'a user by name': 'USER app\nRUN id -u > /tmp/seen; env >> /tmp/seen\n',
  'a user by number': 'USER 1234\nRUN id -u > /tmp/seen; id -g >> /tmp/seen; env >> /tmp/seen\n',
  'labels, volumes and a signal':
    'LABEL b=1 a="x y" "c d"=\'$e\'\nLABEL a 2 3\nVOLUME /b /a\nVOLUME ["/c"]\nSTOPSIGNAL 9\nMAINTAINER me\n',
  triggers:
    'ONBUILD RUN echo 1 > /tmp/seen\nONBUILD ENV Z=1\nONBUILD COPY file /f\nFROM first\nRUN cat /f >> /tmp/seen\n',
  quotes: 'ENV A="a b" B=c\\ d E=\'$A\' F="\\$A" G="x\\"y"\nRUN env > /tmp/seen\n',
  'continued lines':
    'RUN echo a \\\n  # c\n   && echo b > /tmp/seen \\\n\n   && env >> /tmp/seen\n',
  'the exec form': 'RUN ["/bin/sh", "-c", "env > /tmp/seen; echo $0 >> /tmp/seen", "x"]\n',
}

/** A docker client that speaks to BuildKit by itself; newer ones leave that to a plugin. */
function findClientDirectory(): string | undefined {
  return (process.env['PATH'] ?? '').split(':').find(directory => {
    const client = path.join(directory, 'docker')
    if (!existsSync(client)) return false
    try {
      const env = { ...process.env, DOCKER_BUILDKIT: '1' }
      execFileSync(client, ['build', '--help'], { env, stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })
}

async function startDaemon(clientDirectory: string): Promise<DockerDaemon> {
  process.env['PATH'] = `${clientDirectory}:${process.env['PATH'] ?? ''}`
  process.env['DOCKER_BUILDKIT'] = '1'
  return await startDockerDaemon()
}

interface Built {
  readonly config: unknown
  readonly history: readonly string[]
  readonly seen: string
}

const silent = new Set(['Hostname', 'Domainname', 'Image', 'AttachStdin', 'Tty'])

/** Members that say something, in one order. */
function present(config: object): unknown {
  const members = Object.entries(config).filter(([name, value]) => {
    const isNothing = value === null || value === '' || value === false
    return !silent.has(name) && !isNothing && Object.keys(Object(value)).length > 0
  })
  return Object.fromEntries(members.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function withDocker(daemon: DockerDaemon, directory: string, scratch: Scratch): Built {
  daemon.docker(['build', '-q', '--network', 'none', '-t', 'built', directory])
  const [image] = JSON.parse(daemon.docker(['inspect', 'built'])) as { Config: object }[]
  const format = ['--no-trunc', '--format', '{{.CreatedBy}}']
  const history = daemon
    .docker(['history', ...format, 'built'])
    .split('\n')
    .slice(0, -1)
    .map(comparable)
  const file = scratch.at('seen')
  writeFileSync(file, '')
  if (readFileSync(path.join(directory, 'Dockerfile'), 'utf8').includes('/tmp/seen')) {
    const container = daemon.docker(['create', 'built', 'x']).trim()
    daemon.docker(['cp', `${container}:/tmp/seen`, file])
  }
  return { config: present(image?.Config ?? {}), history, seen: readFileSync(file, 'utf8') }
}

/** The daemon's BuildKit words health checks otherwise, and tells nothing of a base stage's arguments. */
function comparable(line: string): string {
  return line.replace(/^HEALTHCHECK .*/, 'HEALTHCHECK').replace('RUN |2 A=1 C=1 ', 'RUN ')
}

async function withKauri(kauri: KauriProgram, directory: string, scratch: Scratch): Promise<Built> {
  const tree = scratch.at('tree')
  const common = ['build', '-q', '--network', 'none', '-o', `type=local,dest=${tree}`]
  const built = await kauri.run([...common, '-o', 'type=image', '-t', 'built', directory])
  if (built.code !== 0) throw new Error(built.stderr)
  const inspected = await kauri.run(['inspect', 'built'])
  const [image] = [JSON.parse(inspected.stdout)].flat() as { Config: object }[]
  const listed = await kauri.run(['history', '--json', 'built'])
  const history = [JSON.parse(listed.stdout)].flat() as { created_by?: string }[]
  const file = path.join(tree, 'tmp/seen')
  return {
    config: present(image?.Config ?? {}),
    history: history.map(line => comparable(line.created_by ?? '')),
    seen: existsSync(file) ? readFileSync(file, 'utf8') : '',
  }
}

testWith({ root: true, programs: ['dockerd', 'docker'] })(
  "images are BuildKit's in configuration, history and what their programs saw",
  async t => {
    const client = findClientDirectory()
    if (client === undefined) return t.log('skipped: no docker client that can use BuildKit')
    using scratch = makeScratch()
    using kauri = kauriProgram()
    makeSmallRoot(scratch.at('root'))
    writeFileSync(scratch.at('root.tar'), tarOfRoot(scratch.at('root')))
    const base = ['import', '-c', 'CMD ["sh"]', scratch.at('root.tar'), 'base']
    t.is((await kauri.run(base)).code, 0)
    await using daemon = await startDaemon(client)
    daemon.docker(base)
    for (const [name, lines] of Object.entries(dockerfiles)) {
      using work = makeScratch()
      const directory = work.at('context')
      mkdirSync(directory)
      writeFileSync(path.join(directory, 'Dockerfile'), `FROM base AS first\n${lines}`)
      writeFileSync(path.join(directory, 'file'), 'text\n')
      const wanted = withDocker(daemon, directory, work)
      t.deepEqual(await withKauri(kauri, directory, work), wanted, name)
    }
  },
)
