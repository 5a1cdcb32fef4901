// Cache mounts in the real runtime: what lives on, who waits for whom, how they go, and what a hostile step cannot do.

import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { collectCacheMounts, listCacheMounts } from '../../src/build/cache-mount-collection.ts'
import {
  exportCacheMounts,
  importCacheMount,
  isCacheMount,
} from '../../src/build/cache-mount-exchange.ts'
import { cacheMountRoot } from '../../src/build/cache-mounts.ts'
import { KauriError } from '../../src/core/errors.ts'
import type { BuildMount } from '../../src/plan/plan.ts'
import { testWith } from '../helpers/needs.ts'
import {
  cacheMount,
  instruction,
  mounting,
  openRunTrial,
  type RunTrial,
} from '../helpers/run-steps.ts'
import { tarOf } from '../helpers/tar.ts'

const test = testWith({ root: true })

test('a cache lives on between builds, and is in no layer', async t => {
  using run = await openRunTrial()
  const cache = cacheMount('/c', '/c')
  const first = await run.build([mounting(cache, 'echo kept > /c/file; echo x > /own')])
  t.deepEqual(run.changes(first.snapshot), ['own'])
  const second = await run.build([mounting(cache, 'cat /c/file')])
  t.deepEqual(second.lines, ['kept'])
})

test('another id is another directory and another key', async t => {
  using run = await openRunTrial()
  const count = 'ls /c | wc -l; touch /c/x'
  const first = await run.build([mounting(cacheMount('a', '/c'), count)])
  const second = await run.build([mounting(cacheMount('b', '/c'), count)])
  const third = await run.build([mounting(cacheMount('a', '/c'), count)])
  t.deepEqual([first.lines, second.lines], [['0'], ['0']])
  t.true(third.steps.every(({ cached }) => cached))
  t.not(first.snapshot, second.snapshot)
})

test('mode and owner are those of the first use; a read-only cache cannot be written', async t => {
  using run = await openRunTrial()
  const cache = cacheMount('a', '/c', { mode: 0o2750, uid: 1000, gid: 2000 })
  const { lines } = await run.build([
    mounting(cache, 'stat -c "%a %u %g" /c; touch /c/x && echo written', { user: 'app' }),
    mounting(
      cacheMount('a', '/c', { mode: 0o2750, uid: 1000, gid: 2000, writable: false }),
      'ls /c; touch /c/y || echo refused',
    ),
  ])
  t.deepEqual(lines.slice(0, 3), ['2750 1000 2000', 'written', 'x'])
  t.is(lines.at(-1), 'refused')
})

for (const id of ['../../../escape', '/etc', '..', '.', 'a/../../b', '\\..\\x', ''])
  test(`CVE-2024-9675: the id ${JSON.stringify(id)} names a directory of the caches`, async t => {
    using run = await openRunTrial()
    await run.build([mounting(cacheMount(id, '/c'), 'echo stayed > /c/inside')])
    const root = cacheMountRoot(run.dataRoot)
    const names = readdirSync(root)
    t.is(names.length, 1)
    t.regex(names[0] ?? '', /^[0-9a-f]{64}\.0$/)
    t.is(readFileSync(path.join(root, names[0] ?? '', 'data/inside'), 'utf8'), 'stayed\n')
  })

test('links that a step plants in its cache lead the next one nowhere', async t => {
  using run = await openRunTrial()
  const secret = run.at('host-secret')
  writeFileSync(secret, 'of the host')
  const cache = cacheMount('a', '/c')
  await run.build([
    mounting(
      cache,
      `ln -s ${secret} /c/file; ln -s / /c/root; ln -s ../../../../.. /c/up; ln -s ${run.at()} /c/data`,
    ),
  ])
  const { lines } = await run.build([
    mounting(
      cache,
      `cat /c/file 2>&1; echo hacked > /c/file 2>/dev/null; ls /c/root${run.at()} 2>&1; ls /c/up/small 2>&1; true`,
    ),
  ])
  t.false(lines.join('\n').includes('of the host'))
  t.is(readFileSync(secret, 'utf8'), 'of the host')
  await collectCacheMounts(run.dataRoot, { usedBeforeMs: Date.now() + 60_000 })
  t.is(readFileSync(secret, 'utf8'), 'of the host')
  t.true(existsSync(run.at('small/usr/bin')))
})

test('a target through a link of the image stays inside the root', async t => {
  using run = await openRunTrial()
  const { lines, snapshot } = await run.build([
    instruction('ln -s ../../../../../../tmp /link'),
    mounting(cacheMount('a', '/link/c'), 'echo x > /link/c/y; ls /tmp'),
  ])
  t.deepEqual(lines, ['c'])
  t.deepEqual(run.changes(snapshot), ['tmp'])
  t.false(existsSync('/tmp/c'))
})

