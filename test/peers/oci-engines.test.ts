// bin/kauri-oci as the runtime of podman, containerd and docker: each runs an image, adds a process, stops, and gets the
// exit codes that it passes on.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import test from 'ava'
import { startDockerDaemon } from '../helpers/docker-daemon.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { makeSmallRoot, tarOfRoot } from '../helpers/small-root.ts'

const runtime = path.resolve(import.meta.dirname, '../../bin/kauri-oci')

let directory: string
let rootTar: string
let environment: NodeJS.ProcessEnv

test.before(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'kauri-engines-'))
  const root = path.join(directory, 'root')
  spawnSync('mkdir', [root])
  makeSmallRoot(root)
  rootTar = path.join(directory, 'root.tar')
  writeFileSync(rootTar, tarOfRoot(root))
  environment = {
    ...process.env,
    KAURI_DATA_ROOT: path.join(directory, 'data'),
    KAURI_RUN_ROOT: path.join(directory, 'run'),
    PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
  }
})

test.after.always(() => rmSync(directory, { recursive: true, force: true }))

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function run(program: string, words: readonly string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(program, words, {
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  })
  return { code: status, stdout, stderr }
}

const untilTerm = 'trap "exit 9" TERM; while :; do sleep 0.05; done'

testWith({ root: true, programs: ['podman', 'conmon'] })(
  'podman runs, enters, pauses, stops and removes containers',
  t => {
    const place = (name: string): string => path.join(directory, 'podman', name)
    const podman = (...words: readonly string[]): Outcome =>
      run(
        'podman',
        `--root ${place('root')} --runroot ${place('run')} --tmpdir ${place('tmp')} --storage-driver overlay --events-backend none --cgroup-manager cgroupfs --runtime ${runtime}`
          .split(' ')
          .concat(words),
      )
    // This machine may have lower limits than podman asks for.
    const limits = [
      '--ulimit',
      'nofile=1024:1024',
      '--ulimit',
      'nproc=1000:1000',
      '--network',
      'none',
    ]
    t.is(podman('import', rootTar, 'small').code, 0)
    const hello = podman('run', '--rm', ...limits, 'small', 'sh', '-c', 'id -u; exit 3')
    t.is(hello.stdout, '0\n', hello.stderr)
    t.is(hello.code, 3)
    const limited = podman(
      'run',
      '--rm',
      ...limits,
      '--read-only',
      '--tmpfs',
      '/home',
      '-u',
      '1000',
      '-m',
      '64m',
      'small',
      'sh',
      '-c',
      'id -u; ls -a /home/app',
    )
    t.regex(limited.stdout, /^1000\n[^]*\.keep/, limited.stderr)
    const mapped = podman(
      'run',
      '--rm',
      ...limits,
      '--uidmap',
      '0:100000:1000',
      '--gidmap',
      '0:100000:1000',
      'small',
      'cat',
      '/proc/self/uid_map',
    )
    t.regex(mapped.stdout, /^ +0 +100000 +1000/, mapped.stderr)
    t.is(podman('run', '-d', '--name', 'stays', ...limits, 'small', 'sh', '-c', untilTerm).code, 0)
    t.is(podman('exec', 'stays', 'sh', '-c', 'exit 5').code, 5)
    t.is(podman('pause', 'stays').code, 0)
    t.is(podman('unpause', 'stays').code, 0)
    t.is(podman('stop', '-t', '30', 'stays').code, 0)
    t.is(podman('wait', 'stays').stdout, '9\n')
    t.is(podman('rm', 'stays').code, 0)
    podman('rm', '--all', '--force')
    podman('rmi', '--all', '--force')
  },
)

