// Git repositories as sources, against git's own server on loopback: what names a content, and what is checked out.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import test from 'ava'
import { revisionNamed } from '../../src/build/git-source.ts'
import { openRemoteSources } from '../../src/build/remote-source.ts'
import { serveFiles } from '../helpers/file-server.ts'
import { makeGitRepository, serveGit } from '../helpers/git-server.ts'
import {
  type GitChoice,
  gitSource,
  partsIn,
  resolveOptions,
  treeOf,
} from '../helpers/git-sources.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

test('a name in a repository is itself below refs/, else a branch, else a tag', t => {
  const hash = (digit: string): string => digit.repeat(40)
  const answer = [
    `${hash('1')}\trefs/heads/both`,
    `${hash('2')}\trefs/tags/both`,
    `${hash('3')}\trefs/tags/both^{}`,
    `${hash('4')}\trefs/tags/v1`,
    `${hash('5')}\trefs/tags/v1^{}`,
    `${hash('6')}\trefs/pull/7/head`,
    '',
  ].join('\n')
  const commitOf = (name: string): string | undefined => revisionNamed(name, answer)?.commit
  t.is(commitOf('both'), hash('1'))
  t.is(commitOf('refs/tags/both'), hash('3'))
  t.is(commitOf('v1'), hash('5'))
  t.is(commitOf('pull/7/head'), hash('6'))
  t.is(commitOf('refs/pull/7/head'), hash('6'))
  t.is(commitOf('none'), undefined)
})

const gitTest = testWith({ programs: ['git'] })

gitTest(
  'a repository is checked out with modes of its own, whatever the mask, without git’s files',
  async t => {
    using scratch = makeScratch()
    const repository = makeGitRepository(scratch.at('srv/one'))
    repository.commit({ 'a.txt': 'A', 'dir/b.sh': 'B' })
    execFileSync('chmod', ['755', scratch.at('srv/one/dir/b.sh')])
    symlinkSync('/etc/passwd', scratch.at('srv/one/link'))
    const commit = repository.commit({})
    symlinkSync('one/.git', scratch.at('srv/one.git'))
    await using server = await serveGit(scratch.at('srv'))
    const parts = partsIn(scratch.at('data'))
    const found = await treeOf(gitSource(`${server.url}/one.git`), parts)
    t.deepEqual(found.files, ['a.txt 644 A', 'dir/ 755', 'dir/b.sh 755 B', 'link link'])
    const asked = server.requests.length
    t.is(
      (await treeOf(gitSource(`${server.url}/one.git`, { revision: commit }), parts)).digest,
      found.digest,
    )
    t.is(server.requests.length, asked, 'a whole commit that is here needs no server')
    t.deepEqual(readdirSync(scratch.at('data/scratch')), [])
  },
)

gitTest(
  'branch, tag, commit and pull request each give their commit; the digest moves with the branch',
  async t => {
    using scratch = makeScratch()
    const repository = makeGitRepository(scratch.at('srv/one'))
    const first = repository.commit({ file: '1' })
    repository.git('tag', '-a', '-m', 'one', 'v1')
    repository.git('update-ref', 'refs/pull/7/head', first)
    repository.commit({ file: '2' })
    symlinkSync('one/.git', scratch.at('srv/one.git'))
    await using server = await serveGit(scratch.at('srv'))
    const parts = partsIn(scratch.at('data'))
    const url = `${server.url}/one.git`
    const fileIn = async (choice: GitChoice): Promise<string> =>
      (await treeOf(gitSource(url, choice), parts)).files.join()
    t.is(await fileIn({}), 'file 644 2')
    t.is(await fileIn({ revision: 'main' }), 'file 644 2')
    for (const revision of ['v1', 'refs/tags/v1', first, 'refs/pull/7/head'])
      t.is(await fileIn({ revision }), 'file 644 1', revision)
    const before = (await treeOf(gitSource(url), parts)).digest
    t.is((await treeOf(gitSource(url), parts)).digest, before)
    repository.commit({ file: '3' })
    const after = await treeOf(gitSource(url), parts)
    t.not(after.digest, before)
    t.deepEqual(after.files, ['file 644 3'])
    const missing = await t.throwsAsync(fileIn({ revision: 'none' }), { code: 'DOWNLOAD_FAILED' })
    t.regex(missing?.message ?? '', /repository does not contain ref none/)
  },
)

