// The life of a container under the OCI runtime's command line (runtime-spec v1.2.1 runtime.md), as engines lead it.

import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import anyTest from 'ava'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { type OciTrial, ociTrial, script } from '../helpers/oci-bundles.ts'

const test = testWith({ root: true })

let trial: OciTrial
anyTest.before(() => {
  trial = ociTrial()
})
anyTest.after.always(() => trial?.[Symbol.dispose]())

/** Creates a container that goes on until it is killed, and starts it. */
function running(text = 'trap "exit 7" TERM; while :; do sleep 0.05; done'): string {
  const id = trial.id()
  const created = trial.ociWith('ignore', 'create', '--bundle', trial.bundle(script(text)), id)
  if (created.code !== 0) throw new Error(`create exited with ${created.code}`)
  const started = trial.oci('start', id)
  if (started.code !== 0) throw new Error(started.stderr)
  return id
}

function hasStatus(id: string, status: string): Promise<boolean> {
  return eventually(() => trial.state(id)?.status === status)
}

test('a container is created, started, stopped and deleted, and tells so', async t => {
  const id = trial.id()
  const bundle = trial.bundle(config => {
    script('exit 0')(config)
    config.annotations = { 'org.example.key': 'value' }
  })
  t.is(trial.ociWith('ignore', 'create', '--bundle', bundle, id).code, 0)
  const { stdout } = trial.oci('state', id)
  const state = JSON.parse(stdout)
  t.like(state, { id, status: 'created', bundle, annotations: { 'org.example.key': 'value' } })
  t.true(state.pid > 0)
  t.is(trial.oci('start', id).code, 0)
  t.true(await hasStatus(id, 'stopped'))
  t.is(trial.oci('delete', id).code, 0)
  t.is(trial.state(id), undefined)
})

test('changes of the configuration after create have no effect', async t => {
  const id = trial.id()
  const bundle = trial.bundle(script('echo first > /result'))
  trial.ociWith('ignore', 'create', '--bundle', bundle, id)
  const file = path.join(bundle, 'config.json')
  writeFileSync(file, readFileSync(file, 'utf8').replace('first', 'second'))
  t.is(trial.oci('start', id).code, 0)
  t.true(await hasStatus(id, 'stopped'))
  t.is(readFileSync(path.join(bundle, 'rootfs/result'), 'utf8'), 'first\n')
})

test('a program is looked up at start, and not before', async t => {
  const id = trial.id()
  const bundle = trial.bundle(config => {
    if (config.process !== undefined) config.process.args = ['/missing']
  })
  t.is(trial.ociWith('ignore', 'create', '--bundle', bundle, id).code, 0)
  const { code, stderr } = trial.oci('start', id)
  t.is(code, 127)
  t.regex(stderr, /executable file not found in \$PATH/)
  t.true(await hasStatus(id, 'stopped'))
  t.is(trial.oci('delete', id).code, 0)
})

test('a bundle without a process can be created, but not started', async t => {
  const id = trial.id()
  const bundle = trial.bundle(config => {
    delete config.process
  })
  t.is(trial.ociWith('ignore', 'create', '--bundle', bundle, id).code, 0)
  const { code, stderr } = trial.oci('start', id)
  t.not(code, 0)
  t.regex(stderr, /no process to start/)
  t.true(await hasStatus(id, 'stopped'))
})

test('what is not allowed in a state changes nothing', async t => {
  const id = running()
  for (const { words, message } of [
    { words: ['delete', id], message: /not stopped: running/ },
    { words: ['start', id], message: /cannot start a container that is running/ },
    { words: ['kill', id, 'NONSENSE'], message: /there is no signal/ },
    { words: ['resume', id], message: /not paused/ },
    { words: ['create', '--bundle', trial.bundle(), id], message: /container with id exists/ },
    { words: ['state', 'unknown'], message: /does not exist/ },
    { words: ['kill', 'unknown', 'TERM'], message: /does not exist/ },
    { words: ['delete', 'unknown'], message: /does not exist/ },
    { words: ['start'], message: /needs ID/ },
    { words: ['state', '../x'], message: /invalid container id/ },
    { words: ['create', '--bundle', '/nonexistent', 'x1'], message: /no such file or directory/ },
  ]) {
    const { code, stderr } = trial.oci(...words)
    t.not(code, 0, words.join(' '))
    t.regex(stderr, message)
    t.is(trial.state(id)?.status, 'running')
  }
  t.is(trial.oci('kill', id, 'KILL').code, 0)
  t.true(await hasStatus(id, 'stopped'))
  const { stderr } = trial.oci('kill', id, 'TERM')
  t.regex(stderr, /container not running/)
  t.is(trial.oci('delete', '--force', 'unknown').code, 0)
})

