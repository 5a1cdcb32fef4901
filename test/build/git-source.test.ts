// Git repositories as sources, against git's own server on loopback: what names a content, what is checked out, and what
// a hostile repository must not reach.

import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import test from 'ava'
import type { SshSource } from '../../src/build/build.ts'
import { collectSources } from '../../src/build/collect-sources.ts'
import { revisionNamed } from '../../src/build/git-source.ts'
import {
  openRemoteSources,
  type RemoteParts,
  type RemoteSource,
} from '../../src/build/remote-source.ts'
import { KauriError } from '../../src/core/errors.ts'
import { ignoreEvents } from '../../src/core/events.ts'
import { serveFiles } from '../helpers/file-server.ts'
import { makeGitRepository, serveGit } from '../helpers/git-server.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

const options = { emit: ignoreEvents }

function partsIn(dataRoot: string, more: Partial<RemoteParts> = {}): RemoteParts {
  return { dataRoot, environment: { PATH: process.env['PATH'] ?? '' }, ...more }
}

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

interface GitChoice {
  readonly revision?: string
  readonly directory?: string
  readonly keepGitDirectory?: boolean
  readonly submodules?: boolean
  readonly commit?: string
  readonly fetchesCommit?: boolean
  readonly times?: 'checkout' | 'commit'
}

function gitSource(repository: string, choice: GitChoice = {}): RemoteSource {
  return { kind: 'git', repository, keepGitDirectory: false, submodules: true, ...choice }
}

/** Files below a directory as `path mode text`, links as `path -> target`. */
function listing(directory: string, below = ''): string[] {
  return readdirSync(path.join(directory, below))
    .toSorted()
    .flatMap(name => {
      const inside = path.join(below, name)
      const stats = lstatSync(path.join(directory, inside))
      if (stats.isDirectory())
        return [`${inside}/ ${mode(stats.mode)}`, ...listing(directory, inside)]
      if (stats.isSymbolicLink()) return [`${inside} link`]
      return [`${inside} ${mode(stats.mode)} ${readFileSync(path.join(directory, inside), 'utf8')}`]
    })
}

function mode(bits: number): string {
  return (bits & 0o7777).toString(8)
}

async function treeOf(
  source: RemoteSource,
  parts: RemoteParts,
): Promise<{ readonly digest: string; readonly files: readonly string[] }> {
  await using sources = openRemoteSources(parts)
  const resolved = await sources.resolve(source, options)
  const opened = await resolved.open()
  return { digest: resolved.digest, files: listing(opened.path) }
}

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
    const opened = await (await sources.resolve(source, options)).open()
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

gitTest(
  'submodules come along, relative ones too; those on the host’s file system do not',
  async t => {
    using scratch = makeScratch()
    const inner = makeGitRepository(scratch.at('srv/inner'))
    inner.commit({ in: 'I' })
    symlinkSync('inner/.git', scratch.at('srv/inner.git'))
    await using server = await serveGit(scratch.at('srv'))
    const addModule = (name: string, url: string): void => {
      const outer = makeGitRepository(scratch.at('srv', name))
      outer.commit({ '.gitmodules': `[submodule "m"]\n\tpath = m\n\turl = ${url}\n` })
      outer.git(
        'update-index',
        '--add',
        '--cacheinfo',
        `160000,${inner.git('rev-parse', 'HEAD')},m`,
      )
      outer.git('commit', '--quiet', '--message', 'module')
      symlinkSync(`${name}/.git`, scratch.at('srv', `${name}.git`))
    }
    addModule('absolute', `${server.url}/inner.git`)
    addModule('relative', '../inner.git')
    addModule('local', `file://${scratch.at('srv/inner/.git')}`)
    addModule('path', scratch.at('srv/inner/.git'))
    addModule('program', 'ext::sh -c touch% /tmp/kauri-was-here')
    const parts = partsIn(scratch.at('data'))
    for (const name of ['absolute', 'relative']) {
      const { files } = await treeOf(gitSource(`${server.url}/${name}.git`), parts)
      t.deepEqual(files.slice(1), ['m/ 755', 'm/in 644 I'], name)
    }
    for (const name of ['local', 'path', 'program'])
      await t.throwsAsync(treeOf(gitSource(`${server.url}/${name}.git`), parts), {
        code: 'DOWNLOAD_FAILED',
      })
    const without = gitSource(`${server.url}/local.git`, { submodules: false })
    t.deepEqual((await treeOf(without, parts)).files.slice(1), ['m/ 755'])
    t.false(existsSync('/tmp/kauri-was-here'))
  },
)

