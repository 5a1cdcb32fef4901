// RUN instructions in the real runtime: environment, users, files of /etc, limits, failures, and what stays of them.

import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import ava, { type ExecutionContext } from 'ava'
import type { RunLimits } from '../../src/build/build.ts'
import { KauriError } from '../../src/core/errors.ts'
import { guestPath } from '../../src/plan/plan.ts'
import { testWith } from '../helpers/needs.ts'
import { instruction, noCaller, openRunTrial, type RunTrial } from '../helpers/run-steps.ts'

const test = testWith({ root: true })

/** One state directory for the whole file: the small root is copied once. */
let shared: Promise<RunTrial> | undefined
const trial = (): Promise<RunTrial> => {
  shared ??= openRunTrial()
  return shared
}
ava.after.always(async () => (await shared)?.[Symbol.dispose]())

async function linesOf(
  text: string,
  more: Parameters<typeof instruction>[1] = {},
): Promise<readonly string[]> {
  const { lines } = await (await trial()).build([instruction(text, more)], { useCache: false })
  return lines
}

async function failureOf(
  t: ExecutionContext,
  step: ReturnType<typeof instruction>,
): Promise<KauriError> {
  const run = await trial()
  const error = await t.throwsAsync(() => run.build([step], { useCache: false }))
  if (error instanceof KauriError) return error
  throw error ?? new Error('it did not fail')
}

test('a step sees its variables, PATH and HOME, and the name buildkitsandbox', async t => {
  const lines = await linesOf('env | grep -v ^PWD= | grep -v ^SHLVL= | grep -v ^_=; hostname', {
    environment: ['A=1', 'B=x y', 'A=2'],
  })
  t.deepEqual(lines.toSorted(), [
    'A=2',
    'B=x y',
    'HOME=/root',
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'buildkitsandbox',
  ])
})

test('HOME is that of the user, unless the step sets it', async t => {
  t.deepEqual(await linesOf('echo $HOME', { user: 'app' }), ['/home/app'])
  t.deepEqual(await linesOf('echo $HOME', { user: '4711:4711' }), ['/'])
  t.deepEqual(await linesOf('echo $HOME', { user: 'app', environment: ['HOME=/x'] }), ['/x'])
})

test('a host name of the build’s own is in /etc/hosts and in uname', async t => {
  const lines = await linesOf('hostname; cat /etc/hosts', { hostname: 'builder' })
  t.deepEqual(lines, [
    'builder',
    '127.0.0.1\tlocalhost builder',
    '::1\tlocalhost ip6-localhost ip6-loopback',
  ])
})

for (const [user, expected] of [
  ['', 'uid=0(root) gid=0(root) groups=0(root)'],
  ['app', 'uid=1000(app) gid=1000(app) groups=1000(app),2000(extra)'],
  ['1000', 'uid=1000(app) gid=1000(app) groups=1000(app),2000(extra)'],
  ['app:other', 'uid=1000(app) gid=2001(other) groups=2001(other)'],
  ['4711:4712', 'uid=4711 gid=4712 groups=4712'],
  ['4711', 'uid=4711 gid=0(root) groups=0(root)'],
] as const)
  test(`the user "${user}" is who the image says`, async t => {
    t.deepEqual(await linesOf('id', { user }), [expected])
  })

for (const [user, message] of [
  ['nobody-here', 'unable to find user nobody-here: no matching entries in passwd file'],
  ['app:nogroup', 'unable to find group nogroup: no matching entries in group file'],
] as const)
  test(`the user "${user}" is refused in docker’s words`, async t => {
    const error = await failureOf(t, instruction('true', { user }))
    t.is(error.message, message)
    t.is(error.where?.line, 3)
  })

test('the caller’s proxy variables reach the program, and no key', async t => {
  const run = await trial()
  const step = instruction('echo proxied:$http_proxy > /proxy; echo $http_proxy')
  const caller = { ...noCaller, proxyEnvironment: ['http_proxy=http://user:pw@p:1'] }
  const first = await run.build([step], { caller })
  t.deepEqual(first.lines, ['http://user:pw@p:1'])
  const second = await run.build([step], { caller: { ...noCaller, proxyEnvironment: [] } })
  t.true(second.steps.every(({ cached }) => cached))
})

test('extra hosts are in /etc/hosts, read-only', async t => {
  const run = await trial()
  const step = instruction('cat /etc/hosts; echo x >> /etc/hosts || echo refused')
  const limits = { extraHosts: ['db:10.0.0.7', 'six:[fd00::1]'] }
  const { lines } = await run.build([step], { caller: { ...noCaller, limits } })
  t.deepEqual(lines.slice(2, 4), ['10.0.0.7\tdb', 'fd00::1\tsix'])
  t.is(lines.at(-1), 'refused')
})

