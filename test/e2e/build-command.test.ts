// `kauri build` as people type it: contexts of every kind, Dockerfiles from everywhere, and what is refused.

import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type BuildTrial, openBuildTrial } from '../helpers/build-trial.ts'
import { serveFiles } from '../helpers/file-server.ts'
import { makeGitRepository, serveGit } from '../helpers/git-server.ts'
import type { ProgramInput } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'

const build = testWith({ root: true })

let shared: BuildTrial | undefined
test.before(async () => {
  if (process.getuid?.() === 0) shared = await openBuildTrial()
})
test.after.always(() => shared?.[Symbol.dispose]())

function trial(): BuildTrial {
  if (shared === undefined) throw new Error('nothing was prepared')
  return shared
}

function contextOf(files: Readonly<Record<string, string>>): string {
  return trial().contextOf(files)
}

async function buildOf(
  t: ExecutionContext,
  words: readonly string[],
  input?: ProgramInput,
): Promise<string> {
  return await trial().build(t, words, input)
}

const failureOf: BuildTrial['tryBuild'] = (words, input) => trial().tryBuild(words, input)

const buildWithGit = testWith({ root: true, programs: ['git'] })
const digestForm = /^sha256:[0-9a-f]{64}$/

const copyAll = { Dockerfile: 'FROM scratch\nCOPY . /src/\n', 'a.txt': 'A', 'dir/b': 'B' }

build(
  'a directory, a tar in any packing, a web address and standard input give one image',
  async t => {
    const directory = contextOf(copyAll)
    const { scratch } = trial()
    const whole = await buildOf(t, ['-t', 'ctx', directory])
    t.regex(whole, digestForm)
    const www = scratch.at('www')
    mkdirSync(www, { recursive: true })
    for (const [flag, name] of [
      ['', 'c.tar'],
      ['z', 'c.tgz'],
      ['j', 'c.tbz'],
      ['J', 'c.txz'],
    ] as const) {
      const file = path.join(www, name)
      execFileSync('tar', ['-C', directory, `-${flag}cf`, file, '.'])
      t.is(await buildOf(t, [file]), whole, name)
      t.is(
        await buildOf(t, ['-'], { input: readFileSync(file) }),
        whole,
        `${name} on standard input`,
      )
    }
    utimesSync(path.join(www, 'c.tgz'), 1_500_000_000, 1_500_000_000)
    await using server = await serveFiles(www)
    t.is(await buildOf(t, [`${server.url}/c.tgz`]), whole)
    t.is(await buildOf(t, [`${server.url}/c.tgz`]), whole)
    t.deepEqual(server.requests, ['200 /c.tgz', '304 /c.tgz'])
  },
)

buildWithGit(
  'a git repository is a context, at a branch, a directory, with and without git’s own files',
  async t => {
    const { scratch } = trial()
    const repository = makeGitRepository(scratch.at('git/one'))
    repository.commit({
      Dockerfile: 'FROM scratch\nCOPY . /src/\n',
      'sub/Containerfile': 'FROM scratch\nCOPY x /\n',
      'sub/x': 'X',
    })
    symlinkSync('one/.git', scratch.at('git/one.git'))
    await using server = await serveGit(scratch.at('git'))
    const url = `${server.url}/one.git`
    const files = async (...words: readonly string[]): Promise<string> => {
      const out = scratch.at(`git-out-${readdirSync(scratch.path).length}`)
      await buildOf(t, ['-o', out, ...words])
      return readdirSync(path.join(out, 'src')).toSorted().join(' ')
    }
    t.is(await files(url), 'Dockerfile sub')
    t.is(await files(`${url}#main`), 'Dockerfile sub')
    const keep = ['--build-arg', 'BUILDKIT_CONTEXT_KEEP_GIT_DIR=1']
    t.is(await files(...keep, url), '.git Dockerfile sub')
    await buildOf(t, ['-t', 'sub', `${url}#main:sub`])
    const { stderr } = await failureOf([`${url}#none`])
    t.regex(stderr, /repository does not contain ref none/)
    t.deepEqual(readdirSync(path.join(trial().kauri.dataRoot, 'scratch')), [])
  },
)

