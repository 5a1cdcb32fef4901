import { readFileSync } from 'node:fs'
import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { signalNumber } from '../../src/oci-runtime/end-container.ts'
import { appendLog, inEngineWords } from '../../src/oci-runtime/engine-words.ts'
import { checkId } from '../../src/oci-runtime/oci-host.ts'
import { preservedDescriptors, withListening } from '../../src/oci-runtime/preserved-descriptors.ts'
import { makeScratch } from '../helpers/scratch.ts'

/** What podman and moby look for, and the exit code that they make of it. */
const notFound = /executable file not found in|no such file or directory|open executable/i
const refused = /permission denied|operation not permitted/i

test('programs that cannot be executed are told in the engines’ words', t => {
  const missing = inEngineWords(new KauriError('COMMAND_NOT_FOUND', 'x is not there'))
  const closed = inEngineWords(new KauriError('COMMAND_NOT_EXECUTABLE', 'x is a directory'))
  t.regex(missing instanceof Error ? missing.message : '', notFound)
  t.regex(closed instanceof Error ? closed.message : '', refused)
  t.notRegex(closed instanceof Error ? closed.message : '', notFound)
  const other = new KauriError('LAUNCH_FAILED', 'x')
  t.is(inEngineWords(other), other)
})

test('the log has one line for each failure, whatever is in the message', t => {
  using scratch = makeScratch()
  const file = scratch.at('log')
  appendLog(file, 'json', { level: 'error', message: 'two\nlines "quoted"' })
  appendLog(file, 'text', { level: 'warning', message: 'two\nlines' })
  const [json = '', text = '', rest] = readFileSync(file, 'utf8').split('\n')
  t.like(JSON.parse(json), { level: 'error', msg: 'two\nlines "quoted"' })
  t.regex(text, /^time="[^"]+" level=warning msg="two\\nlines"$/)
  t.is(rest, '')
})

for (const [text, number] of [
  ['TERM', 15],
  ['sigkill', 9],
  ['9', 9],
  ['64', 64],
  ['RTMIN', 34],
  ['SIGRTMIN+3', 37],
  ['RTMAX-1', 63],
] as const)
  test(`${text} is signal ${number}`, t => {
    t.is(signalNumber(text), number)
  })

for (const text of ['', '0', '65', '-1', '9x', 'NONE', 'RTMAX+1', '1e1'])
  test(`${JSON.stringify(text)} is no signal`, t => {
    t.throws(() => signalNumber(text), { code: 'USAGE' })
  })

for (const id of ['a', 'A_b-c.d+e', '0', 'x'.repeat(255)])
  test(`${id.slice(0, 20)} is an id`, t => {
    t.is(checkId(id), id)
  })

for (const id of ['', '.', '..', 'a/b', '../a', 'a b', 'a\n', 'ä', 'x'.repeat(256)])
  test(`${JSON.stringify(id.slice(0, 20))} of ${id.length} is no id`, t => {
    t.throws(() => checkId(id), { code: 'USAGE' })
  })

test('descriptors are counted with those of systemd, and never beyond what is open', t => {
  const count = (preserved?: string, listening?: string, inherited?: string): number =>
    preservedDescriptors({ preserved, listening, inherited })
  t.is(count(), 0)
  t.is(count('2', undefined, '2'), 2)
  t.is(count('1', '2', '3'), 3)
  t.throws(() => count('2', undefined, '1'), { code: 'USAGE', message: /descriptor 4/ })
  t.throws(() => count('1'), { code: 'USAGE', message: /descriptor 3/ })
  t.throws(() => count('-1', undefined, '9'), { code: 'USAGE' })
  t.throws(() => count('99999', undefined, '99999'), { code: 'USAGE' })
})

test('a program that systemd’s descriptors are for is told of them', t => {
  const process = { env: ['A=1', 'LISTEN_PID=77'] }
  const given = {
    ...process,
    args: ['x'],
    cwd: '/',
    user: { uid: 0, gid: 0 },
    noNewPrivileges: true,
  }
  const none: readonly string[] = []
  const capabilities = {
    bounding: none,
    effective: none,
    permitted: none,
    inheritable: none,
    ambient: none,
  }
  t.deepEqual(withListening({ ...given, capabilities }, '2').env, [
    'A=1',
    'LISTEN_FDS=2',
    'LISTEN_PID=1',
  ])
  t.deepEqual(withListening({ ...given, capabilities }, undefined).env, process.env)
})
