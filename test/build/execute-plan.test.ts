// What runs, what is found again, and what is told, with a pretended package manager and runtime.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { BuildOptions, BuiltRoot } from '../../src/build/build.ts'
import { planExecutor } from '../../src/build/execute-plan.ts'
import { inspectPlan } from '../../src/build/inspect-plan.ts'
import { KauriError } from '../../src/core/errors.ts'
import { type BuildEvent, ignoreEvents } from '../../src/core/events.ts'
import { type BuildPlan, type BuildStep, guestPath } from '../../src/plan/plan.ts'
import { type Doubles, installOf, makeDoubles, planOf, runOf } from '../helpers/build-doubles.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })

const base: BuildOptions = { useCache: true, offline: false, emit: ignoreEvents }

const write = (target: string, text: string): BuildStep => ({
  kind: 'write',
  title: `write ${target}`,
  phase: 'config',
  target: guestPath(target),
  text,
  mode: 0o644,
})

const wholePlan = (script = 'true'): BuildPlan =>
  planOf([
    installOf(['base'], true),
    write('/etc/id', 'x\n'),
    installOf(['tool']),
    write('/etc/motd', 'hello\n'),
    runOf(script),
  ])

async function build(
  doubles: Doubles,
  plan: BuildPlan,
  options: Partial<BuildOptions> = {},
): Promise<BuiltRoot> {
  doubles.calls.length = 0
  return await planExecutor(doubles.parts)(plan, { ...base, ...options })
}

function readFileOf(doubles: Doubles, built: BuiltRoot, file: string): string {
  using tree = doubles.parts.snapshotter.open(built.snapshot)
  return readFileSync(`${tree.path}${file}`, 'utf8')
}

test('every step runs once, later installations are resolved on the root before them', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  const built = await build(doubles, wholePlan())
  t.deepEqual(doubles.calls, [
    'resolve base',
    'install base',
    'resolve tool',
    'install tool',
    'run /bin/sh -c true',
  ])
  t.deepEqual(
    built.steps.map(step => step.cached),
    [false, false, false, false, false],
  )
  t.is(built.newestFileSeconds, 1_700_000_000)
  t.is(readFileOf(doubles, built, '/etc/motd'), 'hello\n')
})

test('nothing runs again when nothing changed, and the result is the same', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  const first = await build(doubles, wholePlan())
  const second = await build(doubles, wholePlan())
  t.deepEqual(doubles.calls, ['resolve base', 'resolve tool'])
  t.is(second.snapshot, first.snapshot)
  t.is(second.newestFileSeconds, first.newestFileSeconds)
  t.true(second.steps.every(step => step.cached && step.seconds === 0))
  t.deepEqual(
    second.steps.map(({ key, snapshot }) => [key, snapshot]),
    first.steps.map(({ key, snapshot }) => [key, snapshot]),
  )
})

test('a changed script runs again, and only what follows it', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  await build(doubles, wholePlan())
  const built = await build(doubles, wholePlan('false'))
  t.deepEqual(doubles.calls, ['resolve base', 'resolve tool', 'run /bin/sh -c false'])
  t.deepEqual(
    built.steps.map(step => step.cached),
    [true, true, true, true, false],
  )
})

test('a package of another version is installed again, with all that follows', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  await build(doubles, wholePlan())
  doubles.versions.set('tool', '2')
  const built = await build(doubles, wholePlan())
  t.deepEqual(doubles.calls, [
    'resolve base',
    'resolve tool',
    'install tool',
    'run /bin/sh -c true',
  ])
  t.is(readFileOf(doubles, built, '/packages/tool'), '2\n')
})

test('titles, places and phases are not what a step does', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  const where = { file: 'config.xml', line: 3, column: 4 }
  await build(doubles, planOf([write('/a', 'x')]))
  const built = await build(
    doubles,
    planOf([{ ...write('/a', 'x'), title: 'another', where, phase: 'packages' }]),
  )
  t.true(built.steps[0]?.cached)
})