test('what a program can see of the limits is in its key, what only slows it down is not', async t => {
  const run = await trial()
  const step = instruction('grep -c db /etc/hosts > /seen; ulimit -n >> /seen')
  const isCached = async (limits: RunLimits): Promise<boolean | undefined> =>
    (await run.build([step], { caller: { ...noCaller, limits } })).steps.at(-1)?.cached
  const nofile = (soft: number): RunLimits => ({
    rlimits: [{ type: 'RLIMIT_NOFILE', soft, hard: 200 }],
  })
  t.false(await isCached({ extraHosts: ['db:10.0.0.7'] }))
  t.true(await isCached({ extraHosts: ['db:10.0.0.7'], resources: { memory: { limit: 1 << 28 } } }))
  t.false(await isCached({ extraHosts: ['db:10.0.0.8'] }))
  t.false(await isCached({ ...nofile(100), extraHosts: ['db:10.0.0.8'] }))
  t.false(await isCached({ ...nofile(101), extraHosts: ['db:10.0.0.8'] }))
  t.false(await isCached({ shmSizeBytes: 1 << 20, extraHosts: ['db:10.0.0.8'] }))
})

test('a command that speaks of a full disk is no full disk', async t => {
  const step = instruction('echo "No space left on device"; false')
  const error = await failureOf(t, step)
  t.is(error.code, 'SCRIPT_FAILED')
  t.deepEqual(error.where, step.where)
  t.deepEqual(error.output, ['No space left on device'])
})

test('nothing of the files of /etc, of /dev and of made mount points stays', async t => {
  const run = await trial()
  const built = await run.build([instruction('echo new > /only; test -f /etc/resolv.conf')])
  t.deepEqual(run.changes(built.snapshot), ['only'])
})

test('a link in the place of /etc/resolv.conf is covered, and stays a link', async t => {
  const run = await trial()
  const built = await run.build([
    {
      kind: 'link',
      title: 'link',
      phase: 'instruction',
      target: guestPath('/etc/resolv.conf'),
      to: '../run/nowhere/resolv.conf',
    },
    instruction('grep -c . /etc/hosts; touch /after; readlink /etc/resolv.conf || echo covered'),
  ])
  t.deepEqual(built.lines.slice(-1), ['covered'])
  t.deepEqual(run.changes(built.snapshot), ['after'])
})

test('the exit code of a failed command is told in BuildKit’s words, with its output', async t => {
  const error = await failureOf(t, instruction('echo about to fail; exit 42'))
  t.is(error.code, 'SCRIPT_FAILED')
  t.is(
    error.message,
    'process "/bin/sh -c echo about to fail; exit 42" did not complete successfully: exit code: 42',
  )
  t.deepEqual(error.output, ['about to fail'])
  t.deepEqual(error.where, { file: 'Dockerfile', line: 3, column: 1 })
})

test('a program that is not there fails as from a shell', async t => {
  const error = await failureOf(t, instruction('', { command: ['/nope', 'x'] }))
  t.is(error.code, 'SCRIPT_FAILED')
  t.regex(error.message, /^process "\/nope x" did not complete successfully: exit code: 127: /)
})

test('what outlives the shell is killed with it, and what it held open does not hold the build up', async t => {
  const run = await trial()
  const built = await run.build([
    instruction(
      '(sleep 600; echo late > /late) & (sleep 600 </dev/null >/dev/null 2>&1 &) ; echo done',
    ),
  ])
  t.deepEqual(built.lines, ['done'])
  t.deepEqual(run.changes(built.snapshot), [])
})

test('a step without output that ends at once keeps its last line without a line break', async t => {
  t.deepEqual(await linesOf('printf last'), ['last'])
})

test('network.host and security.insecure are the caller’s to allow', async t => {
  const host = await failureOf(t, instruction('true', { network: 'host' }))
  t.is(host.message, 'network.host is not allowed')
  t.is(host.code, 'PERMISSION_DENIED')
  const insecure = await failureOf(t, instruction('true', { security: 'insecure' }))
  t.is(insecure.message, 'security.insecure is not allowed')
})

