// Secrets, ssh agents and the host's own mounts in the real runtime: who gets what, and that nothing of it stays.

import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import process from 'node:process'
import type { ExecutionContext } from 'ava'
import type { CallerOptions, SecretSource, SshSource } from '../../src/build/build.ts'
import { KauriError } from '../../src/core/errors.ts'
import { type BuildMount, guestPath } from '../../src/plan/plan.ts'
import { testWith } from '../helpers/needs.ts'
import {
  instruction,
  mounting,
  noCaller,
  openRunTrial,
  type RunTrial,
  secretMount,
} from '../helpers/run-steps.ts'

const test = testWith({ root: true })
const testWithSsh = testWith({ root: true, programs: ['ssh-agent', 'ssh-add', 'ssh-keygen'] })

const value = 'the-Value-nobody-may-find-4711'

function withSecret(source: SecretSource, id = 'token'): CallerOptions {
  return { ...noCaller, secrets: new Map([[id, source]]) }
}

function secretFile(run: RunTrial, text = value): SecretSource {
  writeFileSync(run.at('secret'), text, { mode: 0o600 })
  return { kind: 'file', path: run.at('secret') }
}

/** Files below a directory that hold a text. */
function filesWith(directory: string, text: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.join(entry.parentPath, entry.name))
    .filter(file => readFileSync(file).includes(text))
}

async function failureOf(t: ExecutionContext, work: () => Promise<unknown>): Promise<KauriError> {
  const error = await t.throwsAsync(work)
  if (error instanceof KauriError) return error
  throw error ?? new Error('it did not fail')
}

test('a secret is a file in memory, read-only, with the modes it asks for', async t => {
  using run = await openRunTrial()
  const text = `stat -c "%a %u %g %s" /run/secrets/token; cat /run/secrets/token | wc -c;
    stat -f -c %T /run/secrets/token; grep /run/secrets/token /proc/mounts | grep -c "ro,nosuid,nodev,noexec";
    (echo x > /run/secrets/token) 2>/dev/null || echo refused`
  const mount = secretMount('token', { mode: 0o440, uid: 1000, gid: 2000 })
  const { lines, snapshot } = await run.build([mounting(mount, text)], {
    caller: withSecret(secretFile(run)),
  })
  t.deepEqual(lines, [
    `440 1000 2000 ${value.length}`,
    String(value.length),
    'tmpfs',
    '1',
    'refused',
  ])
  t.deepEqual(run.changes(snapshot), [])
})

test('root alone reads a secret unless it says otherwise', async t => {
  using run = await openRunTrial()
  const step = mounting(secretMount('token'), 'cat /run/secrets/token || echo refused', {
    user: 'app',
  })
  const { lines } = await run.build([step], { caller: withSecret(secretFile(run)) })
  t.is(lines.at(-1), 'refused')
  t.false(lines.includes(value))
})

test('a secret in a variable, in a file, and in both', async t => {
  using run = await openRunTrial()
  const text = 'echo [$TOKEN]; cat /run/secrets/token 2>/dev/null || echo no file'
  const { target: _, ...inVariable } = { ...secretMount('token'), variable: 'TOKEN' }
  const both = secretMount('token', { variable: 'TOKEN' })
  const caller = withSecret(secretFile(run))
  t.deepEqual((await run.build([mounting(inVariable as BuildMount, text)], { caller })).lines, [
    `[${value}]`,
    'no file',
  ])
  t.deepEqual((await run.build([mounting(both, text)], { caller })).lines, [`[${value}]`, value])
})

test('a secret from a variable of the caller', async t => {
  using run = await openRunTrial()
  process.env['KAURI_TEST_SECRET'] = value
  const caller = withSecret({ kind: 'variable', name: 'KAURI_TEST_SECRET' })
  const { lines } = await run.build([mounting(secretMount('token'), 'cat /run/secrets/token')], {
    caller,
  })
  delete process.env['KAURI_TEST_SECRET']
  t.deepEqual(lines, [value])
})

test('a missing secret is no mount and an empty variable, unless it is required', async t => {
  using run = await openRunTrial()
  const text = 'ls /run/secrets 2>/dev/null; echo [${TOKEN-unset}]'
  const optional = secretMount('token', { variable: 'TOKEN' })
  t.deepEqual((await run.build([mounting(optional, text)])).lines, ['[]'])
  const required = secretMount('token', { required: true })
  const error = await failureOf(t, () => run.build([mounting(required, text)]))
  t.is(error.message, 'secret token: not found')
  t.deepEqual(error.where, { file: 'Dockerfile', line: 3, column: 1 })
})