test('the epoch of the caller is part of what scripts read', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  const seen: string[] = []
  doubles.script = bundle => {
    seen.push(bundle.config.process.env.find(entry => entry.startsWith('SOURCE_DATE')) ?? '')
    return 0
  }
  await build(doubles, wholePlan())
  await build(doubles, wholePlan(), { sourceDateEpoch: 42 })
  t.deepEqual(seen, ['SOURCE_DATE_EPOCH=1700000000', 'SOURCE_DATE_EPOCH=42'])
})

test('without the cache every step runs, and later builds take the new result', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  let runs = 0
  doubles.script = bundle => {
    const { root } = bundle
    const directory = root.kind === 'overlay' ? root.upper : root.path
    writeFileSync(`${directory}/counter`, `${++runs}\n`)
    return 0
  }
  const first = await build(doubles, wholePlan())
  const fresh = await build(doubles, wholePlan(), { useCache: false })
  t.is(doubles.calls.filter(call => !call.startsWith('resolve')).length, 3)
  t.not(fresh.snapshot, first.snapshot)
  t.is(readFileOf(doubles, fresh, '/counter'), '2\n')
  t.is(readFileOf(doubles, first, '/counter'), '1\n')
  const third = await build(doubles, wholePlan())
  t.is(third.snapshot, fresh.snapshot)
  t.deepEqual(
    third.steps.map(({ key }) => key),
    first.steps.map(({ key }) => key),
  )
})

test('a script that fails says which, how, where and what it printed', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  doubles.script = (_bundle, onLine) => {
    for (let line = 1; line <= 100; line++) onLine(`line ${line}`)
    return 3
  }
  const where = { file: 'd/config.sh', line: 1, column: 1 }
  const plan = planOf([runOf('exit 3', { where })])
  const error = await t.throwsAsync<KauriError>(build(doubles, plan))
  t.is(error?.code, 'SCRIPT_FAILED')
  t.regex(error?.message ?? '', /config\.sh failed with exit code 3/)
  t.regex(error?.message ?? '', /line 100$/)
  t.notRegex(error?.message ?? '', /line 50\n/)
  t.deepEqual(error?.where, where)
})

for (const [line, hint] of [
  ['curl: (6) Could not resolve host: example.org', /--network host/],
  ["Temporary failure resolving 'example.org'", /--network host/],
  ['cp: error writing: No space left on device', /free space/],
  ['whatever', /set -x/],
] as const)
  test(`a script that ends with "${line}" gets a hint`, async t => {
    using scratch = makeScratch()
    const doubles = await makeDoubles(scratch.path)
    doubles.script = (_bundle, onLine) => {
      onLine(line)
      return 1
    }
    const error = await t.throwsAsync<KauriError>(build(doubles, planOf([runOf('x')])))
    t.regex(error?.hint ?? '', hint)
  })

test('a package that nobody has is told before anything is carried out', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  const plan = planOf([installOf(['base'], true), installOf(['no-such'])])
  const error = await t.throwsAsync<KauriError>(build(doubles, plan))
  t.is(error?.code, 'PACKAGE_NOT_FOUND')
  t.deepEqual(doubles.calls, ['resolve base'])
})

test('what failed leaves no result, and the next build runs it again', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  doubles.script = () => 1
  await t.throwsAsync(build(doubles, wholePlan()))
  doubles.script = () => 0
  const built = await build(doubles, wholePlan())
  t.deepEqual(doubles.calls, ['resolve base', 'resolve tool', 'run /bin/sh -c true'])
  t.false(built.steps.at(-1)?.cached)
})

test('equal steps of two builds at the same time run once', async t => {
  using scratch = makeScratch()
  const first = await makeDoubles(scratch.path)
  const second = await makeDoubles(scratch.path)
  const script = async (): Promise<number> => {
    await new Promise(resolve => setTimeout(resolve, 200))
    return 0
  }
  first.script = script
  second.script = script
  const built = await Promise.all([build(first, wholePlan()), build(second, wholePlan())])
  const runs = [...first.calls, ...second.calls].filter(call => !call.startsWith('resolve'))
  t.deepEqual(runs.toSorted(), ['install base', 'install tool', 'run /bin/sh -c true'])
  t.is(built[0].snapshot, built[1].snapshot)
})