gitTest('a checksum is the beginning of the commit, and anything else is refused', async t => {
  using scratch = makeScratch()
  const repository = makeGitRepository(scratch.at('srv/one'))
  const commit = repository.commit({ file: '1' })
  symlinkSync('one/.git', scratch.at('srv/one.git'))
  await using server = await serveGit(scratch.at('srv'))
  const parts = partsIn(scratch.at('data'))
  const url = `${server.url}/one.git`
  t.is((await treeOf(gitSource(url, { commit: commit.slice(0, 9) }), parts)).files.length, 1)
  t.is((await treeOf(gitSource(url, { commit, fetchesCommit: true }), parts)).files.length, 1)
  for (const choice of [
    { commit: 'deadbeef' },
    { revision: commit, commit: 'deadbeef' },
    { commit: 'not hex' },
    { fetchesCommit: true },
    { fetchesCommit: true, commit: 'abc' },
  ])
    await t.throwsAsync(treeOf(gitSource(url, choice), parts), { code: 'CHECKSUM_MISMATCH' })
})

gitTest('a directory of a repository is taken alone, and links lead nowhere else', async t => {
  using scratch = makeScratch()
  const repository = makeGitRepository(scratch.at('srv/one'))
  repository.commit({ 'sub/dir/x': 'X', y: 'Y' })
  symlinkSync('/etc', scratch.at('srv/one/out'))
  symlinkSync('sub', scratch.at('srv/one/alias'))
  repository.commit({})
  symlinkSync('one/.git', scratch.at('srv/one.git'))
  await using server = await serveGit(scratch.at('srv'))
  const parts = partsIn(scratch.at('data'))
  const url = `${server.url}/one.git`
  t.deepEqual((await treeOf(gitSource(url, { directory: 'sub/dir' }), parts)).files, ['x 644 X'])
  for (const directory of ['none', 'out', 'alias/dir', 'y', '../../etc'])
    await t.throwsAsync(treeOf(gitSource(url, { directory }), parts), { code: 'FILE_NOT_FOUND' })
})

gitTest(
  'git’s directory is kept where that is asked for, without the way it came here or a password',
  async t => {
    using scratch = makeScratch()
    const repository = makeGitRepository(scratch.at('srv/one'))
    const commit = repository.commit({ file: '1' })
    symlinkSync('one/.git', scratch.at('srv/one.git'))
    await using server = await serveGit(scratch.at('srv'))
    const url = `${server.url.replace('//', '//user:secret@')}/one.git`
    await using sources = openRemoteSources(partsIn(scratch.at('data')))
    const source = gitSource(url, { keepGitDirectory: true, revision: 'main' })
    const opened = await (await sources.resolve(source, resolveOptions)).open()
    const git = (...args: readonly string[]): string =>
      execFileSync('git', args, {
        cwd: opened.path,
        env: { PATH: process.env['PATH'], HOME: '/dev/null' },
        encoding: 'utf8',
      }).trim()
    t.is(git('rev-parse', 'HEAD'), commit)
    t.is(git('status', '--porcelain'), '')
    const config = readFileSync(path.join(opened.path, '.git/config'), 'utf8')
    t.false(config.includes('secret'))
    t.false(config.includes(scratch.path))
    t.false(existsSync(path.join(opened.path, '.git/FETCH_HEAD')))
  },
)

gitTest('times are those of the commit where that is asked for', async t => {
  using scratch = makeScratch()
  makeGitRepository(scratch.at('srv/one')).commit({ 'dir/file': '1' }, 1_234_567_890)
  symlinkSync('one/.git', scratch.at('srv/one.git'))
  await using server = await serveGit(scratch.at('srv'))
  await using sources = openRemoteSources(partsIn(scratch.at('data')))
  const source = gitSource(`${server.url}/one.git`, { times: 'commit' })
  const opened = await (await sources.resolve(source, resolveOptions)).open()
  for (const name of ['.', 'dir', 'dir/file'])
    t.is(statSync(path.join(opened.path, name)).mtimeMs, 1_234_567_890_000, name)
})

gitTest(
  'a server that only has files, and one that forgot its history, give what they have',
  async t => {
    using scratch = makeScratch()
    const repository = makeGitRepository(scratch.at('srv/one'))
    repository.commit({ file: '1' })
    repository.commit({ file: '2' })
    repository.git('update-server-info')
    mkdirSync(scratch.at('www'))
    symlinkSync('../srv/one/.git', scratch.at('www/one.git'))
    await using server = await serveFiles(scratch.at('www'))
    const parts = partsIn(scratch.at('data'))
    const source = gitSource(`${server.url}/one.git`, { revision: 'main' })
    t.deepEqual((await treeOf(source, parts)).files, ['file 644 2'])
  },
)

gitTest('a commit tells when it was made', async t => {
  using scratch = makeScratch()
  makeGitRepository(scratch.at('srv/one')).commit({ file: '1' }, 1_234_567_890)
  symlinkSync('one/.git', scratch.at('srv/one.git'))
  await using server = await serveGit(scratch.at('srv'))
  await using sources = openRemoteSources(partsIn(scratch.at('data')))
  const resolved = await sources.resolve(gitSource(`${server.url}/one.git`), resolveOptions)
  t.is(await resolved.madeSeconds(), 1_234_567_890)
})
