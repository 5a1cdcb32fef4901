// Contexts and roots that want more than they are given: links out of them, things that are no files, names of every kind,
// archives. Nothing outside is read or written, and nothing hangs.

import { execFileSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { native } from '../../src/native/native.ts'
import type { AddStep, BuildStep } from '../../src/plan/plan.ts'
import { addOf, directoryOf, openAddTrial, stageOf, type TreeWords } from '../helpers/add-trial.ts'
import { testWith } from '../helpers/needs.ts'
import { tarOf } from '../helpers/tar.ts'

const test = testWith({ root: true })

/** Outside of every context and root, and never to be seen or touched. */
const outside = '/etc/passwd'

for (const { name, context, steps } of [
  {
    name: 'an absolute link as the source',
    context: { l: { link: outside } },
    steps: [addOf('/l', '/x')],
  },
  {
    name: 'a link to a directory above as the source',
    context: { up: { link: '../../../../../../../../../..' } },
    steps: [addOf('/up/etc/passwd', '/x')],
  },
  {
    name: 'a linked directory before a wildcard',
    context: { up: { link: '/etc' } },
    steps: [addOf('/up/pass*', '/x')],
  },
  {
    name: 'a pivot behind a link',
    context: { up: { link: '/etc' } },
    steps: [addOf('/up/./passwd', '/x/', { parents: true })],
  },
] as const)
  test(`${name} leads to nothing outside of the context`, async t => {
    using trial = await openAddTrial(context)
    await t.throwsAsync(trial.build(steps), { code: 'FILE_NOT_FOUND', message: /not found/ })
  })

test('links of another stage lead to that stage, whatever they say', async t => {
  using trial = await openAddTrial({ passwd: 'theirs', l: { link: outside } })
  const stages = [stageOf('base', [addOf('/passwd', '/etc/passwd'), addOf('/', '/links')])]
  const from: AddStep['from'] = { kind: 'stage', stage: 'base' }
  const built = await trial.build([addOf('/links/l', '/x', { from })], { stages })
  t.deepEqual(trial.list(built), ['/x 0644 0:0 theirs'])
})

for (const { name, first, target } of [
  { name: 'an absolute link', first: { 'r/x': { link: '/tmp/evil' } }, target: '/x/f' },
  {
    name: 'a link upwards',
    first: { 'r/x': { link: '../../../../../../tmp/evil' } },
    target: '/x/',
  },
  {
    name: 'a chain of links',
    first: { 'r/x': { link: 'y' }, 'r/y': { link: '/../tmp/evil' } },
    target: '/x/f',
  },
] as const satisfies readonly { name: string; first: TreeWords; target: string }[])
  test(`${name} at the target is followed inside the root`, async t => {
    using trial = await openAddTrial({ ...first, f: 'F' })
    const built = await trial.build([addOf('/r', '/'), addOf('/f', target)])
    t.true(trial.list(built).includes('/tmp/evil/f 0644 0:0 F'))
    t.throws(() => lstatSync('/tmp/evil'))
  })

test('a link below the target is never followed', async t => {
  using trial = await openAddTrial({ 'r/d': { link: '/tmp' }, 's/d/f': 'F' })
  await t.throwsAsync(trial.build([addOf('/r', '/x'), addOf('/s', '/x')]), {
    message: /cannot copy to non-directory: \/x\/d/,
  })
})

test('a link at the end of WORKDIR is followed inside the root', async t => {
  using trial = await openAddTrial({ 'r/w': { link: '/../../made' } })
  const built = await trial.build([addOf('/r', '/'), directoryOf('/w/sub', '1:1')])
  t.deepEqual(trial.list(built), ['/made/ 0755 1:1', '/made/sub/ 0755 1:1', '/w -> /../../made'])
})

test('sockets are left out, pipes and devices are copied and not read', async t => {
  using trial = await openAddTrial({ 'd/f': 'F' })
  const server = createServer()
  const socket = path.join(trial.context, 'd/socket')
  await new Promise<void>(resolve => server.listen(socket, resolve))
  try {
    execFileSync('mkfifo', ['-m', '640', path.join(trial.context, 'd/pipe')])
    execFileSync('mknod', [path.join(trial.context, 'd/null'), 'c', '1', '3'])
    execFileSync('mknod', [path.join(trial.context, 'd/disk'), 'b', '7', '300'])
    const built = await trial.build([addOf('/d', '/x'), addOf('/d/p*', '/y/')])
    t.deepEqual(trial.list(built), [
      '/x/ 0755 0:0',
      '/x/disk 0644 0:0 (special)',
      '/x/f 0644 0:0 F',
      '/x/null 0644 0:0 (special)',
      '/x/pipe 0640 0:0 (special)',
      '/y/ 0755 0:0',
      '/y/pipe 0640 0:0 (special)',
    ])
    t.deepEqual(
      trial.inside(built, root =>
        ['null', 'disk'].map(name => native().statFile(`${root}/x/${name}`).rdev),
      ),
      [(1 << 8) | 3, (7 << 8) | (300 & 0xff) | ((300 & ~0xff) << 12)],
    )
  } finally {
    server.close()
  }
})

test('names that are no UTF-8, and the longest ones, are copied and told apart', async t => {
  using trial = await openAddTrial({ 'd/f': 'F' })
  const make = (name: Buffer, text: string): void =>
    writeFileSync(Buffer.concat([Buffer.from(`${trial.context}/d/`), name]), text)
  make(Buffer.from([0xff, 0x41]), '1')
  make(Buffer.from([0xfe, 0x41]), '2')
  make(Buffer.alloc(255, 0x6e), '3')
  make(Buffer.from('new\nline'), '4')
  const built = await trial.build([addOf('/d', '/x')])
  const names = trial.inside(built, root => readdirSync(`${root}/x`, { encoding: 'buffer' }))
  t.is(names.length, 5)
  const first = built.steps[0]?.key
  make(Buffer.from([0xfd, 0x41]), '2')
  t.not((await trial.build([addOf('/d', '/x')])).steps[0]?.key, first)
})

test('a deep tree is copied', async t => {
  using trial = await openAddTrial()
  let deep = trial.context
  for (let level = 0; level < 300; level++) {
    deep = path.join(deep, 'ddddddd')
    mkdirSync(deep)
  }
  writeFileSync(path.join(deep, 'f'), 'F')
  const built = await trial.build([addOf('/', '/x')])
  t.true(trial.list(built).some(line => line.endsWith('/f 0644 0:0 F')))
})

const tar = tarOf(
  { name: 'bin/', type: '5', mode: 0o751, uid: 3, gid: 4 },
  { name: 'bin/tool', body: 'T', mode: 0o4755, uid: 5, gid: 6 },
)
const unpacked = ['/x/ 0755 0:0', '/x/bin/ 0751 3:4', '/x/bin/tool 4755 5:6 T']

for (const [kind, bytes] of Object.entries({
  plain: tar,
  gzip: gzipSync(tar),
  zstd: zstdCompressSync(tar),
  xz: execFileSync('xz', ['-c'], { input: tar }),
}))
  test(`ADD unpacks a ${kind} archive, whatever its name is`, async t => {
    using trial = await openAddTrial()
    writeFileSync(path.join(trial.context, 'archive'), bytes)
    symlinkSync('archive', path.join(trial.context, 'l'))
    t.deepEqual(
      trial.list(await trial.build([addOf('/archive', '/x', { unpack: 'local' })])),
      unpacked,
    )
    t.deepEqual(trial.list(await trial.build([addOf('/l', '/x', { unpack: 'local' })])), unpacked)
    const copied = await trial.build([addOf('/archive', '/x')])
    t.true(trial.inside(copied, root => readFileSync(`${root}/x`)).equals(bytes))
  })

test('--chown is for what an archive holds, --chmod is not', async t => {
  using trial = await openAddTrial()
  writeFileSync(path.join(trial.context, 'a.tar'), tar)
  const step = addOf('/a.tar', '/x', { unpack: 'local', owner: '8:9', mode: '0700' })
  t.deepEqual(trial.list(await trial.build([step])), [
    '/x/ 0755 8:9',
    '/x/bin/ 0751 8:9',
    '/x/bin/tool 4755 8:9 T',
  ])
})

for (const [what, bytes] of Object.entries({
  'a text': Buffer.from('text'),
  'an empty file': Buffer.alloc(0),
  'a packed text': gzipSync('text'),
  'many zeros': Buffer.alloc(100_000),
  'a packed stream that ends early': gzipSync(tar).subarray(0, 30),
}))
  test(`ADD copies ${what} as it is`, async t => {
    using trial = await openAddTrial()
    writeFileSync(path.join(trial.context, 'f'), bytes)
    const built = await trial.build([addOf('/f', '/x', { unpack: 'local' })])
    t.true(trial.inside(built, root => readFileSync(`${root}/x`)).equals(bytes))
  })

test('an archive cannot write outside of the target, and its links are seen from there', async t => {
  using trial = await openAddTrial()
  const evil = tarOf(
    { name: 'abs', type: '2', link: '/inside' },
    { name: 'abs/f', body: 'F' },
    { name: '../../up', body: 'U' },
  )
  writeFileSync(path.join(trial.context, 'evil.tar'), evil)
  const steps: BuildStep[] = [
    directoryOf('/x/inside'),
    addOf('/evil.tar', '/x', { unpack: 'local' }),
  ]
  const result = await trial.build(steps).then(
    built => trial.list(built),
    (error: unknown) => String(error),
  )
  if (typeof result === 'string') t.regex(result, /evil.tar/)
  else
    t.deepEqual(
      result.filter(line => !line.startsWith('/x/')),
      [],
    )
})