test('mounts of a script are read-only copies, their contents are part of its key', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('description'))
  writeFileSync(scratch.at('description', 'config.sh'), 'echo 1\n')
  const doubles = await makeDoubles(scratch.at('data'))
  const seen: string[] = []
  doubles.script = bundle => {
    for (const mount of bundle.config.mounts.filter(one => one.destination.startsWith('/image')))
      seen.push(
        `${mount.destination} ${mount.options.includes('ro')} ${readFileSync(mount.source, 'utf8')}`,
      )
    return 0
  }
  const script = runOf('x', {
    mounts: [
      {
        target: guestPath('/image/config.sh'),
        content: { kind: 'context', source: { context: 'description', path: 'config.sh' } },
      },
      {
        target: guestPath('/image/profile'),
        content: { kind: 'text', text: 'k=v\n', mode: 0o644 },
      },
    ],
  })
  const plan = planOf([script], scratch.at('description'))
  await build(doubles, plan)
  writeFileSync(scratch.at('description', 'config.sh'), 'echo 2\n')
  await build(doubles, plan)
  t.deepEqual(seen, [
    '/image/config.sh true echo 1\n',
    '/image/profile true k=v\n',
    '/image/config.sh true echo 2\n',
    '/image/profile true k=v\n',
  ])
  t.deepEqual(readdirSync(scratch.at('data', 'scratch')), [])
})

test('events tell of each step that it started, and that it was cached or finished', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  const plan = planOf([write('/a', 'x'), runOf('x')])
  const tell = async (): Promise<string[]> => {
    const events: BuildEvent[] = []
    await build(doubles, plan, { emit: event => events.push(event) })
    return events.map(event => ('id' in event ? `${event.kind} ${event.id}` : event.kind))
  }
  t.deepEqual(await tell(), [
    'step-started step-1',
    'step-finished step-1',
    'step-started step-2',
    'step-output step-2',
    'step-finished step-2',
  ])
  t.deepEqual(await tell(), [
    'step-started step-1',
    'step-cached step-1',
    'step-started step-2',
    'step-cached step-2',
  ])
})

test('an abort ends the build before the next step', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  const abort = new AbortController()
  doubles.script = () => {
    abort.abort()
    return 0
  }
  const plan = planOf([runOf('first'), runOf('second')])
  const error = await t.throwsAsync<KauriError>(build(doubles, plan, { signal: abort.signal }))
  t.is(error?.code, 'CANCELLED')
  t.deepEqual(doubles.calls, ['run /bin/sh -c first'])
})

test('a plan without steps is an empty root', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  const built = await build(doubles, planOf([]))
  using tree = doubles.parts.snapshotter.open(built.snapshot)
  t.deepEqual(readdirSync(tree.path), [])
})

test('a look at a plan tells what is cached and why not', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  const look = async (plan: BuildPlan): Promise<unknown[]> =>
    (await inspectPlan(plan, base, doubles.parts)).map(({ miss }) => miss)
  t.deepEqual(await look(wholePlan()), [
    'never-run',
    'never-run',
    'unknown-until-built',
    'unknown-until-built',
    'unknown-until-built',
  ])
  const built = await build(doubles, wholePlan())
  const forecasts = await inspectPlan(wholePlan(), base, doubles.parts)
  t.deepEqual(
    forecasts.map(({ key, miss }) => [key, miss]),
    built.steps.map(({ key }) => [key, undefined]),
  )
  t.deepEqual(await look(wholePlan('false')), [
    undefined,
    undefined,
    undefined,
    undefined,
    'step-changed',
  ])
  doubles.versions.set('tool', '2')
  t.deepEqual(await look(wholePlan()), [
    undefined,
    undefined,
    'inputs-changed',
    'step-before-changed',
    'step-before-changed',
  ])
})

test('a failure while there is space on the disk stays what it is', async t => {
  using scratch = makeScratch()
  const doubles = await makeDoubles(scratch.path)
  doubles.script = () => {
    throw new KauriError('PROCESS_FAILED', 'something went wrong')
  }
  const error = await t.throwsAsync<KauriError>(build(doubles, planOf([runOf('x')])))
  t.is(error?.code, 'PROCESS_FAILED')
})