gitTest(
  'hooks and configuration of the host have no say, and a name that looks like an option is none',
  async t => {
    using scratch = makeScratch()
    const repository = makeGitRepository(scratch.at('srv/one'))
    repository.commit({ file: '1', '.gitattributes': 'file filter=evil\n' })
    symlinkSync('one/.git', scratch.at('srv/one.git'))
    writeFileSync(
      scratch.at('config'),
      `[core]\n\thooksPath = ${scratch.at('hooks')}\n[filter "evil"]\n\tsmudge = touch ${scratch.at('ran')}\n`,
    )
    mkdirSync(scratch.at('hooks'))
    writeFileSync(scratch.at('hooks/post-checkout'), `#!/bin/sh\ntouch ${scratch.at('ran')}\n`, {
      mode: 0o755,
    })
    await using server = await serveGit(scratch.at('srv'))
    const environment = {
      PATH: process.env['PATH'] ?? '',
      GIT_CONFIG_GLOBAL: scratch.at('config'),
      HOME: scratch.path,
    }
    const parts = partsIn(scratch.at('data'), { environment })
    const url = `${server.url}/one.git`
    await treeOf(gitSource(url), parts)
    t.false(existsSync(scratch.at('ran')))
    const option = `--upload-pack=touch ${scratch.at('ran')}`
    await t.throwsAsync(treeOf(gitSource(url, { revision: option }), parts))
    await t.throwsAsync(treeOf(gitSource(option), parts))
    t.false(existsSync(scratch.at('ran')))
  },
)

gitTest('a token of the caller goes to the repository and into nothing that is kept', async t => {
  using scratch = makeScratch()
  makeGitRepository(scratch.at('srv/one')).commit({ file: '1' })
  symlinkSync('one/.git', scratch.at('srv/one.git'))
  const authorization = `basic ${Buffer.from('x-access-token:my-token').toString('base64')}`
  await using server = await serveGit(scratch.at('srv'), { authorization })
  const url = `${server.url}/one.git`
  await t.throwsAsync(treeOf(gitSource(url), partsIn(scratch.at('data'))), {
    code: 'DOWNLOAD_FAILED',
  })
  writeFileSync(scratch.at('token'), 'my-token\n')
  const secrets = new Map([
    ['GIT_AUTH_TOKEN', { kind: 'file', path: scratch.at('token') } as const],
  ])
  const { files } = await treeOf(gitSource(url), partsIn(scratch.at('data'), { secrets }))
  t.deepEqual(files, ['file 644 1'])
  const found = spawnSync('grep', ['-rlE', 'my-token|eC1hY2Nlc3M', scratch.at('data')])
  t.is(found.status, 1, found.stdout.toString())
})

