// What git gets of the host and of the caller while it works on a repository that strangers wrote, and what is kept.

import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import test from 'ava'
import type { SshSource } from '../../src/build/build.ts'
import { collectSources } from '../../src/build/collect-sources.ts'
import { KauriError } from '../../src/core/errors.ts'
import { makeGitRepository, serveGit } from '../helpers/git-server.ts'
import { gitSource, partsIn, treeOf } from '../helpers/git-sources.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

const gitTest = testWith({ programs: ['git'] })

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

test('where git is not installed, the line that installs it is told', async t => {
  using scratch = makeScratch()
  const parts = partsIn(scratch.at('data'), { environment: { PATH: scratch.path } })
  const error = await t.throwsAsync(treeOf(gitSource('https://example.org/x.git'), parts), {
    instanceOf: KauriError,
  })
  t.is(error?.code, 'PREREQUISITE_MISSING')
  t.is(error?.hint, 'apt-get install git')
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
