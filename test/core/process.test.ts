import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { hasErrno, KauriError } from '../../src/core/errors.ts'
import { lastLines, runChecked, runProcess } from '../../src/core/process.ts'

const env = { PATH: '/usr/bin:/bin' }

test('a program gets its arguments as they are, its input, and nothing of our environment', async t => {
  const script = 'printf "%s|" "$@"; cat; env | cut -d= -f1 | sort | tr "\\n" " "; exit 3'
  const result = await runProcess(['sh', '-c', script, 'sh', 'a b', '$HOME', ''], {
    env: { ...env, MINE: '1' },
    input: 'input ',
  })
  t.is(result.exitCode, 3)
  t.true(result.stdout.startsWith('a b|$HOME||input MINE PATH'), result.stdout)
  t.false(result.stdout.includes('HOME '))
})

test('both outputs are kept apart, and told line by line', async t => {
  const lines: string[] = []
  const { stdout, stderr } = await runProcess(
    ['sh', '-c', 'echo one; echo two >&2; printf three'],
    {
      env,
      onLine: (line, stream) => lines.push(`${stream} ${line}`),
    },
  )
  t.is(stdout, 'one\nthree\n')
  t.is(stderr, 'two\n')
  t.deepEqual(lines.toSorted(), ['stderr two', 'stdout one', 'stdout three'])
})

test('a program that is not installed says how to get it', async t => {
  await t.throwsAsync(runProcess(['no-such-program'], { env, installHint: 'apt-get install it' }), {
    code: 'PREREQUISITE_MISSING',
    message: 'the program no-such-program is not installed',
  })
})

test('a directory that is not there is not taken for a program that is not installed', async t => {
  const error = await t.throwsAsync(runProcess(['true'], { env, cwd: '/no/such/directory' }))
  t.true(hasErrno(error, 'ENOENT'))
})

/** Gone, or waiting for whoever adopted it to take note. */
function hasEnded(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return true
  }
}

test('the signal ends the program and what it started', async t => {
  const controller = new AbortController()
  let pid = 0
  const running = runProcess(['sh', '-c', 'sleep 1000 & echo $!; wait'], {
    env,
    signal: controller.signal,
    onLine: line => {
      pid = Number(line)
      controller.abort()
    },
  })
  await t.throwsAsync(running, { code: 'CANCELLED' })
  await sleep(50)
  t.true(hasEnded(pid))
})

test('a signal that was given before keeps the program from starting, with its own reason', async t => {
  const reason = new KauriError('CANCELLED', 'stopped by SIGINT')
  await t.throwsAsync(runProcess(['true'], { env, signal: AbortSignal.abort(reason) }), {
    is: reason,
  })
})

test('a program that must succeed and does not is told with its last lines', async t => {
  const script = 'seq 1 30 >&2; exit 7'
  const error = await t.throwsAsync(
    runChecked(['sh', '-c', script], { env, what: 'counting', code: 'SCRIPT_FAILED' }),
  )
  t.like(error, { code: 'SCRIPT_FAILED' })
  t.true(error?.message.startsWith('counting failed with exit code 7:\n16\n17'), error?.message)
  t.true(error?.message.endsWith('\n30'))
})

test('a program that was killed has the exit code that a shell would give', async t => {
  t.is((await runProcess(['sh', '-c', 'kill -TERM $$'], { env })).exitCode, 143)
  t.is((await runProcess(['sh', '-c', 'kill -SEGV $$'], { env })).exitCode, 139)
})

test('a program that does not read its input is no failure', async t => {
  const { exitCode } = await runProcess(['true'], { env, input: 'x'.repeat(1_000_000) })
  t.is(exitCode, 0)
})

test('the last lines leave empty ones out', t => {
  t.is(lastLines('a\n\nb\n  \nc\n', 2), 'b\nc')
  t.is(lastLines('', 3), '')
})
