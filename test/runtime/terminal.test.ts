// Containers on a terminal. script(1) makes one for each test.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { testWith } from '../helpers/needs.ts'
import { type ContainerBench, makeBench } from './container-bench.ts'
import { type LifeBench, makeLifeBench } from './life-bench.ts'

const test = testWith({ root: true, programs: ['script'] })
const program = path.join(import.meta.dirname, 'programs', 'run-container.ts')
const execProgram = path.join(import.meta.dirname, 'programs', 'exec-in-container.ts')

/** The shell words that run a container with a terminal. */
function containerCommand(bench: ContainerBench, script: string): string {
  const words = [
    process.execPath,
    program,
    bench.at('run'),
    JSON.stringify(bench.root),
    `test-${process.pid}-terminal`,
    'terminal',
    'sh',
    '-c',
    script,
  ]
  return words.map(word => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ')
}

/** The shell words that add a program to a container. */
function execCommand(bench: LifeBench, id: string, script: string): string {
  const words = [process.execPath, execProgram, bench.runRoot, id, 'sh', '-c', script]
  return words.map(word => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ')
}

interface Conversation {
  /** Everything that the terminal showed. */
  text: string
  /** Resolves when the text matches. */
  shows(pattern: RegExp): Promise<void>
  type(keys: string): void
  /** Exit code of the shell on the terminal. */
  readonly code: Promise<number | null>
}

function onTerminal(command: string): Conversation {
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const conversation: Conversation = {
    text: '',
    shows: async pattern => {
      const deadline = performance.now() + 30_000
      while (!pattern.test(conversation.text)) {
        if (performance.now() > deadline)
          throw new Error(`never showed ${pattern}: ${conversation.text}`)
        await new Promise(resolve => setTimeout(resolve, 10))
      }
    },
    type: keys => void child.stdin.write(keys),
    code: once(child, 'close').then(([code]) => code as number | null),
  }
  child.stdout.on('data', (chunk: Buffer) => (conversation.text += String(chunk)))
  return conversation
}

test('a container has a terminal of its own, and its exit code comes through', async t => {
  using bench = makeBench()
  const script =
    'tty; stat -c %t:%T /dev/console /dev/pts/0; ls /dev/pts; echo ready; read x; echo "got $x"; exit 4'
  const terminal = onTerminal(containerCommand(bench, script))
  await terminal.shows(/ready/)
  t.regex(terminal.text, /\/dev\/pts\/0\r\n88:0\r\n88:0\r\n0\s+ptmx\r\n/)
  terminal.type('word\r')
  t.is(await terminal.code, 4)
  t.regex(terminal.text, /got word/)
})

test('a program that is added has a terminal of its own, and leaves the console alone', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.started(['sleep', '1000'])
  const before = await bench.exec(id, ['sh', '-c', 'cat /proc/self/mounts'])
  const script =
    'tty; stty size; trap "echo interrupted; exit 6" INT; echo ready; while :; do read x; done'
  const terminal = onTerminal(`stty rows 12 cols 34; exec ${execCommand(bench, id, script)}`)
  await terminal.shows(/ready/)
  t.regex(terminal.text, /\/dev\/pts\/0\r\n12 34\r\n/)
  terminal.type('\u0003')
  t.is(await terminal.code, 6)
  t.regex(terminal.text, /interrupted/)
  t.deepEqual((await bench.exec(id, ['sh', '-c', 'cat /proc/self/mounts'])).lines, before.lines)
})

test('keys are the container’s: Ctrl-C interrupts what runs there', async t => {
  using bench = makeBench()
  const terminal = onTerminal(
    containerCommand(
      bench,
      'trap "echo interrupted; exit 5" INT; echo ready; while :; do sleep 0.1; done',
    ),
  )
  await terminal.shows(/ready/)
  terminal.type('\x03')
  t.is(await terminal.code, 5)
  t.regex(terminal.text, /interrupted/)
})

test('the container sees the terminal’s size, and that it changes', async t => {
  using bench = makeBench()
  const container = containerCommand(
    bench,
    'trap "stty size; exit" WINCH; stty size; while :; do sleep 0.1; done',
  )
  // The size changes once the container has shown the first one, for which it waits for a file.
  const shown = bench.at('shown')
  const change = `until test -e '${shown}'; do sleep 0.05; done; stty rows 44 cols 99 < /dev/tty`
  const terminal = onTerminal(`stty rows 33 cols 77; (${change}) & ${container}`)
  await terminal.shows(/33 77\r\n/)
  writeFileSync(shown, '')
  await terminal.shows(/33 77\r\n44 99/)
  t.is(await terminal.code, 0)
})

for (const { name, kill } of [
  { name: 'the end of the container', kill: ':' },
  { name: 'kill -9 of kauri', kill: 'kill -9 $kauri' },
  { name: 'kill -9 of the launcher', kill: 'kill -9 $(cat /proc/$kauri/task/$kauri/children)' },
  {
    name: 'kill -9 of the keeper',
    kill: 'l=$(cat /proc/$kauri/task/$kauri/children); kill -9 $(cat /proc/${l% }/task/${l% }/children)',
  },
])
  test(`the terminal’s mode is restored after ${name}`, async t => {
    using bench = makeBench()
    const container = containerCommand(bench, scriptFor(kill))
    const terminal = onTerminal(`mode() { stty -a < /dev/tty | grep -o '.icanon'; }
      ${container} < /dev/tty & kauri=$!
      ${awaitMode('-icanon')}; echo "mode: $seen"
      ${kill}; wait $kauri
      ${awaitMode(' icanon')}; echo "after: $seen"`)
    await terminal.code
    t.regex(terminal.text, /mode: -icanon/)
    t.regex(terminal.text, /after: {2}icanon/)
  })

/** Shell words that wait for a mode, 30 seconds at most; `$seen` is then the one that was seen last. */
function awaitMode(wanted: string): string {
  return `for i in $(seq 600); do seen=$(mode); test "$seen" = '${wanted}' && break; sleep 0.05; done`
}

function scriptFor(kill: string): string {
  return kill === ':' ? 'sleep 2' : 'sleep 60'
}