test('what a cache holds is out of reach of other users of the host', async t => {
  using run = await openRunTrial()
  await run.build([
    mounting(cacheMount('a', '/c', { mode: 0o777 }), 'cp /bin/id /c/id; chmod 4755 /c/id'),
  ])
  t.is(statSync(cacheMountRoot(run.dataRoot)).mode & 0o777, 0o700)
})

test('shared caches are used at the same time', async t => {
  using run = await openRunTrial()
  const meet = (own: string, other: string): string =>
    `touch /c/${own}; for i in $(seq 300); do test -e /c/${other} && echo met && exit; sleep 0.1; done; exit 1`
  const cache = cacheMount('a', '/c')
  const [one, two] = await Promise.all([
    run.build([mounting(cache, meet('one', 'two'))]),
    run.build([mounting(cache, meet('two', 'one'))]),
  ])
  t.deepEqual([one.lines, two.lines], [['met'], ['met']])
})

test('a locked cache lets one step in after the other, and tells who waits', async t => {
  using run = await openRunTrial()
  const cache = cacheMount('a', '/c', { sharing: 'locked' })
  const held = await holdCache(run, cache)
  let waiting = 0
  const onWarning = (): void => {
    if (++waiting === 2) held.letGo()
  }
  const text = 'mkdir /c/inside && sleep 0.2 && rm -r /c/inside && echo alone'
  const built = await Promise.all(
    ['1', '2'].map(mark => run.build([mounting(cache, `: ${mark}; ${text}`)], { onWarning })),
  )
  await held.building
  t.deepEqual(
    built.map(({ lines }) => lines.join()),
    ['alone', 'alone'],
  )
  const waits = built.flatMap(({ events }) =>
    events.flatMap(event => (event.kind === 'warning' ? [event.message] : [])),
  )
  t.deepEqual([...new Set(waits)], ['waiting for the cache "a", which another step uses'])
})

test('who waits for a locked cache can be stopped', async t => {
  using run = await openRunTrial()
  const cache = cacheMount('a', '/c', { sharing: 'locked' })
  const held = await holdCache(run, cache)
  const stop = new AbortController()
  const waiting = run.build([mounting(cache, 'echo in')], {
    signal: stop.signal,
    onWarning: () => stop.abort(),
  })
  const error = await t.throwsAsync(() => waiting)
  t.true(error instanceof KauriError && error.code === 'CANCELLED')
  held.letGo()
  await held.building
})

/** A step that has the cache until it is let go. */
async function holdCache(
  run: RunTrial,
  cache: BuildMount,
  atLast = ':',
): Promise<{ readonly building: Promise<unknown>; readonly letGo: () => void }> {
  const inside = Promise.withResolvers<void>()
  const script = `echo inside; until test -e /c/go; do sleep 0.05; done; rm /c/go; ${atLast}`
  const building = run.build([mounting(cache, script)], { onLine: () => inside.resolve() })
  await Promise.race([inside.promise, building])
  const [name = ''] = readdirSync(cacheMountRoot(run.dataRoot))
  const directory = path.join(cacheMountRoot(run.dataRoot), name, 'data')
  return { building, letGo: () => writeFileSync(path.join(directory, 'go'), '') }
}

test('a private cache in use means another directory, which the next one finds', async t => {
  using run = await openRunTrial()
  const cache = cacheMount('a', '/c', { sharing: 'private' })
  const held = await holdCache(run, cache, 'mkdir /c/mine')
  const { lines: other } = await run.build([mounting(cache, 'ls /c; mkdir /c/mine')])
  held.letGo()
  await held.building
  t.deepEqual(other, [])
  t.is(readdirSync(cacheMountRoot(run.dataRoot)).length, 2)
  const { lines } = await run.build([mounting(cache, 'ls /c')])
  t.deepEqual(lines, ['mine'])
})

test('one step may mount a locked cache twice', async t => {
  using run = await openRunTrial()
  const step = instruction('echo x > /a/f; cat /b/f', {
    buildMounts: [
      cacheMount('a', '/a', { sharing: 'locked' }),
      cacheMount('a', '/b', { sharing: 'locked' }),
    ],
  })
  t.deepEqual((await run.build([step])).lines, ['x'])
})

test('two steps with two locked caches in different order do not wait for each other for ever', async t => {
  using run = await openRunTrial()
  const both = (first: string, second: string) =>
    Array.from({ length: 4 }, (_, index) =>
      run.build([
        instruction(`: ${first} ${index}; echo done`, {
          buildMounts: [
            cacheMount(first, '/1', { sharing: 'locked' }),
            cacheMount(second, '/2', { sharing: 'locked' }),
          ],
        }),
      ]),
    )
  const built = await Promise.all([...both('a', 'b'), ...both('b', 'a')])
  t.true(built.every(({ lines }) => lines.join() === 'done'))
})