gitTest(
  'ssh gets the agent or keys that were handed over, and no key or agent of the host',
  async t => {
    using scratch = makeScratch()
    mkdirSync(scratch.at('bin'))
    writeFileSync(
      scratch.at('bin/ssh'),
      `#!/bin/sh\n{ for word; do echo "$word"; done; echo "agent=$SSH_AUTH_SOCK"; } > ${scratch.at('asked')}\nexit 1\n`,
      { mode: 0o755 },
    )
    const environment = { PATH: `${scratch.at('bin')}:${process.env['PATH']}` }
    const askWith = async (ssh?: SshSource): Promise<string> => {
      const parts = partsIn(scratch.at('data root'), {
        environment,
        ...(ssh === undefined ? {} : { ssh: new Map([['default', ssh]]) }),
      })
      await t.throwsAsync(treeOf(gitSource('ssh://git@example.org/x.git'), parts), {
        code: 'DOWNLOAD_FAILED',
      })
      return readFileSync(scratch.at('asked'), 'utf8')
    }
    const known = `UserKnownHostsFile="${scratch.at('data root/cache/git/known_hosts')}" ~/.ssh/known_hosts`
    const none = await askWith()
    t.regex(none, /^-o\nIdentitiesOnly=yes\n-o\nIdentityAgent=none\n-o\nIdentityFile=none$/m)
    t.regex(none, /^agent=$/m)
    t.true(none.includes(known))
    const agent = await askWith({ kind: 'agent', socket: '/handed/over' })
    t.regex(agent, /^IdentityFile=none$/m)
    t.regex(agent, /^agent=\/handed\/over$/m)
    const keys = await askWith({ kind: 'keys', paths: ["/k/it's one", '/k/two'] })
    t.regex(keys, /^-i\n\/k\/it's one\n-i\n\/k\/two$/m)
    t.regex(keys, /^IdentityAgent=none$/m)
  },
)

gitTest(
  'a redirect gets no token of the caller, with no request; without a token it is followed',
  async t => {
    using scratch = makeScratch()
    makeGitRepository(scratch.at('srv/one')).commit({ file: '1' })
    symlinkSync('one/.git', scratch.at('srv/one.git'))
    await using other = await serveGit(scratch.at('srv'))
    await using server = await serveGit(scratch.at('srv'), { redirectsTo: other.url })
    const source = gitSource(`${server.url}/one.git`)
    writeFileSync(scratch.at('token'), 'my-token\n')
    const token = { kind: 'file', path: scratch.at('token') } as const
    for (const id of ['GIT_AUTH_TOKEN', `GIT_AUTH_TOKEN.${new URL(server.url).host}`]) {
      const parts = partsIn(scratch.at('data'), { secrets: new Map([[id, token]]) })
      const error = await t.throwsAsync(treeOf(source, parts), { instanceOf: KauriError })
      t.regex(error?.hint ?? '', /a token is sent to nobody else/)
    }
    t.true(server.requests.some(({ authorization }) => authorization !== undefined))
    t.deepEqual(
      other.requests.filter(({ authorization }) => authorization !== undefined),
      [],
    )
    const { files } = await treeOf(source, partsIn(scratch.at('more')))
    t.deepEqual(files, ['file 644 1'])
  },
)

gitTest('times are those of the commit where that is asked for', async t => {
  using scratch = makeScratch()
  makeGitRepository(scratch.at('srv/one')).commit({ 'dir/file': '1' }, 1_234_567_890)
  symlinkSync('one/.git', scratch.at('srv/one.git'))
  await using server = await serveGit(scratch.at('srv'))
  await using sources = openRemoteSources(partsIn(scratch.at('data')))
  const source = gitSource(`${server.url}/one.git`, { times: 'commit' })
  const opened = await (await sources.resolve(source, options)).open()
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

test('where git is not installed, the line that installs it is told', async t => {
  using scratch = makeScratch()
  const parts = partsIn(scratch.at('data'), { environment: { PATH: scratch.path } })
  const error = await t.throwsAsync(treeOf(gitSource('https://example.org/x.git'), parts), {
    instanceOf: KauriError,
  })
  t.is(error?.code, 'PREREQUISITE_MISSING')
  t.is(error?.hint, 'apt-get install git')
})

gitTest('a commit tells when it was made', async t => {
  using scratch = makeScratch()
  makeGitRepository(scratch.at('srv/one')).commit({ file: '1' }, 1_234_567_890)
  symlinkSync('one/.git', scratch.at('srv/one.git'))
  await using server = await serveGit(scratch.at('srv'))
  await using sources = openRemoteSources(partsIn(scratch.at('data')))
  const resolved = await sources.resolve(gitSource(`${server.url}/one.git`), options)
  t.is(await resolved.madeSeconds(), 1_234_567_890)
})

gitTest('what a killed fetch left, locks or half a repository, is no obstacle', async t => {
  using scratch = makeScratch()
  const repository = makeGitRepository(scratch.at('srv/one'))
  repository.commit({ file: '1' })
  symlinkSync('one/.git', scratch.at('srv/one.git'))
  await using server = await serveGit(scratch.at('srv'))
  const parts = partsIn(scratch.at('data'))
  const source = gitSource(`${server.url}/one.git`)
  await treeOf(source, parts)
  const [name = ''] = readdirSync(scratch.at('data/cache/git'))
  const kept = scratch.at('data/cache/git', name)
  for (const lock of ['shallow.lock', 'HEAD.lock', 'packed-refs.lock', 'config.lock'])
    writeFileSync(path.join(kept, lock), '')
  repository.commit({ file: '2' })
  t.deepEqual((await treeOf(source, parts)).files, ['file 644 2'])
  for (const damage of ['config', 'objects', 'refs']) {
    rmSync(path.join(kept, damage), { recursive: true })
    repository.commit({ file: damage })
    t.deepEqual((await treeOf(source, parts)).files, [`file 644 ${damage}`])
  }
})

gitTest('repositories that nobody used for long are collected, those in use are not', async t => {
  using scratch = makeScratch()
  makeGitRepository(scratch.at('srv/one')).commit({ file: '1' })
  symlinkSync('one/.git', scratch.at('srv/one.git'))
  await using server = await serveGit(scratch.at('srv'))
  const parts = partsIn(scratch.at('data'))
  await treeOf(gitSource(`${server.url}/one.git`), parts)
  const hourAgo = Date.now() - 3_600_000
  t.is(collectSources(scratch.at('data'), { usedBeforeMs: hourAgo }).sources, 0)
  const soon = { usedBeforeMs: Date.now() + 1000 }
  t.is(collectSources(scratch.at('data'), { ...soon, dryRun: true }).sources, 1)
  const { sources, bytes } = collectSources(scratch.at('data'), soon)
  t.is(sources, 1)
  t.true(bytes > 100)
  t.deepEqual(readdirSync(scratch.at('data/cache/git')), [])
})
