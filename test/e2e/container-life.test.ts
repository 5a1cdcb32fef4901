// Containers that outlive the command that made them: started, stopped, asked, restarted, removed, with no daemon anywhere.

import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import type { ExecutionContext } from 'ava'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { useContainers } from '../helpers/run-containers.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })
const { kauri, importRoot } = useContainers()

/** What a command prints; it must end well. */
async function done(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await kauri.run(args)
  if (code !== 0) throw new Error(`kauri ${args.join(' ')}: ${code}: ${stderr}`)
  return stdout.trimEnd()
}

/** Starts one in the background, which is gone after the test. */
async function started(
  t: ExecutionContext,
  name: string,
  options: readonly string[],
  ...command: readonly string[]
): Promise<string> {
  t.teardown(async () => {
    await kauri.run(['rm', '-f', '-v', name])
  })
  const words = ['run', '-d', '--name', name, '--network', 'none', ...options, 'small', ...command]
  return await done(...words)
}

async function statusOf(name: string): Promise<string> {
  const { stdout } = await kauri.run([
    'inspect',
    '--type',
    'container',
    '-f',
    '{{.State.Status}}',
    name,
  ])
  return stdout.trimEnd()
}

const forever = ['sh', '-c', 'trap "exit 7" TERM; echo begun; while :; do sleep 0.1; done']

test('a container runs in the background, is asked, stopped, started again and removed', async t => {
  const id = await started(t, 'one', [], ...forever)
  t.regex(id, /^[0-9a-f]{64}$/)
  t.regex(await done('ps'), new RegExp(`\n${id.slice(0, 12)} +small +"sh -c 'trap .* Up .* one$`))
  t.true(await eventually(async () => (await done('logs', 'one')) === 'begun'))
  t.is(await done('exec', 'one', 'sh', '-c', 'echo $0 $HOSTNAME', 'x'), `x ${id.slice(0, 12)}`)
  t.regex(await done('top', 'one'), /UID +PID[^]*sh -c trap/)
  t.regex(await done('stats', '--no-stream', 'one'), /one +\d+\.\d\d% +[\d.]+[KM]?i?B \/ /)
  t.is(await done('stop', 'one'), 'one')
  t.is(await done('inspect', '-f', '{{.State.ExitCode}} {{.State.Running}}', 'one'), '7 false')
  t.is(await done('ps', '-q'), '')
  t.is(await done('start', 'one'), 'one')
  t.is(await statusOf('one'), 'running')
  t.true(await eventually(async () => (await done('logs', 'one')) === 'begun\nbegun'))
  t.is((await kauri.run(['rm', 'one'])).code, 1, 'it runs')
  t.is(await done('rm', '-f', 'one'), 'one')
  t.deepEqual(kauri.traces(), [])
})

test('without -d the output and the exit code are those of the container, and its log is kept', async t => {
  const words = ['run', '--name', 'kept', '--network', 'none', '-i', 'small', 'sh', '-c']
  const script = 'read line; echo out $line; echo err >&2; exit 5'
  const result = await kauri.run([...words, script], { input: 'in\nmore\n' })
  t.like(result, { code: 5, stdout: 'out in\n' })
  t.regex(result.stderr, /^err$/m)
  const logs = await kauri.run(['logs', 'kept'])
  t.like(logs, { code: 0, stdout: 'out in\n', stderr: 'err\n' })
  t.regex(
    (await kauri.run(['logs', '-t', '--tail', '1', 'kept'])).stderr,
    /^\d{4}-\S+\.\d{9}Z err\n$/,
  )
  t.is((await kauri.run(['start', '-a', '-i', 'kept'], { input: 'again\n' })).stdout, 'out again\n')
  t.is(await done('rm', 'kept'), 'kept')
})

test('what was made by create runs by start, with the same words', async t => {
  const id = await done(
    'create',
    '--name',
    'made',
    '--network',
    'none',
    '-e',
    'A=b',
    'small',
    'env',
  )
  t.regex(await done('ps', '-a'), /Created +made$/)
  const { code, stdout } = await kauri.run(['start', '-a', 'made'])
  t.is(code, 0)
  t.regex(stdout, /^A=b$/m)
  t.is(await done('wait', id.slice(0, 9)), '0')
  t.is(await done('rm', 'made'), 'made')
})

