// What COPY, ADD and WORKDIR make of sources and targets; the results are BuildKit's.

import { statSync } from 'node:fs'
import type { AddStep, BuildStep } from '../../src/plan/plan.ts'
import { addOf, directoryOf, openAddTrial, stageOf, type TreeWords } from '../helpers/add-trial.ts'
import { testWith } from '../helpers/needs.ts'

const test = testWith({ root: true })

const files: TreeWords = {
  'a.txt': 'A',
  'b.txt': 'B',
  'dir/in.txt': 'IN',
  'dir/sub/deep.txt': 'DEEP',
  'dir/sub/.hidden': 'H',
  link: { link: 'a.txt' },
  dirlink: { link: 'dir' },
  'private/key': { text: 'K', mode: 0o600 },
}

const cases: readonly {
  readonly name: string
  readonly context?: TreeWords
  readonly ignore?: readonly string[]
  readonly steps: readonly BuildStep[]
  readonly want: readonly string[]
}[] = [
  {
    name: 'a file becomes the target',
    steps: [addOf('/a.txt', '/x/y')],
    want: ['/x/ 0755 0:0', '/x/y 0644 0:0 A'],
  },
  {
    name: 'a file goes into a target with a slash',
    steps: [addOf('/a.txt', '/x/')],
    want: ['/x/ 0755 0:0', '/x/a.txt 0644 0:0 A'],
  },
  {
    name: 'a file goes into a directory that is there',
    steps: [directoryOf('/x'), addOf('/a.txt', '/x')],
    want: ['/x/ 0755 0:0', '/x/a.txt 0644 0:0 A'],
  },
  {
    name: 'the contents of a directory go below the target',
    steps: [addOf('/dir', '/x')],
    want: [
      '/x/ 0755 0:0',
      '/x/in.txt 0644 0:0 IN',
      '/x/sub/ 0755 0:0',
      '/x/sub/.hidden 0644 0:0 H',
      '/x/sub/deep.txt 0644 0:0 DEEP',
    ],
  },
  {
    name: 'wildcards match each component',
    steps: [addOf('/*.t?t', '/x/'), addOf('/d*/[a-i]n.txt', '/y/')],
    want: [
      '/x/ 0755 0:0',
      '/x/a.txt 0644 0:0 A',
      '/x/b.txt 0644 0:0 B',
      '/y/ 0755 0:0',
      '/y/in.txt 0644 0:0 IN',
    ],
  },
  {
    name: 'a wildcard that matches nothing copies nothing',
    steps: [addOf(['/a.txt', '/*.none'], '/x/')],
    want: ['/x/ 0755 0:0', '/x/a.txt 0644 0:0 A'],
  },
  {
    name: 'a source that leaves the context is clamped',
    steps: [addOf('/../../a.txt', '/x')],
    want: ['/x 0644 0:0 A'],
  },
  {
    name: 'a link as the source is followed and keeps its name',
    steps: [addOf('/link', '/x/'), addOf('/dirlink/in.txt', '/y')],
    want: ['/x/ 0755 0:0', '/x/link 0644 0:0 A', '/y 0644 0:0 IN'],
  },
  {
    name: 'links in a directory are copied as links',
    context: { 'd/up': { link: '../a' }, 'd/out': { link: '/etc/passwd' } },
    steps: [addOf('/d', '/x')],
    want: ['/x/ 0755 0:0', '/x/out -> /etc/passwd', '/x/up -> ../a'],
  },
  {
    name: 'set-id and sticky bits stay',
    context: { suid: { text: 's', mode: 0o4755 }, 'd/t': { directory: true, mode: 0o1777 } },
    steps: [addOf('/', '/x')],
    want: ['/x/ 0755 0:0', '/x/d/ 0755 0:0', '/x/d/t/ 1777 0:0', '/x/suid 4755 0:0 s'],
  },
  {
    name: 'numbers of --chown are for everything that is made, and one number is also the group',
    steps: [addOf('/dir/sub', '/x/y', { owner: '7' }), addOf('/a.txt', '/z/', { owner: '1:2' })],
    want: [
      '/x/ 0755 7:7',
      '/x/y/ 0755 7:7',
      '/x/y/.hidden 0644 7:7 H',
      '/x/y/deep.txt 0644 7:7 DEEP',
      '/z/ 0755 1:2',
      '/z/a.txt 0644 1:2 A',
    ],
  },
  {
    name: 'names of --chown are looked up in the root',
    context: {
      'etc/passwd': 'root:x:0:0::/:\nann:x:11:12::/:\n',
      'etc/group': 'staff:x:50:\n',
      f: 'F',
    },
    steps: [
      addOf('/etc', '/etc'),
      addOf('/f', '/1', { owner: 'ann' }),
      addOf('/f', '/2', { owner: 'ann:staff' }),
      addOf('/f', '/3', { owner: '3:staff' }),
      addOf('/f', '/4', { owner: 'nobody' }),
    ],
    want: [
      '/1 0644 11:12 F',
      '/2 0644 11:50 F',
      '/3 0644 3:50 F',
      '/4 0644 0:0 F',
      '/etc/ 0755 0:0',
      '/etc/group 0644 0:0 staff:x:50:\n',
      '/etc/passwd 0644 0:0 root:x:0:0::/:\nann:x:11:12::/:\n',
    ],
  },
  {
    name: 'octal --chmod is also for directories that are made on the way',
    steps: [addOf('/dir', '/x/y', { mode: '0700' })],
    want: [
      '/x/ 0700 0:0',
      '/x/y/ 0700 0:0',
      '/x/y/in.txt 0700 0:0 IN',
      '/x/y/sub/ 0700 0:0',
      '/x/y/sub/.hidden 0700 0:0 H',
      '/x/y/sub/deep.txt 0700 0:0 DEEP',
    ],
  },
  {
    name: 'symbolic --chmod changes what is copied only',
    steps: [addOf('/private', '/x/y', { mode: 'go=rX' })],
    want: ['/x/ 0755 0:0', '/x/y/ 0755 0:0', '/x/y/key 0644 0:0 K'],
  },
  {
    name: '--parents keeps directories',
    steps: [addOf('/dir/sub/deep.txt', '/x/', { parents: true })],
    want: [
      '/x/ 0755 0:0',
      '/x/dir/ 0755 0:0',
      '/x/dir/sub/ 0755 0:0',
      '/x/dir/sub/deep.txt 0644 0:0 DEEP',
    ],
  },
  {
    name: '--parents keeps directories from the pivot on',
    steps: [addOf('/dir/./sub/*.txt', '/x/', { parents: true })],
    want: ['/x/ 0755 0:0', '/x/sub/ 0755 0:0', '/x/sub/deep.txt 0644 0:0 DEEP'],
  },
  {
    name: '--parents with nothing behind the pivot takes nothing',
    steps: [addOf('/', '/x/', { parents: true }), addOf('/dir/./', '/y/', { parents: true })],
    want: ['/x/ 0755 0:0', '/y/ 0755 0:0'],
  },
  {
    name: '--parents takes any depth',
    steps: [addOf('/**/*.txt', '/x/', { parents: true })],
    want: [
      '/x/ 0755 0:0',
      '/x/a.txt 0644 0:0 A',
      '/x/b.txt 0644 0:0 B',
      '/x/dir/ 0755 0:0',
      '/x/dir/in.txt 0644 0:0 IN',
      '/x/dir/sub/ 0755 0:0',
      '/x/dir/sub/deep.txt 0644 0:0 DEEP',
    ],
  },
  {
    name: '--exclude leaves out and takes in again',
    steps: [addOf('/', '/x', { excludes: ['*', '!dir/sub/deep.txt', '!b.txt'] })],
    want: [
      '/x/ 0755 0:0',
      '/x/b.txt 0644 0:0 B',
      '/x/dir/ 0755 0:0',
      '/x/dir/sub/ 0755 0:0',
      '/x/dir/sub/deep.txt 0644 0:0 DEEP',
    ],
  },
  {
    name: 'what the ignore file names is not there, but for what it takes in again',
    ignore: ['*', '!dir/sub', 'dir/sub/.h*'],
    steps: [addOf('/', '/x')],
    want: [
      '/x/ 0755 0:0',
      '/x/dir/ 0755 0:0',
      '/x/dir/sub/ 0755 0:0',
      '/x/dir/sub/deep.txt 0644 0:0 DEEP',
    ],
  },
  {
    name: 'here-documents are files of root',
    steps: [addOf(['/a.txt', { kind: 'text', name: 'doc', text: 'hi\n' }], '/x/')],
    want: ['/x/ 0755 0:0', '/x/a.txt 0644 0:0 A', '/x/doc 0644 0:0 hi\n'],
  },
  {
    name: 'directories are merged and take the looks of the source, but for the target itself',
    context: {
      'one/sub/a': '1',
      'one/sub': { directory: true, mode: 0o700 },
      'two/sub/b': '2',
      two: { directory: true, mode: 0o700 },
    },
    steps: [addOf('/one', '/x', { owner: '5:5' }), addOf('/two', '/x')],
    want: ['/x/ 0755 5:5', '/x/sub/ 0755 0:0', '/x/sub/a 0644 5:5 1', '/x/sub/b 0644 0:0 2'],
  },
  {
    name: 'files and links are replaced, never written through',
    context: {
      'one/f': { link: '/victim' },
      'one/g': 'old',
      'two/f': 'new',
      'two/g': { link: 'f' },
      victim: 'V',
    },
    steps: [addOf('/victim', '/victim'), addOf('/one', '/x'), addOf('/two', '/x')],
    want: ['/victim 0644 0:0 V', '/x/ 0755 0:0', '/x/f 0644 0:0 new', '/x/g -> f'],
  },
  {
    name: 'links of the target are followed inside the root, dangling ones as well',
    context: { 'root/l': { link: '/real' }, 'root/m': { link: '../../made/there' }, f: 'F' },
    steps: [addOf('/root', '/'), addOf('/f', '/l/'), addOf('/f', '/m/sub/g')],
    want: [
      '/l -> /real',
      '/m -> ../../made/there',
      '/made/ 0755 0:0',
      '/made/there/ 0755 0:0',
      '/made/there/sub/ 0755 0:0',
      '/made/there/sub/g 0644 0:0 F',
      '/real/ 0755 0:0',
      '/real/f 0644 0:0 F',
    ],
  },
  {
    name: 'WORKDIR gives every directory that it makes to its user and changes none that is there',
    steps: [directoryOf('/a'), directoryOf('/a/b/c', '3:4')],
    want: ['/a/ 0755 0:0', '/a/b/ 0755 3:4', '/a/b/c/ 0755 3:4'],
  },
]

