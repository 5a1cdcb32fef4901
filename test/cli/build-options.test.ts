// What the words of `kauri build` mean, option by option, and which are refused.

import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import test from 'ava'
import { readAnnotations, readCacheSource, readCacheTarget } from '../../src/cli/build-cache.ts'
import { readCaller, readSecrets, readSsh } from '../../src/cli/build-caller.ts'
import { buildOptions, optionsForDescriptions } from '../../src/cli/build-options.ts'
import { readOutputs } from '../../src/cli/build-outputs.ts'
import { readSettings } from '../../src/cli/build-settings.ts'
import { readTimes } from '../../src/cli/build-values.ts'
import type { ParsedOptions } from '../../src/cli/command.ts'
import { globalOptions } from '../../src/cli/global-options.ts'
import { optionTable, parsedOptions, scanWords } from '../../src/cli/option-parser.ts'
import { KauriError } from '../../src/core/errors.ts'
import { parseReference } from '../../src/oci/reference.ts'
import { makeScratch } from '../helpers/scratch.ts'

function optionsOf(...words: readonly string[]): ParsedOptions {
  const table = optionTable(buildOptions, globalOptions)
  const scanned = scanWords([...words, '.'], table)
  if (scanned.problem !== undefined) throw scanned.problem
  return parsedOptions(scanned.values, table)
}

// Whoever runs the tests may have a time of its own.
test.before(() => {
  delete process.env['SOURCE_DATE_EPOCH']
})

const noTerminal = (): boolean => false
const names = [parseReference('a:1')]

test('outputs are what docker buildx takes', t => {
  const cases: readonly (readonly [readonly string[], unknown])[] = [
    [[], [{ kind: 'store', names }]],
    [['--load'], [{ kind: 'store', names }]],
    [['-o', 'type=image'], [{ kind: 'store', names }]],
    [['-o', 'type=docker'], [{ kind: 'store', names }]],
    [['-o', 'out'], [{ kind: 'directory', directory: path.resolve('out') }]],
    [['-o', 'type=local,dest=out'], [{ kind: 'directory', directory: path.resolve('out') }]],
    [['-o', '-'], [{ kind: 'tar', destination: '-' }]],
    [['-o', 'type=tar'], [{ kind: 'tar', destination: '-' }]],
    [['-o', 'type=tar,dest=x'], [{ kind: 'tar', destination: path.resolve('x') }]],
    [['-o', '"type=tar","dest=x,y"'], [{ kind: 'tar', destination: path.resolve('x,y') }]],
    [
      ['-o', 'type=docker,dest=x'],
      [{ kind: 'docker-archive', destination: path.resolve('x'), names }],
    ],
    [['-o', 'type=oci,dest=x'], [{ kind: 'oci-archive', destination: path.resolve('x'), names }]],
    [
      ['-o', 'type=oci,tar=false,dest=x'],
      [{ kind: 'oci-directory', directory: path.resolve('x'), names }],
    ],
    [['-o', 'type=cacheonly'], []],
    [['--push'], [{ kind: 'registry', names, byDigest: false }]],
    [['-o', 'type=registry,push-by-digest=true'], [{ kind: 'registry', names, byDigest: true }]],
    [
      ['-o', 'type=image,push=true'],
      [
        { kind: 'store', names },
        { kind: 'registry', names, byDigest: false },
      ],
    ],
    [
      ['-o', 'type=image,name=b:2,store=true'],
      [{ kind: 'store', names: [...names, parseReference('b:2')] }],
    ],
  ]
  for (const [words, outputs] of cases) {
    const read = readOutputs(optionsOf('-t', 'a:1', ...words), noTerminal)
    t.deepEqual(read.outputs as unknown, outputs, words.join(' '))
  }
})

test('an output that nothing would honour is refused', t => {
  const refused = [
    ['-o', 'dest=x,tar=false'],
    ['-o', 'type=none'],
    ['-o', 'type=local'],
    ['-o', 'type=oci,tar=false'],
    ['-o', 'type=tar,dest=x,colour=red'],
    ['-o', 'type=image,store=perhaps'],
    ['-o', 'type=image,force-compression=true'],
    ['-o', 'type=image,oci-mediatypes=false'],
    ['-o', 'type=image,compression=lzma'],
    ['-o', 'type=image,compression=gzip,compression-level=12'],
    ['-o', 'type=image,compression=gzip', '-o', 'type=oci,dest=x,compression=zstd'],
    ['-o', '-', '-o', 'type=tar'],
    ['-t', 'Upper'],
    ['-t', `x@sha256:${'0'.repeat(64)}`],
  ]
  for (const words of refused)
    t.throws(
      () => readOutputs(optionsOf(...words), noTerminal),
      { instanceOf: KauriError },
      words.join(' '),
    )
  t.throws(() => readOutputs(optionsOf('--push'), noTerminal), { message: /tag is needed/ })
  t.throws(() => readOutputs(optionsOf('-o', '-'), () => true), { message: /refusing to write/ })
})