test('a program that is not there leaves a created container that says why', async t => {
  const { code, stderr } = await kauri.run(['run', '-d', '--name', 'broken', 'small', 'nosuch'])
  t.is(code, 127)
  t.regex(stderr, /nosuch/)
  t.regex(
    await done('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}', 'broken'),
    /^created 127 .*nosuch/,
  )
  t.is(await done('rm', 'broken'), 'broken')
  t.is((await kauri.run(['run', '--rm', '-d', 'small', 'nosuch'])).code, 127)
  t.is(await done('ps', '-aq'), '')
  t.deepEqual(kauri.traces(), [])
})

test('with --rm nothing is left when it ends, its own volumes included', async t => {
  await started(t, 'brief', ['--rm', '-v', '/data'], 'sh', '-c', 'exit 3')
  t.true(await eventually(async () => (await done('ps', '-aq')) === ''))
  t.is(await done('volume', 'ls', '-q'), '')
  t.deepEqual(kauri.traces(), [])
})

test('signals, pauses and limits reach a running container', async t => {
  const script = 'trap "echo usr1" USR1; echo begun; while :; do sleep 0.05; done'
  await started(t, 'signalled', ['--init', '-m', '64m'], 'sh', '-c', script)
  t.true(await eventually(async () => (await done('logs', 'signalled')) === 'begun'))
  t.is(await done('kill', '-s', 'USR1', 'signalled'), 'signalled')
  t.true(await eventually(async () => (await done('logs', 'signalled')) === 'begun\nusr1'))
  t.is(await done('pause', 'signalled'), 'signalled')
  t.regex(await done('ps'), /Up .*\(Paused\)/)
  const paused = await kauri.run(['exec', 'signalled', 'true'])
  t.is(paused.code, 125)
  t.regex(paused.stderr, /is paused[^]*unpause/)
  t.is(await done('unpause', 'signalled'), 'signalled')
  t.is(
    await done(
      'exec',
      '-e',
      'X=1',
      '-w',
      '/tmp',
      '-u',
      'app',
      'signalled',
      'sh',
      '-c',
      'id -un; pwd; echo $X',
    ),
    'app\n/tmp\n1',
  )
  t.is((await kauri.run(['exec', 'signalled', 'nosuch'])).code, 127)
  t.is(await done('update', '-m', '96m', '--pids-limit', '77', 'signalled'), 'signalled')
  t.is(
    await done('inspect', '-f', '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}', 'signalled'),
    `${96 * 1024 * 1024} 77`,
  )
  t.is((await kauri.run(['kill', '-s', 'nosuch', 'signalled'])).code, 2)
  t.is(await done('rename', 'signalled', 'other'), '')
  t.is(await done('rename', 'other', 'signalled'), '')
})

test('a container is left by the keys for it, and attached to again', async t => {
  await started(
    t,
    'attached',
    ['-i'],
    'sh',
    '-c',
    'while read line; do echo "got $line"; done; echo end; exit 4',
  )
  const session = kauri.start(['attach', 'attached'])
  const ended = new Promise<number | null>(resolve => session.once('close', resolve))
  let output = ''
  session.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  session.stderr?.resume()
  // Output begins with the attachment, so input is sent until some of it was seen.
  t.true(
    await eventually(() => {
      session.stdin?.write('a\n')
      return output.includes('got a')
    }),
  )
  session.stdin?.end()
  session.kill('SIGKILL')
  await ended
  t.is(await statusOf('attached'), 'running')
  t.is(await done('stop', '-t', '0', 'attached'), 'attached')
})

test('restart policies start a container again as often as they say, and never against a stop', async t => {
  await started(t, 'failing', ['--restart', 'on-failure:2'], 'sh', '-c', 'echo run; exit 9')
  t.is(await done('wait', 'failing'), '9')
  t.is(await done('logs', 'failing'), 'run\nrun\nrun')
  t.is(await done('inspect', '-f', '{{.RestartCount}}', 'failing'), '2')
  await started(t, 'always', ['--restart', 'always'], 'sh', '-c', 'echo run; exit 0')
  t.true(await eventually(async () => (await done('logs', 'always')).length > 'run'.length))
  t.is(await done('stop', 'always'), 'always')
  t.is(await statusOf('always'), 'exited')
  const before = await done('logs', 'always')
  t.is(await done('update', '--restart', 'no', 'always'), 'always')
  t.is(await done('logs', 'always'), before)
  t.is((await kauri.run(['run', '--rm', '--restart', 'always', 'small', 'true'])).code, 125)
})