for (const { name, context = files, ignore = [], steps, want } of cases)
  test(name, async t => {
    using trial = await openAddTrial(context)
    const built = await trial.build(steps, { ignore })
    t.deepEqual(trial.list(built), want)
  })

const failures: readonly {
  readonly name: string
  readonly context?: TreeWords
  readonly steps: readonly BuildStep[]
  readonly ignore?: readonly string[]
  readonly message: RegExp
}[] = [
  {
    name: 'a missing source',
    steps: [addOf('/none', '/x')],
    message: /failed to compute cache key: .*"\/none": not found/,
  },
  {
    name: 'a missing source of --parents',
    steps: [addOf('/dir/none', '/x', { parents: true })],
    message: /"\/dir\/none": not found/,
  },
  {
    name: 'an excluded source of --parents',
    steps: [addOf('/dir/in.txt', '/x', { parents: true, excludes: ['dir'] })],
    message: /"\/dir\/in.txt": not found/,
  },
  {
    name: 'an ignored source',
    steps: [addOf('/a.txt', '/x')],
    ignore: ['*.txt'],
    message: /"\/a.txt": not found/,
  },
  {
    name: 'a missing directory before a wildcard',
    steps: [addOf('/none/*', '/x')],
    message: /not found/,
  },
  { name: 'a bad pattern', steps: [addOf('/[a', '/x')], message: /syntax error in pattern/ },
  {
    name: 'a link that leads out of the context and to nothing inside',
    context: { out: { link: '../../../etc/passwd' } },
    steps: [addOf('/out', '/x')],
    message: /"\/out": not found/,
  },
  {
    name: 'a loop of links',
    context: { a: { link: 'b' }, b: { link: 'a' } },
    steps: [addOf('/a', '/x')],
    message: /too many links/,
  },
  {
    name: 'a file in the place of a directory',
    context: { 'one/d/f': '1', 'two/d': '2' },
    steps: [addOf('/one', '/x'), addOf('/two', '/x')],
    message: /cannot replace to directory \/x\/d with file/,
  },
  {
    name: 'a directory in the place of a file',
    context: { 'one/d': '1', 'two/d/f': '2' },
    steps: [addOf('/one', '/x'), addOf('/two', '/x')],
    message: /cannot copy to non-directory: \/x\/d/,
  },
  {
    name: 'a name of --chown where nothing is below',
    steps: [addOf('/a.txt', '/x', { owner: 'ann' })],
    message: /invalid user index: -1/,
  },
  {
    name: 'a WORKDIR through a file',
    steps: [addOf('/a.txt', '/x'), directoryOf('/x/y')],
    message: /not a directory/,
  },
]

