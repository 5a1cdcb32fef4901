// Bind mounts and temporary file systems of RUN instructions in the real runtime.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import type { ExecutionContext } from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import {
  type BuildMount,
  guestPath,
  type PlanContext,
  type SourceRoot,
} from '../../src/plan/plan.ts'
import { testWith } from '../helpers/needs.ts'
import {
  cacheMount,
  instruction,
  mounting,
  openRunTrial,
  type RunTrial,
  stageOf,
} from '../helpers/run-steps.ts'

const test = testWith({ root: true })

const context: SourceRoot = { kind: 'context', context: 'main' }
const stage: SourceRoot = { kind: 'stage', stage: 'other' }

function bind(
  from: SourceRoot,
  source: string,
  more: Partial<Extract<BuildMount, { kind: 'bind' }>> = {},
): BuildMount {
  return {
    kind: 'bind',
    from,
    source: guestPath(source),
    target: guestPath('/m'),
    writable: false,
    ...more,
  }
}

/** A context of a few files; `more` are others. */
function contexts(
  run: RunTrial,
  more: Readonly<Record<string, string>> = {},
  ignore: readonly string[] = [],
): Record<string, PlanContext> {
  const files = { 'a.txt': 'a', 'sub/b.txt': 'b', 'sub/deep/c.txt': 'c', '.env': 'secret', ...more }
  mkdirSync(run.at('context/sub/deep'), { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(run.at('context', name), text)
  return { main: { directory: run.at('context'), ignore } }
}

const other = stageOf('other', [
  instruction(
    'mkdir -p /out/sub; echo made > /out/file; echo x > /out/sub/x; chown 1000:1000 /out/file; ln -s /out/file /out/link; ln -s ../../../../etc/passwd /out/up',
  ),
])

async function failureOf(t: ExecutionContext, work: () => Promise<unknown>): Promise<KauriError> {
  const error = await t.throwsAsync(work)
  if (error instanceof KauriError) return error
  throw error ?? new Error('it did not fail')
}

test('a context is mounted as root’s, read-only, without what it ignores, with its times', async t => {
  using run = await openRunTrial()
  const own = contexts(run, {}, ['.env', 'sub/deep'])
  chmodSync(run.at('context/a.txt'), 0o4711)
  utimesSync(run.at('context/a.txt'), 1_234_567, 1_234_567)
  const text =
    'cd /m; find . | sort; stat -c "%a %u %g %Y" a.txt; cat sub/b.txt; echo; touch x 2>/dev/null || echo refused'
  const { lines, snapshot } = await run.build([mounting(bind(context, '/'), text)], {
    contexts: own,
  })
  t.deepEqual(
    lines.filter(line => line !== ''),
    ['.', './a.txt', './sub', './sub/b.txt', '4711 0 0 1234567', 'b', 'refused'],
  )
  t.deepEqual(run.changes(snapshot), [])
})

test('a directory or file of the context, and one that is not there', async t => {
  using run = await openRunTrial()
  const own = { contexts: contexts(run) }
  t.deepEqual((await run.build([mounting(bind(context, '/sub'), 'ls /m')], own)).lines, [
    'b.txt',
    'deep',
  ])
  const file = await run.build([mounting(bind(context, '/a.txt'), 'test -f /m && cat /m')], own)
  t.deepEqual(file.lines, ['a'])
  t.deepEqual(run.changes(file.snapshot), [])
  const error = await failureOf(t, () => run.build([mounting(bind(context, '/nope'), 'true')], own))
  t.is(error.code, 'FILE_NOT_FOUND')
  t.regex(error.message, /"\/nope": not found$/)
  t.deepEqual(error.where, { file: 'Dockerfile', line: 3, column: 1 })
})

test('what is ignored cannot be mounted by its name', async t => {
  using run = await openRunTrial()
  const own = { contexts: contexts(run, {}, ['.env']) }
  const error = await failureOf(t, () => run.build([mounting(bind(context, '/.env'), 'true')], own))
  t.regex(error.message, /"\/\.env": not found$/)
})

for (const source of ['/escape', '/../../escape', '/sub/../escape', '/absolute', '/loop'])
  test(`the source ${source} does not lead out of the context`, async t => {
    using run = await openRunTrial()
    const own = { contexts: contexts(run) }
    writeFileSync(run.at('outside'), 'of the host')
    symlinkSync('../outside', run.at('context/escape'))
    symlinkSync(run.at('outside'), run.at('context/absolute'))
    symlinkSync('loop', run.at('context/loop'))
    const built = await run
      .build([mounting(bind(context, source), 'cat /m 2>&1; true')], own)
      .catch((error: unknown) => error)
    t.true(built instanceof KauriError)
    t.is((built as KauriError).code, 'FILE_NOT_FOUND')
  })

test('what a step writes to a writable mount is there for it, and gone afterwards', async t => {
  using run = await openRunTrial()
  const own = { contexts: contexts(run), stages: [other] }
  const text = 'echo new > /m/new; echo changed > /m/a.txt; rm -r /m/sub; ls /m; cat /m/a.txt'
  const first = await run.build([mounting(bind(context, '/', { writable: true }), text)], own)
  t.deepEqual(first.lines, ['a.txt', 'new', 'changed'])
  t.is(readFileSync(run.at('context/a.txt'), 'utf8'), 'a')
  const second = await run.build(
    [
      mounting(bind(stage, '/out', { writable: true }), 'rm /m/file; touch /m/2; ls /m'),
      mounting(bind(stage, '/out'), 'ls /m; touch /m/3 2>/dev/null || echo refused'),
    ],
    own,
  )
  t.deepEqual(second.lines, ['2', 'link', 'sub', 'up', 'file', 'link', 'sub', 'up', 'refused'])
})

test('a stage shows its own owners; a file of it, links in it and the whole of it can be mounted', async t => {
  using run = await openRunTrial()
  const own = { stages: [other] }
  const show = async (source: string, text: string) =>
    (await run.build([mounting(bind(stage, source), text)], own)).lines
  t.deepEqual(await show('/out/file', 'stat -c "%u %F" /m; cat /m'), ['1000 regular file', 'made'])
  t.deepEqual(await show('/out/link', 'cat /m'), ['made'])
  t.deepEqual(await show('/out/up', 'head -n1 /m'), ['root:x:0:0:root:/root:/bin/sh'])
  t.deepEqual(await show('/', 'ls /m/out; ls /m/proc 2>/dev/null | wc -l'), [
    'file',
    'link',
    'sub',
    'up',
    '0',
  ])
})

test('programs of another stage run from its mount', async t => {
  using run = await openRunTrial()
  const { lines } = await run.build([mounting(bind(stage, '/'), '/m/usr/bin/cat /m/out/file')], {
    stages: [other],
  })
  t.deepEqual(lines, ['made'])
})

test('two mounts of one stage, one writable, know nothing of each other', async t => {
  using run = await openRunTrial()
  const step = instruction('echo x > /w/new; ls /r/new 2>/dev/null || echo apart', {
    buildMounts: [
      bind(stage, '/out', { target: guestPath('/w'), writable: true }),
      bind(stage, '/out', { target: guestPath('/r') }),
    ],
  })
  t.deepEqual((await run.build([step], { stages: [other] })).lines, ['apart'])
})

test('the key is the content that is shown: nothing else, and no time', async t => {
  using run = await openRunTrial()
  const step = mounting(bind(context, '/sub'), 'cat /m/b.txt > /copy')
  const isCached = async (more?: Record<string, string>) => {
    const built = await run.build([step], { contexts: contexts(run, more) })
    return built.steps.at(-1)?.cached
  }
  t.false(await isCached())
  t.true(await isCached())
  utimesSync(run.at('context/sub/b.txt'), 1000, 1000)
  t.true(await isCached({ 'a.txt': 'other' }))
  t.false(await isCached({ 'sub/b.txt': 'other' }))
  chmodSync(run.at('context/sub/b.txt'), 0o600)
  t.false(await isCached({ 'sub/b.txt': 'other' }))
})

test('an editor at work changes neither what a step sees nor what its result is named', async t => {
  using run = await openRunTrial()
  const step = mounting(
    bind(context, '/'),
    'echo ready; until test -e /c/written; do sleep 0.05; done; cat /m/a.txt > /seen',
    { buildMounts: [bind(context, '/'), cacheMount('flag', '/c')] },
  )
  const built = await run.build([step], {
    contexts: contexts(run),
    onLine(line) {
      if (line !== 'ready') return
      writeFileSync(run.at('context/a.txt'), 'changed meanwhile')
      const [mount = ''] = readdirSync(run.at('data/cache/mounts'))
      writeFileSync(run.at('data/cache/mounts', mount, 'data/written'), '')
    },
  })
  t.is(run.read(built.snapshot, '/seen'), 'a')
})

test('an edited context is a layer on the copy before; of one that lasts for a build no copy is kept', async t => {
  using run = await openRunTrial()
  const step = (text: string) => mounting(bind(context, '/'), text)
  const count = async () => (await run.parts.snapshotter.list()).length
  await run.build([step('cat /m/a.txt')], { contexts: contexts(run) })
  const before = await count()
  await run.build([step('ls /m')], { contexts: contexts(run) })
  t.is(await count(), before + 1)
  const edited = { contexts: contexts(run, { 'a.txt': 'edited' }) }
  t.deepEqual((await run.build([step('cat /m/a.txt /m/sub/b.txt')], edited)).lines, ['editedb'])
  t.is(await count(), before + 3)
  const passing = `${run.dataRoot}/scratch/context`
  mkdirSync(passing, { recursive: true })
  writeFileSync(`${passing}/only`, 'x')
  const { lines } = await run.build([step('cat /m/only')], {
    contexts: { main: { directory: passing } },
  })
  t.deepEqual(lines, ['x'])
  t.is(await count(), before + 4)
})

test('a temporary file system has its size, and nothing of it stays', async t => {
  using run = await openRunTrial()
  const mount: BuildMount = { kind: 'tmpfs', target: guestPath('/t'), sizeBytes: 1024 * 1024 }
  const text =
    'stat -f -c %T /t; stat -c %a /t; dd if=/dev/zero of=/t/x bs=1k count=2000 2>&1 | grep -c "No space"; ls /t'
  const { lines, snapshot } = await run.build([mounting(mount, text)])
  t.deepEqual(lines, ['tmpfs', '1777', '1', 'x'])
  t.deepEqual(run.changes(snapshot), [])
})

test('mounts inside mounts, in whatever order they are written', async t => {
  using run = await openRunTrial()
  const step = instruction('find /m | sort; echo y > /m/sub/deep/y; cat /m/sub/deep/y', {
    buildMounts: [
      cacheMount('inner', '/m/sub/deep'),
      bind(context, '/', { target: guestPath('/m') }),
    ],
  })
  const { lines, snapshot } = await run.build([step], { contexts: contexts(run, {}, ['.env']) })
  t.deepEqual(lines, ['/m', '/m/a.txt', '/m/sub', '/m/sub/b.txt', '/m/sub/deep', 'y'])
  t.deepEqual(run.changes(snapshot), [])
})

test('a mount on /etc shows what it shows, without files of the build’s own', async t => {
  using run = await openRunTrial()
  const mount = bind(stage, '/out', { target: guestPath('/etc') })
  const { lines, snapshot } = await run.build([mounting(mount, 'ls /etc')], { stages: [other] })
  t.deepEqual(lines, ['file', 'link', 'sub', 'up'])
  t.deepEqual(run.changes(snapshot), [])
})

test('a mount that needs a place which a read-only mount around it does not have is refused', async t => {
  using run = await openRunTrial()
  const step = instruction('true', {
    buildMounts: [bind(context, '/'), cacheMount('inner', '/m/not/there')],
  })
  const error = await failureOf(t, () => run.build([step], { contexts: contexts(run) }))
  t.is(error.code, 'LAUNCH_FAILED')
  t.is(error.where?.line, 3)
})

test('a cache starts with what another stage has, and again where that changes', async t => {
  using run = await openRunTrial()
  const cache = cacheMount('warm', '/c', { from: stage, source: guestPath('/out') })
  const build = (mark: string, stages = [other]) =>
    run.build([mounting(cache, `: ${mark}; ls /c; stat -c "%u" /c/file; touch /c/mine`)], {
      stages,
    })
  t.deepEqual((await build('1')).lines, ['file', 'link', 'sub', 'up', '1000'])
  t.deepEqual((await build('2')).lines, ['file', 'link', 'mine', 'sub', 'up', '1000'])
  const changed = stageOf('other', [instruction('mkdir /out; echo other > /out/file')])
  t.deepEqual((await build('3', [changed])).lines, ['file', '0'])
})

test('where trees are copies, mounts of stages and contexts are as anywhere', async t => {
  using run = await openRunTrial('copy')
  const step = instruction('cat /s/file /c/a.txt; echo x > /s/new; rm /c/a.txt; echo y > /own', {
    buildMounts: [
      bind(stage, '/out', { target: guestPath('/s'), writable: true }),
      bind(context, '/', { target: guestPath('/c'), writable: true }),
    ],
  })
  const more = { stages: [other], contexts: contexts(run) }
  const { lines, snapshot } = await run.build([step], more)
  t.deepEqual(lines, ['made', 'a'])
  using tree = run.parts.snapshotter.open(snapshot)
  t.deepEqual(
    ['own', 's', 'c', 'etc/hosts', 'etc/resolv.conf', 'proc', 'dev'].filter(name =>
      existsSync(`${tree.path}/${name}`),
    ),
    ['own'],
  )
})

for (const target of ['/', '/proc', '/proc/self', '/a/../b'])
  test(`nothing can be mounted on ${target}`, async t => {
    using run = await openRunTrial()
    const mount = { kind: 'tmpfs', target: target as ReturnType<typeof guestPath> } as const
    const error = await failureOf(t, () => run.build([mounting(mount, 'true')]))
    t.is(error.code, 'USAGE')
  })