test('a secret that is too long, or whose file is gone, is told without its value', async t => {
  using run = await openRunTrial()
  const step = mounting(secretMount('token'), 'true')
  const long = secretFile(run, value.repeat(20_000))
  const error = await failureOf(t, () => run.build([step], { caller: withSecret(long) }))
  t.false(error.message.includes(value))
  const gone = { kind: 'file', path: run.at('gone') } as const
  const missing = await failureOf(t, () => run.build([step], { caller: withSecret(gone) }))
  t.is(missing.message, `the file ${run.at('gone')} of the secret token cannot be read`)
})

test('another value of a secret gives no other key', async t => {
  using run = await openRunTrial()
  const step = mounting(secretMount('token'), 'wc -c < /run/secrets/token > /size')
  await run.build([step], { caller: withSecret(secretFile(run)) })
  const again = await run.build([step], { caller: withSecret(secretFile(run, 'other')) })
  t.true(again.steps.every(({ cached }) => cached))
})

test('no value is found in the state directory, in events or in arguments of a process', async t => {
  using run = await openRunTrial()
  const { target: _, ...inVariable } = secretMount('token', { variable: 'TOKEN' })
  const caller: CallerOptions = {
    ...withSecret(secretFile(run)),
    proxyEnvironment: [`https_proxy=http://u:${value}@proxy:3128`],
  }
  const seen: string[] = []
  const watch = setInterval(() => seen.push(...argumentsOfAll()), 20)
  const built = await run.build(
    [
      mounting(secretMount('token'), 'test "$(cat /run/secrets/token)"; sleep 0.2; echo 1 > /one'),
      mounting(inVariable as BuildMount, 'test "$TOKEN"; sleep 0.2; echo 2 > /two'),
      instruction('test "$https_proxy"; echo 3 > /three'),
    ],
    { caller },
  )
  const failing = mounting(secretMount('token'), 'echo failing; exit 3')
  const error = await failureOf(t, () => run.build([failing], { caller }))
  clearInterval(watch)
  t.true(seen.length > 0)
  t.deepEqual(
    seen.filter(line => line.includes(value)),
    [],
  )
  t.deepEqual(filesWith(run.dataRoot, value), [])
  t.deepEqual(filesWith(run.at('run'), value), [])
  t.false(JSON.stringify([built.events, built.steps, error, error.output]).includes(value))
})

function argumentsOfAll(): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(pid => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8')]
      } catch {
        return []
      }
    })
}

test('the host’s own mounts reach every step, read-only, and stay out of layers and keys', async t => {
  using run = await openRunTrial()
  mkdirSync(run.at('credentials'))
  writeFileSync(run.at('credentials/SCC'), 'user=x')
  writeFileSync(run.at('single'), 'one file')
  writeFileSync(
    run.at('mounts.conf'),
    `# of the host\n\n${run.at('credentials')}:/etc/zypp/credentials.d\n  ${run.at('single')}:/etc/single\n${run.at('gone')}:/gone\n`,
  )
  const parts = { ...run.parts, buildMountsFile: run.at('mounts.conf') }
  const text =
    'cat /etc/zypp/credentials.d/SCC /etc/single; ls /gone 2>&1; touch /etc/zypp/credentials.d/x 2>/dev/null || echo refused'
  const built = await run.build([instruction(`${text}; echo done > /done`)], { parts })
  t.true(built.lines.join('\n').startsWith('user=xone file'))
  t.is(built.lines.at(-1), 'refused')
  t.deepEqual(run.changes(built.snapshot), ['done'])
  const warnings = built.events.flatMap(event => (event.kind === 'warning' ? [event.message] : []))
  t.deepEqual(warnings, [
    `${run.at('gone')}, which ${run.at('mounts.conf')} mounts on /gone, is not there`,
  ])
  const again = await run.build([instruction(`${text}; echo done > /done`)])
  t.true(again.steps.every(({ cached }) => cached))
})

function sshMount(more: Partial<Extract<BuildMount, { kind: 'ssh' }>> = {}): BuildMount {
  return {
    kind: 'ssh',
    id: 'default',
    target: guestPath('/run/buildkit/ssh_agent.0'),
    required: false,
    mode: 0o600,
    uid: 0,
    gid: 0,
    ...more,
  }
}

function withSsh(source: SshSource): CallerOptions {
  return { ...noCaller, ssh: new Map([['default', source]]) }
}

