import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import test from 'ava'
import { openProgress } from '../../src/cli/progress.ts'
import { openLiveList } from '../../src/cli/renderers/live-list.ts'
import { numberedLines } from '../../src/cli/renderers/numbered-lines.ts'
import { plainLines, warningLines } from '../../src/cli/renderers/plain-lines.ts'
import { formatBytes, formatProgress, formatSeconds } from '../../src/cli/renderers/step-text.ts'
import type { BuildEvent } from '../../src/core/events.ts'

const story: readonly BuildEvent[] = [
  { kind: 'step-started', id: 'b', title: 'build' },
  { kind: 'step-started', id: 'p', title: 'packages', parent: 'b' },
  { kind: 'step-output', id: 'p', line: '\u001b[31mred\u001b[0m old\rnew' },
  { kind: 'step-progress', id: 'p', done: 1, total: 3, unit: 'packages' },
  {
    kind: 'warning',
    message: 'not signed',
    hint: 'add a key',
    where: { file: 'c.xml', line: 1, column: 2 },
  },
  { kind: 'step-finished', id: 'p', seconds: 2.04 },
  { kind: 'step-started', id: 'o', title: 'overlay', parent: 'b' },
  { kind: 'step-cached', id: 'o' },
  { kind: 'step-finished', id: 'o', seconds: 0 },
  { kind: 'step-started', id: 's', title: 'evil\u001b[2J.sh', parent: 'b' },
  { kind: 'step-failed', id: 's', message: 'exit 3' },
  { kind: 'step-failed', id: 'b', message: 'exit 3' },
]

function keeper(): { readonly write: (text: string) => void; readonly text: () => string } {
  let text = ''
  return {
    write: more => {
      text += more
    },
    text: () => text,
  }
}

test('plain lines say which step each line is about', async t => {
  const { write, text } = keeper()
  const renderer = plainLines(write)
  for (const event of story) renderer.show(event)
  await renderer.end()
  t.deepEqual(text().split('\n'), [
    'build …',
    '  packages …',
    '  packages | new',
    'warning: c.xml:1:2: not signed',
    'hint: add a key',
    '  packages: done in 2.0 s',
    '  overlay …',
    '  overlay: cached',
    '  evil\\x1b[2J.sh …',
    '  evil\\x1b[2J.sh: failed',
    'build: failed',
    '',
  ])
})

test('numbered lines say which step each line is about, also where two take turns', async t => {
  const { write, text } = keeper()
  const renderer = numberedLines(write)
  const stages: readonly BuildEvent[] = [
    { kind: 'step-started', id: 'a', title: '[a 1/2] FROM base' },
    { kind: 'step-cached', id: 'a' },
    { kind: 'step-finished', id: 'a', seconds: 0 },
    { kind: 'step-started', id: 'b', title: '[a 2/2] RUN make' },
    { kind: 'step-output', id: 'b', line: '\u001b[31mred\u001b[0m old\rnew' },
    { kind: 'step-started', id: 'c', title: '[b 1/2] RUN evil\u001b[2J' },
    { kind: 'step-output', id: 'c', line: 'c1' },
    { kind: 'step-output', id: 'b', line: 'b2' },
    { kind: 'step-finished', id: 'b', seconds: 0.34 },
    { kind: 'warning', message: 'careful' },
    { kind: 'step-failed', id: 'c', message: 'exit 3' },
    { kind: 'step-output', id: 'c', line: 'too late' },
    { kind: 'step-output', id: 'unknown', line: 'nobody' },
  ]
  for (const event of stages) renderer.show(event)
  await renderer.end()
  t.deepEqual(
    text()
      .replaceAll(/ \d+\.\d{3} /g, ' TIME ')
      .split('\n'),
    [
      '#1 [a 1/2] FROM base',
      '#1 CACHED',
      '',
      '#2 [a 2/2] RUN make',
      '#2 TIME new',
      '#2 ...',
      '',
      '#3 [b 1/2] RUN evil\\x1b[2J',
      '#3 TIME c1',
      '#3 ...',
      '',
      '#2 [a 2/2] RUN make',
      '#2 TIME b2',
      '#2 DONE 0.3s',
      '',
      'warning: careful',
      '#3 [b 1/2] RUN evil\\x1b[2J',
      '#3 ERROR: exit 3',
      '',
      '',
    ],
  )
})

test('without progress there are warnings and nothing else', t => {
  const { write, text } = keeper()
  for (const event of story) warningLines(write).show(event)
  t.is(text(), 'warning: c.xml:1:2: not signed\nhint: add a key\n')
})

function fakeTerminal(columns: number): { stream: NodeJS.WriteStream; text: () => string } {
  let text = ''
  const stream = new PassThrough()
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  return {
    stream: Object.assign(stream, {
      columns,
      rows: 24,
      isTTY: true,
    }) as unknown as NodeJS.WriteStream,
    text: () => text,
  }
}