test('gc removes what is old, then what is too much, and never what is in use', async t => {
  using run = await openRunTrial()
  for (const id of ['old', 'big', 'small'])
    await run.build([
      mounting(
        cacheMount(id, '/c'),
        `dd if=/dev/zero of=/c/x bs=1k count=${id === 'big' ? 2048 : 64}`,
      ),
    ])
  const names = (await listCacheMounts(run.dataRoot)).map(({ id, name }) => [id, name] as const)
  const old = path.join(cacheMountRoot(run.dataRoot), new Map(names).get('old') ?? '', 'mount.json')
  utimesSync(old, 1_000_000, 1_000_000)
  const listed = await listCacheMounts(run.dataRoot)
  t.is(listed[0]?.id, 'old')
  t.true(listed.every(({ inUse, bytes }) => !inUse && bytes >= 64 * 1024))
  const dry = await collectCacheMounts(run.dataRoot, { usedBeforeMs: 2_000_000_000, dryRun: true })
  t.is(dry.mounts, 1)
  const byAge = await collectCacheMounts(run.dataRoot, { usedBeforeMs: 2_000_000_000 })
  t.deepEqual(byAge, dry)
  const bySize = await collectCacheMounts(run.dataRoot, { usedBeforeMs: 0, maxBytes: 1024 * 1024 })
  t.is(bySize.mounts, 1)
  t.deepEqual(
    (await listCacheMounts(run.dataRoot)).map(({ id }) => id),
    ['small'],
  )
  const busy = await holdCache(run, cacheMount('small', '/c'))
  t.is((await collectCacheMounts(run.dataRoot, { usedBeforeMs: Date.now() + 1000 })).mounts, 0)
  busy.letGo()
  await busy.building
  t.deepEqual((await run.build([mounting(cacheMount('small', '/c'), 'ls /c')])).lines, ['x'])
})

test('a cache goes to another machine and comes back as it was, in equal bytes', async t => {
  using run = await openRunTrial()
  using other = await openRunTrial()
  const cache = cacheMount('a', '/c', { mode: 0o770, uid: 1000, gid: 1000 })
  await run.build([
    mounting(
      cache,
      'echo x > /c/f; ln -s f /c/l; ln /c/f /c/h; chown 1000:2000 /c/f; chmod 4755 /c/f',
    ),
    mounting(cacheMount('b', '/c'), 'echo y > /c/f'),
  ])
  const pack = async () => {
    const packed = []
    for await (const { annotations, openTar } of exportCacheMounts(run.dataRoot, new Set(['a'])))
      packed.push({ annotations, tar: Buffer.concat(await Array.fromAsync(openTar())) })
    return packed
  }
  const packed = await pack()
  t.deepEqual(await pack(), packed)
  t.is(packed.length, 1)
  const { annotations, tar } = packed[0] ?? { annotations: {}, tar: Buffer.alloc(0) }
  t.true(isCacheMount(annotations))
  const bring = (ids: 'all' | ReadonlySet<string> = 'all') =>
    importCacheMount(
      other.dataRoot,
      annotations,
      async function* () {
        yield tar
      },
      { ids },
    )
  t.false(await bring(new Set(['b'])), 'a cache fills no mount of other builds')
  t.true(await bring(new Set(['a'])))
  t.false(await bring())
  const { lines } = await other.build([
    mounting(cache, 'stat -c "%a %u %g %h" /c/f /c; readlink /c/l; cat /c/h'),
  ])
  t.deepEqual(lines, ['4755 1000 2000 2', '770 1000 1000 2', 'f', 'x'])
})

test('a cache mount from outside stays in its directory, and must say which one it is', async t => {
  using run = await openRunTrial()
  const record = '{"gid":0,"id":"../../x","mode":493,"uid":0}'
  const tar = tarOf(
    { name: 'up', type: '2', link: '../../../..' },
    { name: 'up/escaped', body: 'x' },
    { name: '../escaped', body: 'x' },
  )
  const bring = (text: string) =>
    importCacheMount(
      run.dataRoot,
      { 'dev.kauri.cache-mount': text },
      async function* () {
        yield tar
      },
      { ids: 'all' },
    )
  for (const text of ['', '{', '{}', '{"id":"a","mode":"x","uid":0,"gid":0}', '[]', 'null'])
    await t.throwsAsync(() => bring(text), { message: /does not say which one it is/ })
  await bring(record).catch((error: unknown) => t.true(error instanceof KauriError))
  const escaped = readdirSync(run.at(), { recursive: true }).map(String)
  t.deepEqual(
    escaped.filter(name => name.endsWith('escaped') && !/\.0\/data\//.test(name)),
    [],
  )
})