test('an insecure step has all of this machine’s capabilities and an open /proc', async t => {
  const run = await trial()
  const text =
    'grep CapEff /proc/self/status; grep Seccomp: /proc/self/status; mount -t tmpfs x /tmp && echo mounted; echo 1 > /proc/sys/kernel/panic_on_warn 2>/dev/null; head -c1 /proc/kcore | wc -c'
  const allow = new Set(['security.insecure'] as const)
  const sandboxed = await run.build([instruction(text)])
  const insecure = await run.build([instruction(text, { security: 'insecure' })], {
    caller: { ...noCaller, allow },
  })
  t.false(sandboxed.lines.includes('mounted'))
  t.true(insecure.lines.includes('mounted'))
  t.true(insecure.lines.includes('Seccomp:\t0'))
  t.not(sandboxed.lines[0], insecure.lines[0])
})

test('limits of the caller hold', async t => {
  const run = await trial()
  const limits = {
    shmSizeBytes: 1024 * 1024,
    rlimits: [{ type: 'RLIMIT_NOFILE', soft: 77, hard: 78 }],
    resources: { pids: { limit: 20 } },
  }
  const text =
    'ulimit -n; grep /dev/shm /proc/mounts; for i in 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1; do sleep 5 & done; echo survived'
  const built = await run
    .build([instruction(text)], { caller: { ...noCaller, limits }, useCache: false })
    .catch((error: unknown) => error)
  const lines =
    built instanceof KauriError
      ? built.output
      : 'lines' in Object(built)
        ? (built as { lines: string[] }).lines
        : []
  t.is(lines[0], '77')
  t.regex(lines[1] ?? '', /size=1024k/)
  t.true(lines.some(line => /fork|Resource temporarily/.test(line)))
})

test('steps on an empty root leave nothing but what they wrote', async t => {
  const run = await trial()
  const stages = [] as const
  const program = run.at('small', 'usr/bin')
  t.true(readdirSync(program).includes('true'))
  const built = await run.build(
    [
      {
        kind: 'copy',
        title: 'COPY . /',
        phase: 'instruction',
        source: { context: 'lib', path: '.' },
        target: guestPath('/'),
        as: 'tree',
      },
      instruction('', { command: ['/usr/bin/true'] }),
    ],
    { stages, scratch: true, contexts: { lib: { directory: run.at('small') } } },
  )
  t.deepEqual(run.changes(built.snapshot), [])
})

test('a directory to work in that is missing is made', async t => {
  const run = await trial()
  const built = await run.build([
    instruction('pwd; stat -c %u .', { directory: guestPath('/work/here'), user: 'app' }),
  ])
  t.deepEqual(built.lines, ['/work/here', '1000'])
  t.deepEqual(run.changes(built.snapshot), ['work', 'work/here'])
})

test('a step on the bridge has an address and a way out of its namespace', async t => {
  const lines = await linesOf('ip -4 -o addr show dev eth0; ip route; cat /etc/hosts', {
    network: 'bridge',
  })
  t.regex(lines[0] ?? '', /eth0 +inet \d+\.\d+\.\d+\.\d+\//)
  t.true(lines.some(line => line.startsWith('default via ')))
})

test('equal steps of two builds at once run once', async t => {
  const run = await trial()
  const step = instruction('sleep 0.5; echo ran; date +%N > /when')
  const built = await Promise.all([run.build([step]), run.build([step]), run.build([step])])
  t.deepEqual(
    built.flatMap(({ lines }) => lines),
    ['ran'],
  )
  t.is(new Set(built.map(({ snapshot }) => snapshot)).size, 1)
})

test('a build that is stopped kills the step and leaves nothing of it', async t => {
  const run = await trial()
  const stop = new AbortController()
  const building = run.build([instruction('echo ready; sleep 471; echo late')], {
    signal: stop.signal,
    onLine: () => stop.abort(),
  })
  const error = await t.throwsAsync(() => building)
  t.true(error instanceof KauriError && error.code === 'CANCELLED')
  const alive = readdirSync('/proc').filter(
    pid => /^\d+$/.test(pid) && commandOf(pid).split('\0').join(' ').startsWith('sleep 471'),
  )
  t.deepEqual(alive, [])
  t.deepEqual(readdirSync(path.join(run.dataRoot, 'scratch')), [])
  t.deepEqual(readdirSync(path.join(run.dataRoot, 'snapshots/overlay/.active')), [])
})

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

test('no scratch directory, container record or lock of a step is left', async t => {
  const run = await trial()
  await run.build([instruction('echo x')], { useCache: false })
  t.deepEqual(readdirSync(path.join(run.dataRoot, 'scratch')), [])
  t.deepEqual(readdirSync(run.at('run', 'runtime')), [])
})