/** What is on the screen at the end: everything behind the last time that the list was wiped. */
function lastFrame(text: string): string[] {
  const frame = text.split('\u001b[2K').at(-1) ?? ''
  return stripVTControlCharacters(frame.replace(/^\u001b\[\w+/, ''))
    .split('\n')
    .map(line => line.trimEnd())
    .filter(line => line !== '')
}

test('the live list ends as a list of what became of each step', async t => {
  const terminal = fakeTerminal(80)
  const { write, text } = keeper()
  const renderer = await openLiveList(write, terminal.stream)
  for (const event of story) renderer.show(event)
  await sleep(250)
  await renderer.end()
  t.deepEqual(
    lastFrame(terminal.text()).map(line => line.replace(/^(\s*)\S+ /, '$1* ')),
    ['* build', '  * packages 2.0 s', '  * overlay cached', '  * evil\\x1b[2J.sh'],
  )
  t.is(text(), 'warning: c.xml:1:2: not signed\nhint: add a key\n')
})

test('the live list cuts a long command so that its time can be read', async t => {
  const terminal = fakeTerminal(60)
  const renderer = await openLiveList(() => {}, terminal.stream)
  const title = `[2/3] RUN a  \\  ${'word '.repeat(30)}`
  renderer.show({ kind: 'step-started', id: 'p', title })
  renderer.show({ kind: 'step-finished', id: 'p', seconds: 12 })
  await sleep(150)
  await renderer.end()
  t.regex(lastFrame(terminal.text()).join('\n'), /^\S+ \[2\/3\] RUN a \\ word word [\w ]+… 12 s$/)
})

test('the live list shows the running step with its last lines, cut to the terminal', async t => {
  const terminal = fakeTerminal(30)
  const renderer = await openLiveList(() => {}, terminal.stream)
  renderer.show({ kind: 'step-started', id: 'p', title: 'packages' })
  renderer.show({
    kind: 'step-progress',
    id: 'p',
    done: 12_300_000,
    total: 55_000_000,
    unit: 'bytes',
  })
  await sleep(150)
  for (let line = 1; line <= 9; line++)
    renderer.show({ kind: 'step-output', id: 'p', line: `line ${line} ${'x'.repeat(60)}` })
  await sleep(250)
  const shown = stripVTControlCharacters(terminal.text())
  t.true(shown.includes('12.3 MB of 55'))
  t.true(shown.includes('line 9'))
  t.false(shown.includes('line 5'))
  const widest = Math.max(...shown.split('\n').map(line => line.length))
  t.true(widest <= 30, `${widest} columns`)
  await renderer.end()
})

test('what still runs at the end was cancelled', async t => {
  const terminal = fakeTerminal(80)
  const renderer = await openLiveList(() => {}, terminal.stream)
  renderer.show({ kind: 'step-started', id: 'p', title: 'packages' })
  renderer.show({ kind: 'step-output', id: 'p', line: 'unpacking' })
  await sleep(250)
  await renderer.end()
  t.deepEqual(
    lastFrame(terminal.text()).map(line => line.replace(/^\S+ /, '')),
    ['packages'],
  )
})

test('events that come while the renderer is loaded are not lost', async t => {
  const { write, text } = keeper()
  const progress = openProgress('plain', { isTerminal: () => false, writeErr: write })
  progress.emit({ kind: 'step-started', id: 'a', title: 'first' })
  progress.emit({ kind: 'step-started', id: 'b', title: 'second' })
  await progress.end()
  t.is(text(), 'first …\nsecond …\n')
  progress.emit({ kind: 'step-started', id: 'c', title: 'third' })
  await progress.end()
  t.true(text().endsWith('third …\n'))
})

test('a list is live only where there is a terminal, and only once it was begun', async t => {
  const pipe = openProgress('auto', { isTerminal: () => false, writeErr: () => {} })
  pipe.emit({ kind: 'warning', message: 'm' })
  t.false(pipe.isLive())
  await pipe.end()
  t.false(openProgress('auto', { isTerminal: () => true, writeErr: () => {} }).isLive())
})

const sizes: readonly (readonly [bytes: number, text: string])[] = [
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [999_949, '999.9 kB'],
  [999_950, '1.0 MB'],
  [55_000_000, '55.0 MB'],
  [2.5e12, '2.5 TB'],
  [2.5e16, '25000.0 TB'],
]
for (const [bytes, text] of sizes)
  test(`${bytes} bytes are ${text}`, t => t.is(formatBytes(bytes), text))

const durations: readonly (readonly [seconds: number, text: string])[] = [
  [0, '0.0 s'],
  [9.94, '9.9 s'],
  [9.96, '10 s'],
  [59.4, '59 s'],
  [59.6, '1 min 0 s'],
  [3725, '62 min 5 s'],
]
for (const [seconds, text] of durations)
  test(`${seconds} seconds are ${text}`, t => t.is(formatSeconds(seconds), text))

test('progress says how much of what', t => {
  const step = { kind: 'step-progress', id: 'p' } as const
  t.is(formatProgress({ ...step, done: 5, unit: 'entries' }), '5 entries')
  t.is(
    formatProgress({ ...step, done: 5, total: 9, unit: 'packages', item: 'dpkg' }),
    '5 of 9 packages, dpkg',
  )
  t.is(formatProgress({ ...step, done: 1500, total: 2e6, unit: 'bytes' }), '1.5 kB of 2.0 MB')
})
