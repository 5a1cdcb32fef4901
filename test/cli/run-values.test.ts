// Values of `kauri run`'s options, as docker's users write them.

import { writeFileSync } from 'node:fs'
import test from 'ava'
import { readEnvironment } from '../../src/cli/environment-options.ts'
import { parseMount } from '../../src/cli/mount-fields.ts'
import { parseTmpfs, parseVolume } from '../../src/cli/mount-options.ts'
import {
  parseBoolean,
  parseBytes,
  parseCpuList,
  parseCpus,
  parseInteger,
  parseLabels,
  parseUlimit,
} from '../../src/cli/option-values.ts'
import { makeScratch } from '../helpers/scratch.ts'

for (const [text, want] of [
  ['0', 0],
  ['65536', 65536],
  ['64m', 64 * 1024 ** 2],
  ['64M', 64 * 1024 ** 2],
  ['64mb', 64 * 1024 ** 2],
  ['64MiB', 64 * 1024 ** 2],
  ['1.5g', 1.5 * 1024 ** 3],
  ['10b', 10],
  ['10 k', 10240],
  ['2t', 2 * 1024 ** 4],
] as const)
  test(`a size of ${text} is ${want} bytes`, t => {
    t.is(parseBytes('-m', text), want)
  })

for (const text of ['', 'm', '-1', '1x', '1mm', '1e3', '0x10', '1,5g', '99999999p', ' 1m'])
  test(`"${text}" is no size`, t => {
    t.throws(() => parseBytes('-m', text), { code: 'USAGE', message: /^-m/ })
  })

test('a number of processors becomes a quota', t => {
  t.is(parseCpus('--cpus', '1.5', 2), 150_000)
  t.is(parseCpus('--cpus', '.25', 2), 25_000)
  for (const text of ['', '0', '0.001', '3', '-1', 'x', '1.5.1', '.'])
    t.throws(() => parseCpus('--cpus', text, 2), { code: 'USAGE' }, text)
})

test('whole numbers have bounds', t => {
  t.is(parseInteger('--n', '-1', { min: -1, max: 5 }), -1)
  for (const text of ['', '6', '-2', '1.0', 'x', '99999999999999999999'])
    t.throws(() => parseInteger('--n', text, { min: -1, max: 5 }), { code: 'USAGE' }, text)
})

test('limits have a name, a soft and a hard value', t => {
  t.deepEqual(parseUlimit('--ulimit', 'nofile=1:2'), { type: 'RLIMIT_NOFILE', soft: 1, hard: 2 })
  t.deepEqual(parseUlimit('--ulimit', 'core=-1'), { type: 'RLIMIT_CORE', soft: -1, hard: -1 })
  for (const text of ['', 'nofile', 'nofile=', 'x=1', 'nofile=2:1', 'nofile=-1:5', 'nofile=1:2:3'])
    t.throws(() => parseUlimit('--ulimit', text), { code: 'USAGE' }, text)
})

test('lists of processors are numbers and ranges', t => {
  for (const text of ['0', '0-3', '0,2', '0-1,3']) t.is(parseCpuList('--cpuset-cpus', text), text)
  for (const text of ['', '-', '1-', 'a', '0,,1', '0 1'])
    t.throws(() => parseCpuList('--cpuset-cpus', text), { code: 'USAGE' }, text)
})

test('labels have a key', t => {
  t.deepEqual(parseLabels('-l', ['a', 'b=c=d', 'a=2']), { a: '2', b: 'c=d' })
  for (const text of ['', '=x']) t.throws(() => parseLabels('-l', [text]), { code: 'USAGE' })
})

test('truth is spelled in several ways', t => {
  for (const text of ['1', 't', 'true', 'TRUE']) t.true(parseBoolean('--x', text))
  for (const text of ['0', 'f', 'false']) t.false(parseBoolean('--x', text))
  t.throws(() => parseBoolean('--x', 'yes'), { code: 'USAGE' })
})

const bind = {
  kind: 'bind',
  source: '/s',
  destination: '/d',
  readOnly: false,
  recursive: true,
  propagation: 'rprivate',
  makeSource: true,
}

const volume = { kind: 'volume', anonymous: true, destination: '/d', readOnly: false, copy: true }

for (const [text, want] of [
  ['/s:/d', bind],
  ['/s:/d/', bind],
  ['/x/../s:/d', bind],
  ['/s:/d:ro', { ...bind, readOnly: true }],
  ['/s:/d:rw,rslave', { ...bind, propagation: 'rslave' }],
  ['./s:/d', { ...bind, source: `${process.cwd()}/s` }],
  ['/s:/d:rshared', { ...bind, propagation: 'rshared' }],
  ['/s:/d:bind', { ...bind, recursive: false }],
  ['/d', volume],
  ['data:/d', { ...volume, name: 'data', anonymous: false }],
  ['data:/d:ro,nocopy', { ...volume, name: 'data', anonymous: false, readOnly: true, copy: false }],
] as const)
  test(`-v ${text} is understood`, t => {
    t.deepEqual<object, object>(parseVolume(text), want)
  })

