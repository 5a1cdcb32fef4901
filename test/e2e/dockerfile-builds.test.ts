// Rows 73 to 86 of docs/dockerfile.md: contexts, stages, platforms, outputs, caches.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { checkBuild, featureRows } from '../helpers/feature-rows.ts'
import { serveFiles } from '../helpers/file-server.ts'
import { makeGitRepository, serveGit } from '../helpers/git-server.ts'
import { serveRegistry } from '../helpers/registry-server.ts'

const { row, rowWith } = featureRows()

row(73, '.dockerignore leaves out, and takes in again', {
  dockerfile: 'FROM scratch\nCOPY . /x/\n',
  files: {
    '.dockerignore': '# all\n*\n!keep\n!d/*.txt\nkeep/not\n**/*.bak\n',
    a: '',
    'keep/yes': '',
    'keep/not': '',
    'keep/f.bak': '',
    'd/t.txt': '',
    'd/u.md': '',
  },
  has: { 'list:x': 'd keep', 'list:x/keep': 'yes', 'list:x/d': 't.txt' },
})

rowWith(
  74,
  'the ignore file of a Dockerfile takes the place of the context’s',
  async (t, trial) => {
    const text = 'FROM scratch\nCOPY . /x/\n'
    const directory = trial.contextOf({
      'My.df': text,
      'My.df.dockerignore': '*\n!b\n',
      '.dockerignore': 'b\n',
      a: '',
      b: '',
    })
    const out = trial.scratch.at('out74')
    await trial.build(t, ['-o', out, '-f', path.join(directory, 'My.df'), directory])
    t.deepEqual(readdirSync(path.join(out, 'x')), ['b'])
  },
)

rowWith(
  75,
  'named contexts are directories, repositories, files on the web, images and layouts',
  async (t, trial) => {
    const { scratch, build, contextOf } = trial
    makeGitRepository(scratch.at('git75/one')).commit({ 'g.txt': 'G' })
    symlinkSync('one/.git', scratch.at('git75/one.git'))
    await using git = await serveGit(scratch.at('git75'))
    const www = contextOf({ f: 'F' })
    await using web = await serveFiles(www)
    const layout = scratch.at('layout75')
    await build(t, [
      '-t',
      'l:1',
      '-o',
      `type=oci,tar=false,dest=${layout}`,
      contextOf({ Dockerfile: 'FROM scratch\nCOPY l /\n', l: 'L' }),
    ])
    await checkBuild(t, trial, {
      dockerfile:
        'FROM lay AS l\nFROM scratch\nCOPY --from=dir d /\nCOPY --from=repo g.txt /\nCOPY --from=web context /f\nCOPY --from=img /etc/group /i\nCOPY --from=l /l /l\n',
      words: [
        '--build-context',
        `dir=${contextOf({ d: 'D' })}`,
        '--build-context',
        `repo=${git.url}/one.git`,
        '--build-context',
        `web=${web.url}/f`,
        '--build-context',
        'img=docker-image://base',
        '--build-context',
        `lay=oci-layout://${layout}`,
      ],
      has: { d: 'D', 'g.txt': 'G', f: 'F', l: 'L', 'mode:i': '644 0:0' },
    })
  },
)

row(
  76,
  'only what the target needs is built',
  {
    dockerfile:
      'FROM base AS one\nRUN echo 1 > /x\nFROM base AS bad\nRUN false\nFROM one AS two\nRUN echo 2 >> /x\nFROM bad\n',
    words: ['--target', 'two'],
    has: { x: '1\n2' },
  },
  {
    dockerfile: 'FROM base AS one\n',
    words: ['--target', 'ona'],
    refused: /target stage "ona" could not be found \(did you mean one\?\)/,
  },
)

rowWith(77, 'stages that do not need one another are built side by side', async (t, trial) => {
  // Each waits until the other has begun, in a cache that both see.
  const wait = (own: string, other: string): string =>
    `RUN --mount=type=cache,id=row77,target=/c touch /c/${own}; for i in $(seq 100); do test -e /c/${other} && exit 0; sleep 0.1; done; exit 1`
  await checkBuild(t, trial, {
    dockerfile: `FROM base AS a\n${wait('a', 'b')}\nFROM base AS b\n${wait('b', 'a')}\nFROM scratch\nCOPY --from=a /etc/group /a\nCOPY --from=b /etc/group /b\n`,
    has: { 'list:.': 'a b' },
  })
})

rowWith(78, 'several platforms are one index', async (t, trial) => {
  const directory = trial.contextOf({
    Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY <<a /\n$TARGETARCH\na\n',
  })
  const words = ['--platform', 'linux/amd64,linux/arm64', '-t', 'many', directory]
  const digest = await trial.build(t, words)
  t.is(await trial.build(t, words), digest)
  const { stdout } = await trial.kauri.run(['manifest', 'inspect', 'many'])
  t.regex(stdout, /"architecture": "amd64"[^]*"architecture": "arm64"/)
  const out = trial.scratch.at('out78')
  await trial.build(t, ['-o', out, ...words])
  t.deepEqual(readdirSync(out).toSorted(), ['linux_amd64', 'linux_arm64'])
  t.is(readFileSync(path.join(out, 'linux_arm64/a'), 'utf8'), 'arm64\n')
  const single = ['--platform', 'linux/arm64', '--build-arg', 'BUILDKIT_MULTI_PLATFORM=1']
  const named = trial.scratch.at('out78-single')
  await trial.build(t, ['-o', named, '-o', 'type=image', '-t', 'single', ...single, directory])
  t.deepEqual(readdirSync(named), ['linux_arm64'])
  t.regex((await trial.kauri.run(['manifest', 'inspect', 'single'])).stdout, /"manifests"/)
})