test('compression, annotations and rewritten times of an output count for the image', t => {
  const text =
    'type=image,compression=gzip,compression-level=9,annotation.a=1,annotation-index.b=2,rewrite-timestamp=true'
  const read = readOutputs(optionsOf('-o', text), noTerminal)
  t.deepEqual(read.compression, { codec: 'gzip', level: 9 })
  t.deepEqual(read.annotations, ['a=1', 'index:b=2'])
  t.true(read.rewritesTimestamps)
  const plain = readOutputs(optionsOf('-o', 'type=image,compression=uncompressed'), noTerminal)
  t.deepEqual(plain.compression, { codec: 'none' })
})

test('annotations name the document that they are on', t => {
  t.deepEqual(readAnnotations(['a=b=c', 'index,manifest[linux/amd64]:k=v']), [
    { on: 'manifest', key: 'a', value: 'b=c' },
    { on: 'index', key: 'k', value: 'v' },
    {
      on: 'manifest',
      key: 'k',
      value: 'v',
      platform: { os: 'linux', architecture: 'amd64' },
    },
  ])
  for (const text of ['novalue', '=x', 'layer:a=b'])
    t.throws(() => readAnnotations([text]), { instanceOf: KauriError }, text)
})

test('caches are named by a reference, a directory or the image itself', t => {
  t.deepEqual(readCacheSource('example.org/a:c'), {
    kind: 'registry',
    reference: parseReference('example.org/a:c'),
  })
  t.deepEqual(readCacheSource('type=local,src=/c,tag=t'), {
    kind: 'local',
    directory: '/c',
    tag: 't',
  })
  const usual = { mode: 'min', ignoresErrors: false, cacheMounts: false }
  t.deepEqual(readCacheTarget('type=inline'), { kind: 'inline', ...usual })
  t.deepEqual(readCacheTarget('type=local,dest=/c,mode=max,ignore-error=true'), {
    kind: 'local',
    directory: '/c',
    mode: 'max',
    ignoresErrors: true,
    cacheMounts: true,
  })
  t.deepEqual(readCacheTarget('type=registry,ref=a,mode=max,cache-mounts=false'), {
    kind: 'registry',
    reference: parseReference('a'),
    ...usual,
    mode: 'max',
  })
  for (const text of ['type=gha', 'type=s3,bucket=x', 'type=registry', 'src=/c', 'type=local'])
    t.throws(() => readCacheSource(text), { instanceOf: KauriError }, text)
  for (const text of [
    'type=local,dest=/c,mode=some',
    'type=inline,x=y',
    'type=registry,ref=a,oci-mediatypes=false',
  ])
    t.throws(() => readCacheTarget(text), { instanceOf: KauriError }, text)
})

test('secrets come from files and variables', t => {
  using scratch = makeScratch()
  const file = scratch.at('s')
  writeFileSync(file, 'x')
  const environment = { TOKEN: 't', both: 'v' }
  const read = (text: string): unknown => Object.fromEntries(readSecrets([text], environment))
  t.deepEqual(read(`id=a,src=${file}`), { a: { kind: 'file', path: file } })
  t.deepEqual(read(`source=${file}`), { s: { kind: 'file', path: file } })
  t.deepEqual(read('id=a,env=TOKEN'), { a: { kind: 'variable', name: 'TOKEN' } })
  t.deepEqual(read('id=a,type=env,src=TOKEN'), { a: { kind: 'variable', name: 'TOKEN' } })
  t.deepEqual(read('id=both'), { both: { kind: 'variable', name: 'both' } })
  t.deepEqual(read(`"id=a,b",src=${file}`), { 'a,b': { kind: 'file', path: file } })
  const missing = t.throws(() => read('id=a,src=/none/x'), { instanceOf: KauriError })
  t.is(missing?.message, 'failed to stat /none/x: no such file or directory')
  writeFileSync(file, Buffer.alloc(600 * 1024))
  t.throws(() => read(`id=a,src=${file}`), { message: /invalid secret size 614400/ })
  for (const text of ['a', 'id=a,type=vault', 'id=a,mode=0400', 'env=TOKEN'])
    t.throws(() => read(text), { instanceOf: KauriError }, text)
})

test('ssh takes the agent of the caller, another socket, or keys', async t => {
  using scratch = makeScratch()
  const socket = scratch.at('agent')
  const key = scratch.at('key')
  writeFileSync(key, 'k')
  const server = createServer()
  await new Promise<void>(resolve => server.listen(socket, resolve))
  try {
    const read = (text: string): unknown =>
      Object.fromEntries(readSsh([text], { SSH_AUTH_SOCK: socket }))
    t.deepEqual(read('default'), { default: { kind: 'agent', socket } })
    t.deepEqual(read(`a=${socket}`), { a: { kind: 'agent', socket } })
    t.deepEqual(read(`a=${key},${key}`), { a: { kind: 'keys', paths: [key, key] } })
    t.throws(() => read(`a=${key},${socket}`), { message: /--ssh does not take/ })
    t.throws(() => read('a=/none/x'), { message: /no socket or key/ })
    t.throws(() => readSsh(['default'], {}), { instanceOf: KauriError, code: 'USAGE' })
  } finally {
    server.close()
  }
})