for (const text of [
  '',
  ':',
  '/s:',
  ':/d',
  '/s:d',
  '/s:/',
  '/s:/d:xx',
  '/s:/d:ro:rw',
  '/s:/d:nocopy',
  'data:/d:rshared',
  'x:/d',
  '-data:/d',
  'da/ta:/d',
  '/s:/..',
])
  test(`-v ${text} is refused`, t => {
    t.throws(() => parseVolume(text), { code: 'USAGE' })
  })

const long = { ...bind, makeSource: false }

for (const [text, want] of [
  ['type=bind,source=/s,target=/d', long],
  ['type=bind,src=/s,dst=/d,ro', { ...long, readOnly: true }],
  ['type=bind,src=/s,destination=/d,readonly=true', { ...long, readOnly: true }],
  ['type=bind,src=/s,dst=/d,bind-nonrecursive', { ...long, recursive: false }],
  ['type=bind,src=/s,dst=/d,bind-propagation=rslave', { ...long, propagation: 'rslave' }],
  ['type=tmpfs,dst=/d', { kind: 'tmpfs', destination: '/d', options: [] }],
  [
    'type=tmpfs,dst=/d,tmpfs-size=1m,tmpfs-mode=700',
    { kind: 'tmpfs', destination: '/d', options: ['size=1048576', 'mode=700'] },
  ],
  ['dst=/d', volume],
  [
    'type=bind,src=/s,dst=/d,ro,bind-recursive=writable',
    { ...long, readOnly: true, writableBelow: true },
  ],
  ['type=bind,src=/s,dst=/d,rro', { ...long, readOnly: true }],
  ['type=bind,src=/s,dst=/d,bind-recursive=disabled', { ...long, recursive: false }],
  ['type=bind,"src=/a,b",dst=/d', { ...long, source: '/a,b' }],
  [
    'type=bind,src=/s,dst=/d,idmap=uids=0-1000-1#5-6-7;gids=0-2-3',
    {
      ...long,
      idMapping: {
        uids: [
          { containerId: 0, hostId: 1000, size: 1 },
          { containerId: 5, hostId: 6, size: 7 },
        ],
        gids: [{ containerId: 0, hostId: 2, size: 3 }],
      },
    },
  ],
  [
    'src=data,dst=/d,volume-subpath=a//b,volume-nocopy,volume-label=k=v,volume-opt=type=tmpfs,volume-opt=device=tmpfs',
    {
      ...volume,
      name: 'data',
      anonymous: false,
      copy: false,
      subpath: 'a/b',
      labels: { k: 'v' },
      options: { type: 'tmpfs', device: 'tmpfs' },
    },
  ],
] as const)
  test(`--mount ${text} is understood`, t => {
    t.deepEqual<object, object>(parseMount(text), want)
  })

for (const text of [
  '',
  'type=bind,dst=/d',
  'type=bind,src=/s',
  'type=moon,dst=/d',
  'type=tmpfs,dst=/d,source=/s',
  'type=bind,src=/s,dst=/d,tmpfs-size=1m',
  'type=bind,src=/s,dst=/d,readonly=maybe',
  'type=tmpfs,dst=/d,tmpfs-mode=999',
  'src=data,dst=/d,volume-subpath=../x',
  'src=data,dst=/d,volume-subpath=/x',
  'src=data,dst=/d,volume-driver=moon',
  'type=bind,src=/s,dst=/d,bind-recursive=perhaps',
  'type=bind,src=/s,dst=/d,bind-propagation=wide',
  'type=bind,src=/s,dst=/d,idmap',
  'type=bind,src=/s,dst=/d,idmap=uids=0-1-0;gids=0-1-1',
])
  test(`--mount ${text} is refused`, t => {
    t.throws(() => parseMount(text), { code: 'USAGE' })
  })

test('--tmpfs takes options of a temporary file system and no others', t => {
  t.deepEqual(parseTmpfs('/t:size=64m,mode=1777,exec'), {
    kind: 'tmpfs',
    destination: '/t',
    options: ['size=64m', 'mode=1777', 'exec'],
  })
  for (const text of ['t', '/', '/t:bind', '/t:lowerdir=/', '/t:size=x'])
    t.throws(() => parseTmpfs(text), { code: 'USAGE' }, text)
})

test('files of variables have comments, callers’ values, and positions for what is wrong', async t => {
  using scratch = makeScratch()
  const file = scratch.at('env')
  writeFileSync(file, '\uFEFFA=1\r\n# no\n\n  B = 2\nC\nD\n')
  await t.throwsAsync(readEnvironment([file], [], {}), {
    code: 'USAGE',
    message: /"B "/,
  })
  writeFileSync(file, '\uFEFFA=1\r\n  # no\n  B=2 # kept\nC\nD\n')
  t.deepEqual(await readEnvironment([file], ['E', 'F', 'A=3'], { C: 'c', E: 'e' }), [
    'A=1',
    'B=2 # kept',
    'C=c',
    'E=e',
    'F',
    'A=3',
  ])
  await t.throwsAsync(readEnvironment([scratch.at('none')], [], {}), { code: 'USAGE' })
})