build(
  'a Dockerfile may be on standard input, elsewhere, on the web, or have another usual name',
  async t => {
    const { scratch } = trial()
    const directory = contextOf({ 'a.txt': 'A' })
    const text = 'FROM scratch\nCOPY a.txt /\n'
    const digest = await buildOf(t, ['-f', '-', directory], { input: text })
    writeFileSync(scratch.at('My.Dockerfile'), text)
    t.is(await buildOf(t, ['-f', scratch.at('My.Dockerfile'), directory]), digest)
    mkdirSync(scratch.at('web'), { recursive: true })
    writeFileSync(scratch.at('web/df'), text)
    await using server = await serveFiles(scratch.at('web'))
    t.is(await buildOf(t, ['-f', `${server.url}/df`, directory]), digest)
    for (const name of ['Containerfile', 'dockerfile', 'Dockerfile']) {
      writeFileSync(path.join(directory, name), text)
      t.is(await buildOf(t, [directory]), digest, name)
    }
    const empty = await buildOf(t, ['-'], { input: 'FROM base\nRUN ls -A / > /list\n' })
    t.regex(empty, digestForm)
    const { stderr } = await failureOf(['-'], { input: 'FROM scratch\nCOPY a.txt /\n' })
    t.regex(stderr, /"\/a\.txt": not found/)
  },
)

build('what is not there, or said twice, is refused in docker’s words', async t => {
  const directory = contextOf({ a: '' })
  const cases: readonly (readonly [readonly string[], RegExp, ProgramInput?])[] = [
    [[directory], /failed to read dockerfile: open Dockerfile: no such file or directory/],
    [['-f', 'none/x.df', directory], /failed to read dockerfile: open x\.df: no such file or/],
    [['/none/x'], /unable to prepare context: path "\/none\/x" not found/],
    [['-f', '-', '-'], /can't use stdin for both build context and dockerfile/],
    [['-f', 'x', '-'], /ambiguous Dockerfile source/, { input: 'FROM scratch\n' }],
    [['--build-context', 'x=/none/y', '-'], /failed to get build context x/, { input: 'FROM x\n' }],
    [
      ['--secret', 'id=x,src=/none/z', '-'],
      /failed to stat \/none\/z/,
      { input: 'FROM scratch\n' },
    ],
    [
      ['--target', 'none', '-'],
      /target stage "none" could not be found/,
      { input: 'FROM scratch\nCOPY x /\n' },
    ],
    [
      ['-'],
      /there is no image nobody-has-this|nobody-has-this/,
      { input: 'FROM localhost:1/nobody-has-this\n' },
    ],
    [['-t', 'Upper', directory], /names are lower case: write upper/],
  ]
  for (const [words, expected, input] of cases) {
    const { code, stderr } = await failureOf(words, input)
    t.true(code === 1 || code === 2, `${words.join(' ')}: ${code}`)
    t.regex(stderr, expected, words.join(' '))
  }
})

build('the ignore file of the Dockerfile goes before that of the context', async t => {
  const { scratch } = trial()
  const text = 'FROM scratch\nCOPY . /src/\n'
  const directory = contextOf({
    a: '',
    b: '',
    Dockerfile: text,
    Other: text,
    '.dockerignore': 'a\n',
    'Other.dockerignore': 'b\n*ignore\n',
  })
  const files = async (...words: readonly string[]): Promise<string> => {
    const out = scratch.at(`ignore-${words.length}`)
    await buildOf(t, ['-o', out, ...words, directory])
    return readdirSync(path.join(out, 'src')).toSorted().join(' ')
  }
  t.is(await files(), '.dockerignore Dockerfile Other Other.dockerignore b')
  t.is(await files('-f', path.join(directory, 'Other')), 'Dockerfile Other a')
})