test('the host’s network and rights are handed over only when they are asked for', t => {
  const callerOf = (...words: readonly string[]): ReturnType<typeof readCaller> =>
    readCaller({ options: optionsOf(...words), environment: {}, buildArgs: new Map() })
  t.deepEqual([...callerOf().allow], [])
  t.deepEqual([...callerOf('--network', 'host').allow], ['network.host'])
  t.deepEqual([...callerOf('--allow', 'security.insecure').allow], ['security.insecure'])
  t.throws(() => callerOf('--allow', 'everything'), { instanceOf: KauriError })
})

test('limits are those of docker build', t => {
  const options = optionsOf(
    ...'-m 64m --cpu-period 50000 --cpu-quota 25000 --cpu-shares 512 --shm-size 1m'.split(' '),
    ...'--ulimit nofile=10:20 --add-host a:10.0.0.1,b=::1 --add-host h:host-gateway'.split(' '),
  )
  const { limits } = readCaller({ options, environment: {}, buildArgs: new Map() })
  t.is(limits.resources?.memory?.limit, 64 * 1024 * 1024)
  t.deepEqual(limits.resources?.cpu, { shares: 512, period: 50_000, quota: 25_000 })
  t.is(limits.shmSizeBytes, 1024 * 1024)
  t.deepEqual(limits.rlimits, [{ type: 'RLIMIT_NOFILE', soft: 10, hard: 20 }])
  t.deepEqual(limits.extraHosts, ['a:10.0.0.1', 'b:::1', 'h:host-gateway'])
  t.throws(
    () =>
      readCaller({
        options: optionsOf('--cpus', '1', '--cpu-quota', '1000'),
        environment: {},
        buildArgs: new Map(),
      }),
    { code: 'USAGE' },
  )
})

test('build arguments, platforms, labels and stages are read into settings', t => {
  const settings = readSettings(
    optionsOf(
      ...'--build-arg A=1 --build-arg FROM_CALLER --build-arg NOT_SET'.split(' '),
      ...'--build-arg http_proxy=p --build-arg BUILDKIT_INLINE_CACHE=1'.split(' '),
      ...'--platform linux/arm64,linux/amd64 --platform linux/amd64'.split(' '),
      ...'--label a=b=c --label d --no-cache-filter One,two'.split(' '),
    ),
    { environment: { FROM_CALLER: 'x' }, isTerminal: noTerminal },
  )
  t.deepEqual(Object.fromEntries(settings.buildArgs), {
    A: '1',
    FROM_CALLER: 'x',
    http_proxy: 'p',
    BUILDKIT_INLINE_CACHE: '1',
  })
  t.deepEqual(settings.caller.proxyEnvironment, ['http_proxy=p'])
  t.deepEqual(
    settings.platforms.map(({ architecture }) => architecture),
    ['arm64', 'amd64'],
  )
  t.deepEqual(Object.fromEntries(settings.labels), { a: 'b=c', d: '' })
  t.deepEqual([...settings.noCacheStages], ['one', 'two'])
  t.deepEqual(
    settings.cacheTo.map(({ kind }) => kind),
    ['inline'],
  )
  t.is(settings.network, 'bridge')
})

test('an epoch stamps new layers, the build argument alone only dates the image, rewriting clamps', t => {
  const timesOf = (words: readonly string[], argumentSeconds?: number): unknown =>
    readTimes({ options: optionsOf(...words), argumentSeconds, rewrites: false })
  t.deepEqual(timesOf([]), { layers: 'kept' })
  t.deepEqual(timesOf(['--source-date-epoch', '5']), { createdSeconds: 5, layers: 'stamped' })
  t.deepEqual(timesOf([], 6), { createdSeconds: 6, layers: 'kept' })
  t.deepEqual(timesOf(['--rewrite-timestamp'], 6), { createdSeconds: 6, layers: 'clamped' })
  t.deepEqual(timesOf(['--build-arg', 'SOURCE_DATE_EPOCH=6'], 6), {
    createdSeconds: 6,
    layers: 'kept',
  })
  const both = ['--build-arg', 'SOURCE_DATE_EPOCH=6', '--source-date-epoch', '5']
  t.deepEqual(timesOf(both, 6), { createdSeconds: 5, layers: 'stamped' })
  process.env['SOURCE_DATE_EPOCH'] = '9'
  t.deepEqual(timesOf([]), { createdSeconds: 9, layers: 'stamped' })
  t.deepEqual(timesOf(['--build-arg', 'SOURCE_DATE_EPOCH=6'], 6), {
    createdSeconds: 6,
    layers: 'kept',
  })
  delete process.env['SOURCE_DATE_EPOCH']
  t.throws(() => timesOf(['--rewrite-timestamp']), { message: /no time to rewrite/ })
  t.throws(() => timesOf(['--source-date-epoch', 'x']), { code: 'USAGE' })
})

test('what a description has no use for is known by name', t => {
  const known = new Set(buildOptions.map(({ long }) => long))
  for (const long of optionsForDescriptions) t.true(known.has(long), long)
})
