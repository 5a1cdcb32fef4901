import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { guardCommand } from '../../src/native/guard.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { processesWith } from '../runtime/container-bench.ts'

const test = testWith({ root: true })

function guarded(command: readonly string[], options = {}) {
  const [program = '', ...args] = [...guardCommand(), ...command]
  return spawnSync(program, args, { encoding: 'utf8', ...options })
}

for (const code of [0, 1, 3, 255])
  test(`exit status ${code} passes through`, t => {
    t.is(guarded(['sh', '-c', `exit ${code}`]).status, code)
  })

for (const signal of ['SIGKILL', 'SIGTERM', 'SIGSEGV'] as const)
  test(`death by ${signal} passes through`, t => {
    const { status, signal: seen } = guarded(['sh', '-c', `kill -${signal.slice(3)} $$`])
    t.deepEqual([status, seen], [null, signal])
  })

test('a program that is missing is 127, one that cannot be executed 126', t => {
  const missing = guarded(['no-such-program'])
  t.is(missing.status, 127)
  t.is(
    missing.stderr,
    'kauri-launcher: error cannot execute no-such-program: No such file or directory\n',
  )
  t.is(guarded(['/etc/passwd']).status, 126)
})

test('streams and further descriptors are inherited', t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('file'), 'file\n')
  const fd = openSync(scratch.at('file'), 'r')
  const { stdout, stderr } = guarded(['sh', '-c', 'cat; echo err >&2; cat <&4'], {
    input: 'in\n',
    stdio: ['pipe', 'pipe', 'pipe', 'ignore', fd],
  })
  closeSync(fd)
  t.deepEqual([stdout, stderr], ['in\nfile\n', 'err\n'])
})

test('a signal reaches the program, and its answer comes back', async t => {
  const [program = '', ...args] = guardCommand()
  const child = spawn(program, [
    ...args,
    'sh',
    '-c',
    'trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done',
  ])
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  t.deepEqual(await once(child, 'exit'), [9, null])
})

test('nobody holds a stream open that the program has closed', async t => {
  const [program = '', ...args] = guardCommand()
  const child = spawn(program, [...args, 'sh', '-c', 'exec >&-; sleep 30'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  child.stdout.resume()
  await once(child.stdout, 'end')
  t.is(child.exitCode, null)
  child.kill('SIGKILL')
})

test('what the program leaves behind ends with it', async t => {
  const word = `3${process.pid}.1`
  guarded(['sh', '-c', `setsid sleep ${word} & exit 0`], { stdio: 'ignore' })
  t.true(await eventually(() => processesWith(word).length === 0))
})

test('kill -9 of the caller ends the program and all its descendants', async t => {
  const word = `3${process.pid}.2`
  const guardModule = path.join(import.meta.dirname, '..', '..', 'src', 'native', 'guard.ts')
  const script = `import { spawn } from 'node:child_process'
    import { guardCommand } from ${JSON.stringify(guardModule)}
    const [program, ...args] = guardCommand()
    spawn(program, [...args, 'sh', '-c', 'trap "" TERM HUP; setsid sleep ${word} & sleep ${word}'], { stdio: 'ignore' })
    setInterval(() => {}, 1000)`
  const caller = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: 'inherit',
  })
  t.true(await eventually(() => processesWith(word).length >= 4))
  caller.kill('SIGKILL')
  t.true(await eventually(() => processesWith(word).length === 0))
})

test('a guard that is started by somebody else does nothing', t => {
  const [program = ''] = guardCommand()
  const { status, stdout } = spawnSync(program, ['guard', '1', 'echo', 'started'], {
    encoding: 'utf8',
  })
  t.deepEqual([status, stdout], [125, ''])
})

test('without privileges a program runs, too', t => {
  t.is(guarded(['sh', '-c', 'exit 4'], { uid: 65_534, gid: 65_534, cwd: '/' }).status, 4)
})