test('a container is asked for its health', async t => {
  const options = [
    '--health-cmd',
    'cat /healthy',
    '--health-interval',
    '100ms',
    '--health-retries',
    '2',
  ]
  await started(t, 'checked', options, 'sh', '-c', 'sleep 1000')
  t.regex(await done('ps'), /\(health: starting\)|\(unhealthy\)/)
  t.true(await eventually(async () => /\(unhealthy\)/.test(await done('ps'))))
  t.regex(await done('inspect', '-f', '{{json .State.Health.Log}}', 'checked'), /No such file/)
  await done('exec', 'checked', 'touch', '/healthy')
  t.true(await eventually(async () => /\(healthy\)/.test(await done('ps'))))
  const events = await done(
    'events',
    '--since',
    '1h',
    '--until',
    '0s',
    '-f',
    'container=checked',
    '-f',
    'event=health_status',
    '--format',
    '{{.Action}}',
  )
  t.deepEqual(events.split('\n'), ['health_status: unhealthy', 'health_status: healthy'])
})

test('events tell what happened, and go on telling', async t => {
  const words = ['events', '--since', '0', '--format', 'json', '-f', 'container=told']
  const listening = kauri.start(words)
  t.teardown(() => listening.kill('SIGKILL'))
  let output = ''
  listening.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  await started(t, 'told', ['-l', 'k=v'], 'sh', '-c', 'exit 6')
  const actions = (): string[] =>
    output
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line).Action)
  t.true(await eventually(() => actions().includes('die')))
  t.deepEqual(actions(), ['create', 'start', 'die'])
  const [, , died] = output.split('\n').map(line => (line === '' ? {} : JSON.parse(line)))
  t.like(died.Actor.Attributes, { exitCode: '6', name: 'told', image: 'small', k: 'v' })
})