async function startContainerd(): Promise<{
  readonly address: string
  readonly stop: () => Promise<void>
}> {
  const place = path.join(directory, 'containerd')
  spawnSync('mkdir', [place])
  const address = path.join(place, 'socket')
  const disabled = ['"io.containerd.grpc.v1.cri"', '"io.containerd.internal.v1.opt"']
  const config = path.join(place, 'config.toml')
  writeFileSync(
    config,
    `version = 2\nroot = "${place}/root"\nstate = "${place}/state"\ndisabled_plugins = [${disabled.join()}]\n` +
      `[grpc]\naddress = "${address}"\n[ttrpc]\naddress = "${address}.ttrpc"\n`,
  )
  const child: ChildProcess = spawn('containerd', ['--config', config], {
    env: environment,
    stdio: 'ignore',
  })
  const ready = await eventually(() => run('ctr', ['--address', address, 'version']).code === 0)
  if (!ready) throw new Error('containerd does not start')
  return {
    address,
    stop: async () => {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

testWith({ root: true, programs: ['containerd', 'ctr', 'containerd-shim-runc-v2'] })(
  'containerd runs, enters, pauses and ends tasks',
  async t => {
    const { address, stop } = await startContainerd()
    const ctr = (...words: readonly string[]): Outcome =>
      run('ctr', ['--address', address, ...words])
    const byUs = ['--runtime', 'io.containerd.runc.v2', '--runc-binary', runtime]
    try {
      const image = path.join(directory, 'image.tar')
      const kauri = path.join(path.dirname(runtime), 'kauri')
      t.is(run(kauri, ['import', rootTar, 'docker.io/library/small:1']).code, 0)
      t.is(
        run(kauri, ['save', '--format', 'oci-archive', '-o', image, 'docker.io/library/small:1'])
          .code,
        0,
      )
      t.is(ctr('images', 'import', '--base-name', 'small', image).code, 0)
      const name = ctr('images', 'ls', '-q').stdout.trim().split('\n')[0] ?? ''
      const hello = ctr('run', '--rm', ...byUs, name, 'c1', 'sh', '-c', 'id -u; exit 3')
      t.is(hello.stdout, '0\n', hello.stderr)
      t.is(hello.code, 3)
      const missing = ctr('run', '--rm', ...byUs, name, 'c2', '/missing')
      t.regex(missing.stderr, /executable file not found in \$PATH/)
      t.is(ctr('run', '--detach', ...byUs, name, 'c3', 'sh', '-c', untilTerm).code, 0)
      t.is(ctr('tasks', 'exec', '--exec-id', 'e1', 'c3', 'sh', '-c', 'exit 4').code, 4)
      t.is(ctr('tasks', 'pause', 'c3').code, 0)
      t.regex(ctr('tasks', 'ls').stdout, /c3 .* PAUSED/)
      t.is(ctr('tasks', 'resume', 'c3').code, 0)
      t.is(ctr('tasks', 'kill', '--signal', 'SIGTERM', 'c3').code, 0)
      t.true(await eventually(() => /c3 .* STOPPED/.test(ctr('tasks', 'ls').stdout)))
      ctr('tasks', 'rm', 'c3')
      t.is(ctr('containers', 'rm', 'c3').code, 0)
    } finally {
      await stop()
    }
  },
)

testWith({ root: true, programs: ['dockerd', 'docker'] })(
  'docker runs, enters and stops containers',
  async t => {
    await using daemon = await startDockerDaemon({
      words: ['--add-runtime', `kauri=${runtime}`],
      environment,
    })
    const docker = (words: readonly string[], input?: Uint8Array): string =>
      daemon.docker(words, input)
    const byUs = ['--runtime', 'kauri', '--network', 'none']
    docker(['import', '-', 'small'], readFileSync(rootTar))
    t.is(
      docker([
        'run',
        '--rm',
        ...byUs,
        'small',
        'sh',
        '-c',
        'id -u; hostname -h >/dev/null 2>&1; echo done',
      ]),
      '0\ndone\n',
    )
    t.is(daemon.exitCode(['run', '--rm', ...byUs, 'small', 'sh', '-c', 'exit 3']), 3)
    t.is(daemon.exitCode(['run', '--rm', ...byUs, 'small', '/missing']), 127)
    t.is(daemon.exitCode(['run', '--rm', ...byUs, 'small', '/etc/passwd']), 126)
    docker([
      'run',
      '-d',
      '--name',
      'stays',
      ...byUs,
      '-m',
      '64m',
      '--pids-limit',
      '50',
      'small',
      'sh',
      '-c',
      untilTerm,
    ])
    t.is(docker(['exec', 'stays', 'sh', '-c', 'echo inside']), 'inside\n')
    docker(['pause', 'stays'])
    docker(['unpause', 'stays'])
    docker(['update', '-m', '96m', '--memory-swap', '-1', 'stays'])
    docker(['stop', '-t', '30', 'stays'])
    t.is(docker(['wait', 'stays']).trim(), '9')
    docker(['rm', 'stays'])
  },
)