for (const signal of ['TERM', 'SIGTERM', '15', 'sigterm'])
  test(`a signal is sent by ${signal}`, async t => {
    const id = trial.id()
    const child = trial.start(
      'run',
      '--bundle',
      trial.bundle(script('trap "exit 7" TERM; echo up; while :; do sleep 0.05; done')),
      id,
    )
    const ended = new Promise<number | null>(resolve => child.once('exit', resolve))
    await new Promise(resolve => child.stdout?.once('data', resolve))
    t.is(trial.oci('kill', id, signal).code, 0)
    t.is(await ended, 7)
  })

test('a container that waits for its start ends by a signal, too', async t => {
  const id = trial.id()
  trial.ociWith('ignore', 'create', '--bundle', trial.bundle(), id)
  t.is(trial.oci('kill', id, 'TERM').code, 0)
  t.true(await hasStatus(id, 'stopped'))
})

test('run gives streams and exit code, and leaves nothing', t => {
  const id = trial.id()
  const bundle = trial.bundle(script('echo out; echo err >&2; exit 5'))
  const { code, stdout, stderr } = trial.oci('run', '--bundle', bundle, id)
  t.is(code, 5)
  t.is(stdout, 'out\n')
  t.is(stderr, 'err\n')
  t.is(trial.state(id), undefined)
})

test('exec runs a process beside, with what its options say', t => {
  const id = running()
  const process = path.join(trial.directory, 'process.json')
  writeFileSync(
    process,
    JSON.stringify({
      args: ['sh', '-c', 'echo $A $(id -u) $(pwd); exit 3'],
      cwd: '/tmp',
      user: { uid: 1000, gid: 1000 },
      env: ['A=file', 'PATH=/bin'],
    }),
  )
  for (const { words, code, stdout } of [
    { words: [id, 'sh', '-c', 'echo $HOME; exit 4'], code: 4, stdout: '/root\n' },
    {
      words: [
        '--user',
        '1000:1000',
        '--env',
        'A=b',
        '--cwd',
        '/tmp',
        id,
        'sh',
        '-c',
        'echo $A $(id -u):$(id -g) $(pwd)',
      ],
      code: 0,
      stdout: 'b 1000:1000 /tmp\n',
    },
    { words: ['--process', process, id], code: 3, stdout: 'file 1000 /tmp\n' },
    {
      words: ['-e', 'PATH=/bin', '-e', 'A=1', '-e', 'A=2', id, 'sh', '-c', 'echo $PATH $A'],
      code: 0,
      stdout: '/bin 2\n',
    },
    { words: [id, '/missing'], code: 127, stdout: '' },
    { words: ['--user', '10x', id, 'true'], code: 125, stdout: '' },
    { words: ['--user', '0:0:0', id, 'true'], code: 125, stdout: '' },
  ]) {
    const result = trial.oci('exec', ...words)
    t.is(result.code, code, result.stderr)
    t.is(result.stdout, stdout)
  }
})

test('pause stops every process, resume lets them go on', async t => {
  const id = running('while :; do date +%s%N > /tick; sleep 0.02; done')
  const pid = trial.state(id)?.pid ?? 0
  const tick = (): string => readFileSync(`/proc/${pid}/root/tick`, 'utf8')
  t.true(await eventually(() => existsSync(`/proc/${pid}/root/tick`)))
  t.is(trial.oci('pause', id).code, 0)
  t.is(trial.state(id)?.status, 'paused')
  t.not(trial.oci('exec', id, 'true').code, 0)
  const before = tick()
  t.is(trial.oci('list').code, 0)
  t.is(tick(), before)
  t.is(trial.oci('resume', id).code, 0)
  t.true(await eventually(() => tick() !== before))
})

test('limits are set, and changed by update', t => {
  const id = trial.id()
  const bundle = trial.bundle(config => {
    script('while :; do sleep 0.05; done')(config)
    config.linux['resources'] = { pids: { limit: 50 }, memory: { limit: 64 * 1024 * 1024 } }
  })
  t.is(trial.ociWith('ignore', 'run', '--detach', '--bundle', bundle, id).code, 0)
  const file = path.join(trial.directory, 'resources.json')
  writeFileSync(file, JSON.stringify({ pids: { limit: 77 } }))
  t.is(trial.oci('update', '--resources', file, id).code, 0)
  t.is(trial.oci('update', '--memory', '96m', id).code, 0)
  const { stdout } = trial.oci('events', '--stats', id)
  t.is(JSON.parse(stdout).data.memory.usage.limit, 96 * 1024 * 1024)
})

test('list and ps name containers and their processes', t => {
  const id = running()
  const listed = JSON.parse(trial.oci('list', '--format', 'json').stdout)
  t.true(
    listed.some(
      (state: { id: string; status: string }) => state.id === id && state.status === 'running',
    ),
  )
  const processes: number[] = JSON.parse(trial.oci('ps', '--format', 'json', id).stdout)
  t.true(processes.includes(trial.state(id)?.pid ?? 0))
  t.regex(trial.oci('list').stdout, /^ID +PID +STATUS +BUNDLE +CREATED/)
})