/** The small root with OpenSSH's ssh-add and a library or two more. */
function addSshPrograms(run: RunTrial): void {
  const programs = ['/usr/bin/ssh-add']
  for (const program of programs) {
    execFileSync('cp', ['-L', program, run.at('small/usr/bin/')])
    const libraries = execFileSync('ldd', [program], { encoding: 'utf8' })
    for (const [, library = ''] of libraries.matchAll(/(\/[^\s]+\.so[^\s]*)/g)) {
      const target = run.at('small', library.startsWith('/usr/') ? library : `usr${library}`)
      mkdirSync(path.dirname(target), { recursive: true })
      execFileSync('cp', ['-L', library, target])
    }
  }
}

function makeKey(run: RunTrial, passphrase = ''): string {
  const file = run.at(`key${passphrase}`)
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-C', 'a key', '-f', file])
  return file
}

testWithSsh(
  'keys are served by an agent of kauri’s own, whatever modes their files have',
  async t => {
    using run = await openRunTrial()
    addSshPrograms(run)
    const key = makeKey(run)
    chmodSync(key, 0o644)
    const text =
      'echo $SSH_AUTH_SOCK; ssh-add -l; stat -c "%F %a %u" $SSH_AUTH_SOCK; ssh-add -D 2>&1'
    const built = await run.build([mounting(sshMount(), `${text}; ssh-add -l`)], {
      caller: withSsh({ kind: 'keys', paths: [key] }),
    })
    t.is(built.lines[0], '/run/buildkit/ssh_agent.0')
    t.regex(built.lines[1] ?? '', /a key \(ED25519\)$/)
    t.is(built.lines[2], 'socket 600 0')
    // Steps may not remove keys: it is still there.
    t.regex(built.lines.at(-1) ?? '', /a key \(ED25519\)$/)
    t.deepEqual(run.changes(built.snapshot), [])
    t.deepEqual(
      argumentsOfAll().filter(line => line.includes('ssh-agent') && line.includes('agent-0')),
      [],
    )
  },
)

testWithSsh('the agent of the caller answers, and only while the step runs', async t => {
  using run = await openRunTrial()
  addSshPrograms(run)
  const socket = run.at('agent')
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' })
  try {
    const environment = { PATH: process.env['PATH'] ?? '', SSH_AUTH_SOCK: socket }
    const key = makeKey(run)
    for (let attempt = 0; attempt < 50; attempt++) {
      try {
        execFileSync('ssh-add', ['-q', key], { env: environment, stdio: 'ignore' })
        break
      } catch {
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    }
    const built = await run.build([mounting(sshMount(), 'ssh-add -l; ssh-add -D 2>&1; true')], {
      caller: withSsh({ kind: 'agent', socket }),
    })
    t.regex(built.lines[0] ?? '', /a key/)
    const left = execFileSync('ssh-add', ['-l'], { env: environment, encoding: 'utf8' })
    t.regex(left, /a key/)
    t.deepEqual(readdirSync(path.join(run.dataRoot, 'scratch')), [])
    t.deepEqual(socketsOf(process.pid, run.dataRoot), [])
  } finally {
    agent.kill('SIGKILL')
  }
})

/** Descriptors of a process that lead below a directory. */
function socketsOf(pid: number, directory: string): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
    try {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`)
      return target.startsWith(directory) ? [target] : []
    } catch {
      return []
    }
  })
}

test('without an agent an ssh mount is none, unless it is required', async t => {
  using run = await openRunTrial()
  const text = 'echo $SSH_AUTH_SOCK; ls /run/buildkit 2>/dev/null; echo end'
  const { lines } = await run.build([mounting(sshMount(), text)])
  t.deepEqual(lines, ['/run/buildkit/ssh_agent.0', 'end'])
  const error = await failureOf(t, () => run.build([mounting(sshMount({ required: true }), text)]))
  t.is(error.message, 'no SSH key "default" forwarded from the client')
})

testWithSsh('a key with a passphrase, and a file that is no key, are refused', async t => {
  using run = await openRunTrial()
  const step = mounting(sshMount(), 'true')
  writeFileSync(run.at('nonsense'), value)
  for (const file of [makeKey(run, 'hidden'), run.at('nonsense'), run.at('missing')]) {
    const caller = withSsh({ kind: 'keys', paths: [file] })
    const error = await failureOf(t, () => run.build([step], { caller }))
    t.is(error.code, 'USAGE')
    t.true(error.message.includes(file))
    t.false(error.message.includes(value))
  }
})

test('an agent that is gone is an error of the step, not of the build', async t => {
  using run = await openRunTrial()
  const server = createServer()
  await new Promise<void>(resolve => server.listen(run.at('agent'), resolve))
  await new Promise(resolve => server.close(resolve))
  const built = await run.build([mounting(sshMount(), 'test -S $SSH_AUTH_SOCK && echo there')], {
    caller: withSsh({ kind: 'agent', socket: run.at('agent') }),
  })
  t.deepEqual(built.lines, ['there'])
})