test('lists are filtered and formatted as docker does it', async t => {
  const id = await done(
    'create',
    '--name',
    'listed',
    '-l',
    'a=b',
    '--network',
    'none',
    'small',
    'true',
  )
  t.teardown(() => kauri.run(['rm', '-f', 'listed']))
  const filters = (...texts: readonly string[]): Promise<string> =>
    done('ps', '-a', '--format', '{{.Names}}', ...texts.flatMap(text => ['-f', text]))
  for (const text of [
    'name=list',
    'label=a',
    'label=a=b',
    'status=created',
    'ancestor=small',
    `id=${id.slice(0, 5)}`,
  ])
    t.is(await filters(text), 'listed', text)
  for (const text of ['name=^nosuch$', 'label=a=c', 'status=running', 'ancestor=other', 'exited=0'])
    t.is(await filters(text), '', text)
  t.is(await filters('label=a', 'status=exited', 'status=created'), 'listed')
  t.is((await kauri.run(['ps', '-f', 'moon=full'])).code, 2)
  t.is(
    await done('ps', '-a', '--format', 'table {{.Names}}\t{{.State}}'),
    'NAMES     STATE\nlisted    created',
  )
  t.like(JSON.parse(await done('ps', '-a', '--format', 'json')), {
    Names: 'listed',
    ID: id.slice(0, 12),
  })
  t.is(await done('ps', '-lq', '--no-trunc'), id)
  t.regex(await done('ps', '-as'), /0B \(virtual \d/)
  t.regex(
    await done('container', 'prune', '-f', '--filter', 'label=a=b'),
    new RegExp(`${id}\n\nTotal reclaimed space: `),
  )
})

test('logs are rotated, bounded, of either form, or not kept', async t => {
  const script =
    'for i in $(seq 2000); do echo "line $i of some length, so that there is much of it"; done'
  for (const driver of ['json-file', 'local']) {
    const options = ['--log-driver', driver, '--log-opt', 'max-size=20k', '--log-opt', 'max-file=2']
    await started(t, driver, options, 'sh', '-c', script)
    t.is(await done('wait', driver), '0')
    const lines = (await done('logs', driver)).split('\n')
    t.regex(lines.at(-1) ?? '', /^line 2000 /)
    t.true(lines.length < 1900, `${lines.length} lines of ${driver} are kept`)
    t.is(await done('logs', '--tail', '2', driver), lines.slice(-2).join('\n'))
  }
  await started(t, 'silent', ['--log-driver', 'none'], 'sh', '-c', 'echo x')
  t.regex((await kauri.run(['logs', 'silent'])).stderr, /does not support reading/)
})

test('logs -f ends with the container', async t => {
  await started(t, 'followed', ['-i'], 'sh', '-c', 'echo first; read line; echo last')
  const following = kauri.start(['logs', '-f', 'followed'])
  let output = ''
  following.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const ended = new Promise<number | null>(resolve => following.once('close', resolve))
  t.true(await eventually(() => output === 'first\n'))
  await kauri.run(['attach', 'followed'], { input: 'go\n' })
  t.is(await ended, 0)
  t.is(output, 'first\nlast\n')
})

test('a killed monitor takes its container with it, and every list says so', async t => {
  const id = await started(t, 'orphan', [], ...forever)
  const state = JSON.parse(
    readFileSync(path.join(kauri.runRoot, 'containers', id, 'state.json'), 'utf8'),
  )
  process.kill(state.monitor.pid, 'SIGKILL')
  t.true(await eventually(async () => (await statusOf('orphan')) === 'exited'))
  t.true(await eventually(async () => (await done('ps', '-q'), kauri.traces().length === 0)))
  t.is(await done('start', 'orphan'), 'orphan')
  t.is(await statusOf('orphan'), 'running')
})

test('options of run that this cannot do are refused, and say so', async t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('cid'), 'x')
  for (const { args, message } of [
    { args: ['--gpus', 'all'], message: /--device/ },
    { args: ['--kernel-memory', '64m'], message: /--memory/ },
    { args: ['--ipc', 'shareable'], message: /ipc/ },
    { args: ['--userns', 'auto'], message: /userns/ },
    { args: ['--restart', 'sometimes'], message: /invalid restart policy/ },
    { args: ['--device', '/dev/nosuch'], message: /\/dev\/nosuch/ },
    { args: ['--sysctl', 'kernel.core_pattern=x'], message: /sysctl/ },
    { args: ['--sysctl', 'net.ipv4.ip_forward=1', '--network', 'host'], message: /sysctl/ },
    { args: ['--log-opt', 'nosuch=1'], message: /max-size/ },
    { args: ['--log-opt', 'max-file=3'], message: /max-size/ },
    { args: ['--stop-signal', 'SIGNOSUCH'], message: /SIGNOSUCH/ },
    { args: ['--health-cmd', 'x', '--no-healthcheck'], message: /conflicts/ },
    { args: ['--health-interval', '1us'], message: /health-interval/ },
    { args: ['--oom-kill-disable'], message: /--memory/ },
    { args: ['--cpus', '1', '--cpu-quota', '1000'], message: /conflicting/ },
    { args: ['--cidfile', scratch.at('cid')], message: /container ID file found/ },
    { args: ['-d', '-a', 'stdout'], message: /conflicting/ },
    { args: ['--detach-keys', 'ctrl-'], message: /detach-keys/ },
    { args: ['--uts', 'host', '-h', 'name'], message: /conflicting/ },
  ]) {
    const result = await kauri.run(['run', '--rm', ...args, 'small', 'true'])
    t.is(result.code, 125, `${args.join(' ')}: ${result.stderr}`)
    t.regex(result.stderr, message, args.join(' '))
  }
  t.is(await done('ps', '-aq'), '')
})

test('an image says how its containers are stopped and checked', async t => {
  const changes = [
    'STOPSIGNAL USR2',
    'HEALTHCHECK --interval=100ms CMD true',
    'CMD ["sh","-c","trap \\"exit 8\\" USR2; while :; do sleep 0.05; done"]',
  ]
  await importRoot('telling', () => {}, changes)
  t.teardown(() => kauri.run(['rm', '-f', 'telling']))
  await done('run', '-d', '--name', 'telling', '--network', 'none', 'telling')
  t.true(await eventually(async () => /\(healthy\)/.test(await done('ps'))))
  await done('stop', 'telling')
  t.is(await done('inspect', '-f', '{{.State.ExitCode}}', 'telling'), '8')
})

test("docker's longer words do the same", async t => {
  const id = await done('container', 'create', '--name', 'worded', 'small', 'true')
  t.teardown(() => kauri.run(['rm', '-f', 'worded']))
  t.is(await done('container', 'ls', '-aq', '--no-trunc'), id)
  t.is(await done('container', 'inspect', '-f', '{{.Name}}', 'worded'), '/worded')
  t.is(
    await done('container', 'run', '--rm', 'small', 'sh', '-c', 'echo container rm'),
    'container rm',
  )
  t.is(await done('container', 'rm', 'worded'), 'worded')
})