test('the id of the first process is written for the engine', t => {
  const id = trial.id()
  const pidFile = path.join(trial.directory, 'pid')
  trial.ociWith('ignore', 'create', '--pid-file', pidFile, '--bundle', trial.bundle(), id)
  t.is(readFileSync(pidFile, 'utf8'), String(trial.state(id)?.pid))
})

test('failures are lines of the log that the engine names, the last one of level error', t => {
  const log = path.join(trial.directory, 'log.json')
  trial.oci('--log', log, '--log-format', 'json', 'start', 'unknown')
  const line = JSON.parse(readFileSync(log, 'utf8').trim().split('\n').at(-1) ?? '')
  t.is(line.level, 'error')
  t.regex(line.msg, /does not exist/)
  t.false(Number.isNaN(Date.parse(line.time)))
})

test('descriptors reach the program, and only those that the caller opened', t => {
  const bundle = trial.bundle(script('cat <&3; ls /proc/self/fd | wc -l'))
  const file = path.join(trial.directory, 'handed')
  writeFileSync(file, 'handed on\n')
  const stdio = ['ignore', 'pipe', 'pipe', openSync(file, 'r')] as const
  const { stdout } = trial.ociWith(
    [...stdio],
    'run',
    '--preserve-fds',
    '1',
    '--bundle',
    bundle,
    trial.id(),
  )
  // three streams, the file, and the directory that ls reads
  t.is(stdout, 'handed on\n5\n')
})

test('features, spec and version are what engines parse', t => {
  const features = JSON.parse(trial.oci('features').stdout)
  t.true(features.hooks.includes('createContainer'))
  t.true(features.linux.namespaces.includes('time'))
  t.regex(trial.oci('--version').stdout, /^kauri version \S+\ncommit: \S+\nspec: 1\.\d\.\d\n$/)
  const bundle = trial.bundle()
  t.not(trial.oci('spec', '--bundle', bundle).code, 0)
  t.is(trial.oci('spec', '--bundle', trial.directory).code, 0)
  const spec = JSON.parse(readFileSync(path.join(trial.directory, 'config.json'), 'utf8'))
  t.is(spec.root.path, 'rootfs')
})

const noting = (name: string, file: string): { path: string; args: string[] } => ({
  path: '/bin/sh',
  args: ['sh', '-c', `echo ${name} >> ${file}; cat >> ${file}.${name}`],
})

test('hooks of all moments run in their order, with the state on their input', async t => {
  const notes = path.join(trial.directory, 'hooks')
  const bundle = trial.bundle(config => {
    script('echo program >> /notes')(config)
    config.hooks = {
      prestart: [noting('prestart', notes)],
      createRuntime: [noting('createRuntime', notes)],
      createContainer: [noting('createContainer', notes)],
      startContainer: [noting('startContainer', '/notes')],
      poststart: [noting('poststart', notes)],
      poststop: [noting('poststop', notes)],
    }
  })
  const id = trial.id()
  t.is(trial.oci('run', '--bundle', bundle, id).code, 0)
  const order = readFileSync(notes, 'utf8').trim().split('\n')
  t.deepEqual(order, ['prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop'])
  t.is(readFileSync(path.join(bundle, 'rootfs/notes'), 'utf8'), 'startContainer\nprogram\n')
  for (const name of ['prestart', 'createContainer', 'poststart'])
    t.like(JSON.parse(readFileSync(`${notes}.${name}`, 'utf8')), { id, bundle })
  t.is(JSON.parse(readFileSync(`${notes}.createContainer`, 'utf8')).pid, 1)
})

for (const moment of [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
])
  test(`a ${moment} hook that fails ends the container and runs poststop`, t => {
    const note = path.join(trial.directory, `after-${moment}`)
    const bundle = trial.bundle(config => {
      script('sleep 100')(config)
      config.hooks = {
        [moment]: [{ path: moment === 'startContainer' ? '/usr/bin/false' : '/bin/false' }],
        poststop: [{ path: '/bin/sh', args: ['sh', '-c', `echo after > ${note}`] }],
      }
    })
    const id = trial.id()
    t.not(trial.oci('run', '--bundle', bundle, id).code, 0)
    t.is(trial.state(id), undefined)
    t.is(readFileSync(note, 'utf8'), 'after\n')
  })

test('a hook that takes too long is ended', t => {
  const bundle = trial.bundle(config => {
    config.hooks = { prestart: [{ path: '/bin/sleep', args: ['sleep', '300'], timeout: 1 }] }
  })
  const { code, stderr } = trial.oci('run', '--bundle', bundle, trial.id())
  t.not(code, 0)
  t.regex(stderr, /prestart hook did not end within 1 s/)
})