rowWith(
  79,
  'results are directories, tars, archives, layouts, and images in store and registry',
  async (t, trial) => {
    await using registry = await serveRegistry()
    const at = (name: string): string => trial.scratch.at('out79', name)
    await trial.build(t, [
      '-o',
      `type=local,dest=${at('local')}`,
      '-o',
      `type=tar,dest=${at('a.tar')}`,
      '-o',
      `type=docker,dest=${at('docker.tar')}`,
      '-o',
      `type=oci,dest=${at('oci.tar')}`,
      '-o',
      `type=oci,tar=false,dest=${at('layout')}`,
      '-o',
      'type=image',
      '--push',
      '--tls-verify=false',
      '-t',
      `${registry.host}/r79:1`,
      trial.contextOf({ Dockerfile: 'FROM scratch\nCOPY a /\n', a: 'A' }),
    ])
    t.deepEqual(readdirSync(at('.')).toSorted(), [
      'a.tar',
      'docker.tar',
      'layout',
      'local',
      'oci.tar',
    ])
    t.regex(execFileSync('tar', ['-tf', at('a.tar')], { encoding: 'utf8' }), /^a$/m)
    t.true(
      registry.log.some(line => line.startsWith('PUT /v2/r79/manifests/1 201')),
      registry.log.join('\n'),
    )
    t.regex((await trial.kauri.run(['images'])).stdout, /r79/)
  },
)

rowWith(
  80,
  'results of steps go to other machines through a directory or a registry, and in images',
  async (t, trial) => {
    const { kauri, scratch, build, contextOf, tryBuild } = trial
    const directory = contextOf({
      Dockerfile: 'FROM base\nRUN echo row80 > /x\nCOPY a /\n',
      a: 'A',
    })
    const cache = scratch.at('cache80')
    await build(t, ['--cache-to', `type=local,dest=${cache},mode=max`, directory])
    t.true(readdirSync(cache).includes('index.json'))
    const elsewhere = { env: { KAURI_DATA_ROOT: scratch.at('data80') } }
    const importBase = ['import', scratch.at('root.tar'), 'base', '-c', 'ENV PATH=/usr/bin']
    t.is((await kauri.run(importBase, elsewhere)).code, 0)
    const again = await tryBuild(['--cache-from', `type=local,src=${cache}`, directory], elsewhere)
    t.is(again.code, 0, again.stderr)
    t.regex(again.stderr, /RUN echo row80 > \/x\n#\d+ CACHED/)
    for (const name of ['type=gha', 'type=s3,bucket=b']) {
      const { stderr } = await tryBuild(['--cache-to', name, directory])
      t.regex(stderr, /--cache-to has no type/)
    }
  },
)

rowWith(81, 'each instruction that may change files is a layer', async (t, trial) => {
  await checkBuild(t, trial, {
    dockerfile: 'FROM scratch\nCOPY <<a <<b /\nA\na\nB\nb\nENV A=1\nCOPY <<c /\nC\nc\n',
    config: { WorkingDir: '/' },
  })
  const { stdout } = await trial.kauri.run(['inspect', 'row'])
  const [{ RootFS }] = JSON.parse(stdout)
  t.is(RootFS.Layers.length, 2)
})

row(82, 'build checks run with every build', {
  dockerfile: 'FROM base\nARG A_PASSWORD\nRUN true\nCMD x\n',
  told: /JSONArgsRecommended[^]*SecretsUsedInArgOrEnv|SecretsUsedInArgOrEnv[^]*JSONArgsRecommended/,
})

rowWith(84, 'with an epoch, two builds of the same give the same bytes', async (t, trial) => {
  const Dockerfile = 'FROM base\nCOPY a /\nRUN date +%N > /dev/null; echo 1 > /x\n'
  const words = ['--source-date-epoch', '1500000000', '--no-cache']
  const first = await trial.build(t, [...words, trial.contextOf({ Dockerfile, a: 'A' })])
  t.is(await trial.build(t, [...words, trial.contextOf({ Dockerfile, a: 'A' })]), first)
  const clamped = [
    '--build-arg',
    'SOURCE_DATE_EPOCH=1500000000',
    '--rewrite-timestamp',
    '--no-cache',
  ]
  const second = await trial.build(t, [...clamped, trial.contextOf({ Dockerfile, a: 'A' })])
  t.is(await trial.build(t, [...clamped, trial.contextOf({ Dockerfile, a: 'A' })]), second)
})
