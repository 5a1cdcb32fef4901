// What ADD makes of files and repositories of other machines, once somebody has fetched them.

import { statSync, writeFileSync } from 'node:fs'
import type { RemoteSource, RemoteSources, ResolvedSource } from '../../src/build/remote-source.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { type AddTrial, addOf, makeTree, openAddTrial } from '../helpers/add-trial.ts'
import { testWith } from '../helpers/needs.ts'
import { tarOf } from '../helpers/tar.ts'

const test = testWith({ root: true })

const http: RemoteSource = { kind: 'http', url: 'https://example.org/dir/f.txt' }
const git: RemoteSource = {
  kind: 'git',
  repository: 'https://example.org/r.git',
  keepGitDirectory: false,
  submodules: true,
}

/** Pretends to fetch; counts what is really opened. */
function pretended(
  trial: AddTrial,
  content: string | Buffer,
  opened: string[] = [],
): RemoteSources {
  const file = trial.at('fetched')
  writeFileSync(file, content)
  const tree = trial.at('checkout')
  makeTree(tree, {
    README: 'R',
    'bin/tool': { text: 'T', mode: 0o755, owner: [7, 7] },
    '.': { directory: true, mode: 0o755 },
  })
  return {
    async resolve(source): Promise<ResolvedSource> {
      if (source.kind === 'git')
        return {
          digest: digestOf('commit'),
          name: '',
          madeSeconds: async () => undefined,
          async open() {
            opened.push('git')
            return { kind: 'directory', path: tree }
          },
        }
      return {
        digest: digestOf(Buffer.from(content)),
        name: 'f.txt',
        madeSeconds: async () => undefined,
        async open() {
          opened.push('http')
          return { kind: 'file', path: file, mode: 0o600, mtimeSeconds: 1_234_567_890 }
        },
      }
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

test('a fetched file is its owner’s alone, has the time that the server said and the name of the address', async t => {
  using trial = await openAddTrial()
  const remoteSources = pretended(trial, 'hi')
  const built = await trial.build([addOf([http], '/x/'), addOf([http], '/y')], { remoteSources })
  t.deepEqual(trial.list(built), ['/x/ 0755 0:0', '/x/f.txt 0600 0:0 hi', '/y 0600 0:0 hi'])
  t.is(
    trial.inside(built, root => statSync(`${root}/y`).mtimeMs),
    1_234_567_890_000,
  )
})

test('--chmod and --chown are for fetched files, too', async t => {
  using trial = await openAddTrial()
  const remoteSources = pretended(trial, 'hi')
  const steps = [addOf([http], '/x/', { mode: 'go=r', owner: '3:4' })]
  const built = await trial.build(steps, { remoteSources })
  t.deepEqual(trial.list(built), ['/x/ 0755 3:4', '/x/f.txt 0644 3:4 hi'])
})

test('a fetched archive is unpacked only where that is asked for', async t => {
  using trial = await openAddTrial()
  const remoteSources = pretended(trial, tarOf({ name: 'in', body: 'I', uid: 5, gid: 5 }))
  const unpacked = await trial.build([addOf([http], '/x', { unpack: 'all' })], { remoteSources })
  t.deepEqual(trial.list(unpacked), ['/x/ 0755 0:0', '/x/in 0644 5:5 I'])
  const copied = await trial.build([addOf([http], '/x/', { unpack: 'local' })], { remoteSources })
  t.regex(trial.list(copied)[1] ?? '', /^\/x\/f\.txt 0600/)
})

test('a repository becomes the target, and its files are root’s', async t => {
  using trial = await openAddTrial()
  const remoteSources = pretended(trial, '')
  const steps = [addOf([git], '/src', { excludes: ['README'] })]
  const built = await trial.build(steps, { remoteSources })
  t.deepEqual(trial.list(built), [
    '/src/ 0755 0:0',
    '/src/bin/ 0755 0:0',
    '/src/bin/tool 0755 0:0 T',
  ])
})

test('nothing is fetched where the same content was added before, from whatever address', async t => {
  using trial = await openAddTrial()
  const opened: string[] = []
  const remoteSources = pretended(trial, 'hi', opened)
  await trial.build([addOf([http, git], '/x/')], { remoteSources })
  t.deepEqual(opened, ['http', 'git'])
  const mirror: RemoteSource = { kind: 'http', url: 'https://mirror.example.org/f.txt' }
  const again = await trial.build([addOf([mirror, git], '/x/')], { remoteSources })
  t.true(again.steps[0]?.cached)
  t.deepEqual(opened, ['http', 'git'])
})

test('without anybody who fetches, addresses are refused', async t => {
  using trial = await openAddTrial()
  await t.throwsAsync(trial.build([addOf([http], '/x/')]), { code: 'UNSUPPORTED' })
})