for (const { name, context = files, ignore = [], steps, message } of failures)
  test(`${name} is an error`, async t => {
    using trial = await openAddTrial(context)
    await t.throwsAsync(trial.build(steps, { ignore }), { message })
  })

test('files, links and directories keep their times, and the target takes that of the directory', async t => {
  using trial = await openAddTrial({ 'd/f': 'F', 'd/s/g': 'G' })
  const built = await trial.build([addOf('/d', '/x')])
  const times = trial.inside(built, root =>
    ['/x', '/x/f', '/x/s', '/x/s/g'].map(file => statSync(root + file).mtimeMs / 1000),
  )
  t.deepEqual(times, [1_500_000_000, 1_500_000_000, 1_500_000_000, 1_500_000_000])
})

test('hard links within one source stay hard links', async t => {
  using trial = await openAddTrial({ 'd/f': 'F', 'd/s/g': { same: 'd/f' } })
  const built = await trial.build([addOf('/d', '/x')])
  const [f, g] = trial.inside(built, root => ['/x/f', '/x/s/g'].map(file => statSync(root + file)))
  t.is(f?.ino, g?.ino)
})

test('hard links replace files that are there and are links all the same', async t => {
  using trial = await openAddTrial({
    'd/f': 'F',
    'd/s/g': { same: 'd/f' },
    'old/f': 'O',
    'old/s/g': 'P',
  })
  const built = await trial.build([addOf('/old', '/x'), addOf('/d', '/x')])
  t.deepEqual(trial.list(built), [
    '/x/ 0755 0:0',
    '/x/f 0644 0:0 F',
    '/x/s/ 0755 0:0',
    '/x/s/g 0644 0:0 F',
  ])
  const [f, g] = trial.inside(built, root => ['/x/f', '/x/s/g'].map(file => statSync(root + file)))
  t.is(f?.ino, g?.ino)
})

test('another stage keeps its owners, and --chown changes them', async t => {
  using trial = await openAddTrial({ f: 'F' })
  const stages = [stageOf('base', [addOf('/f', '/d/f', { owner: '5:6' })])]
  const from: AddStep['from'] = { kind: 'stage', stage: 'base' }
  const steps = [addOf('/d/f', '/1', { from }), addOf('/d', '/2', { from, owner: '8:9' })]
  const built = await trial.build(steps, { stages })
  t.deepEqual(trial.list(built), ['/1 0644 5:6 F', '/2/ 0755 8:9', '/2/f 0644 8:9 F'])
})
