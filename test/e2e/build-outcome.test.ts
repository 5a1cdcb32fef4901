// What comes of `kauri build`: outputs, messages, what is cached, and that nothing is left when it is stopped.

import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { type BuildTrial, openBuildTrial } from '../helpers/build-trial.ts'
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

const digestForm = /^sha256:[0-9a-f]{64}$/

const copyAll = { Dockerfile: 'FROM scratch\nCOPY . /src/\n', 'a.txt': 'A', 'dir/b': 'B' }

build(
  'a failing command is told with its last lines, its place and the lines around it',
  async t => {
    const directory = contextOf({
      Dockerfile:
        'FROM base\nRUN true\nRUN echo one; \\\n  echo two >&2; \\\n  exit 7\nRUN never\n',
    })
    const { code, stderr } = await failureOf([directory])
    t.is(code, 1)
    const told = stderr.slice(stderr.indexOf('kauri: '))
    const file = path.join(directory, 'Dockerfile')
    t.deepEqual(told.trimEnd().split('\n'), [
      `kauri: ${file}:3:1: process "/bin/sh -c echo one;   echo two >&2;   exit 7" did not complete successfully: exit code: 7`,
      'its last output:',
      '  | one',
      '  | two',
      `${file}:3`,
      '--------------------',
      '   1 |     FROM base',
      '   2 |     RUN true',
      '   3 | >>> RUN echo one; \\',
      '   4 | >>>   echo two >&2; \\',
      '   5 | >>>   exit 7',
      '   6 |     RUN never',
      '--------------------',
    ])
    t.regex(stderr, /#\d+ \[3\/4\] RUN echo one/)
    t.regex(stderr, /#\d+ \d+\.\d{3} two\n/)
  },
)

build('a file that no build would take is told with its place, and exits with 2', async t => {
  const directory = contextOf({ Dockerfile: 'FROM scratch\nCPOY a /\n' })
  const { code, stderr } = await failureOf([directory])
  t.is(code, 2)
  t.regex(stderr, /Dockerfile:2:1: .*unknown instruction: CPOY/)
  t.regex(stderr, / {3}2 \| >>> CPOY a \//)
})

build('results go to standard output alone: the digest, JSON, or a tar', async t => {
  const { kauri, scratch } = trial()
  const directory = contextOf(copyAll)
  const digest = await buildOf(t, ['-q', '-t', 'one:1', '-t', 'two', directory])
  t.regex(digest, digestForm)
  const quiet = await kauri.run(['build', '--quiet', directory])
  t.is(quiet.stderr, '')
  const json: unknown = JSON.parse(await buildOf(t, ['--json', '-t', 'one:1', directory]))
  t.like(json, { digest, names: ['one:1'] })
  const idFile = scratch.at('iid')
  const metadataFile = scratch.at('metadata.json')
  await buildOf(t, ['--iidfile', idFile, '--metadata-file', metadataFile, '-t', 'one:1', directory])
  t.is(readFileSync(idFile, 'utf8'), digest)
  t.like(JSON.parse(readFileSync(metadataFile, 'utf8')), {
    'containerimage.digest': digest,
    'image.name': 'docker.io/library/one:1',
  })
  const { code, stdout } = await kauri.run(['build', '-o', '-', directory])
  t.is(code, 0)
  const listed = spawnSync('tar', ['-t'], { input: Buffer.from(stdout, 'utf8'), encoding: 'utf8' })
  t.deepEqual(
    listed.stdout
      .trim()
      .split('\n')
      .filter(name => name !== './')
      .toSorted(),
    ['src/', 'src/Dockerfile', 'src/a.txt', 'src/dir/', 'src/dir/b'],
  )
})

build('several outputs of one build are written together', async t => {
  const { scratch } = trial()
  const out = scratch.at('several')
  mkdirSync(out)
  const words = ['dir', 'rootfs.tar', 'docker.tar', 'oci.tar', 'layout'].map(name =>
    path.join(out, name),
  )
  await buildOf(t, [
    '-t',
    'several',
    '-o',
    words[0] ?? '',
    '-o',
    `type=tar,dest=${words[1]}`,
    '-o',
    `type=docker,dest=${words[2]}`,
    '-o',
    `type=oci,dest=${words[3]}`,
    '-o',
    `type=oci,tar=false,dest=${words[4]}`,
    contextOf(copyAll),
  ])
  t.deepEqual(readdirSync(path.join(out, 'dir', 'src')).toSorted(), ['Dockerfile', 'a.txt', 'dir'])
  t.true(existsSync(path.join(out, 'layout', 'oci-layout')))
  const listing = (name: string): string =>
    execFileSync('tar', ['-tf', path.join(out, name)], { encoding: 'utf8' })
  t.regex(listing('rootfs.tar'), /^src\/a\.txt$/m)
  t.regex(listing('docker.tar'), /^manifest\.json$/m)
  t.regex(listing('oci.tar'), /^index\.json$/m)
})

build(
  'named contexts are directories and images, and go before names of stages and images',
  async t => {
    const { scratch } = trial()
    const other = contextOf({ 'o.txt': 'O', '.dockerignore': 'no\n', no: '' })
    const directory = contextOf({
      Dockerfile: 'FROM alpine AS x\nCOPY --from=other . /o/\nCOPY --from=img /etc/passwd /p\n',
    })
    const out = scratch.at('named')
    await buildOf(t, [
      '--build-context',
      `other=${other}`,
      '--build-context',
      'img=docker-image://base',
      '--build-context',
      'alpine=docker-image://scratch',
      '-o',
      out,
      directory,
    ])
    t.deepEqual(readdirSync(out).toSorted(), ['o', 'p'])
    t.deepEqual(readdirSync(path.join(out, 'o')).toSorted(), ['.dockerignore', 'o.txt'])
    const layout = scratch.at('layout-context')
    await buildOf(t, ['-t', 'kept:1', '-o', `type=oci,tar=false,dest=${layout}`, '-'], {
      input: 'FROM scratch\nCOPY <<EOF /from-layout\nX\nEOF\n',
    })
    const again = scratch.at('named-layout')
    await buildOf(t, ['--build-context', `l=oci-layout://${layout}`, '-o', again, '-'], {
      input: 'FROM l\n',
    })
    t.deepEqual(readdirSync(again), ['from-layout'])
  },
)

build(
  'platforms make an index; one that only copies needs no emulator, a command does',
  async t => {
    const { kauri } = trial()
    const directory = contextOf(copyAll)
    const platforms = ['--platform', 'linux/amd64,linux/s390x']
    const digest = await buildOf(t, [...platforms, '-t', 'multi', directory])
    const inspected = await kauri.run(['manifest', 'inspect', 'multi'])
    t.is(inspected.code, 0, inspected.stderr)
    t.regex(inspected.stdout, /"architecture": "amd64"[^]*"architecture": "s390x"/)
    t.is(await buildOf(t, [...platforms, '-t', 'multi', directory]), digest)
    if (existsSync('/proc/sys/fs/binfmt_misc/qemu-s390x')) return
    const { code, stderr } = await failureOf(['--platform', 'linux/s390x', '-'], {
      input: 'FROM base\nRUN true\n',
    })
    t.is(code, 1)
    t.regex(
      stderr,
      /cannot run programs for linux\/s390x[^]*hint: apt-get install qemu-user-static/,
    )
  },
)

build(
  'a touched context is cached, a changed one is not, and --no-cache carries out everything',
  async t => {
    const { kauri } = trial()
    const directory = contextOf({
      Dockerfile:
        'FROM base AS one\nCOPY a /one\nFROM base AS two\nCOPY a /two\nRUN cat /two\nCOPY --from=one /one /b\n',
      a: '1',
    })
    const cached = async (...words: readonly string[]): Promise<number> => {
      const { code, stderr } = await kauri.run(['build', ...words, directory])
      t.is(code, 0, stderr)
      return stderr.match(/^#\d+ CACHED$/gm)?.length ?? 0
    }
    t.is(await cached(), 0)
    utimesSync(path.join(directory, 'a'), 1, 1)
    const all = await cached()
    t.true(all >= 4, String(all))
    t.is(await cached('--no-cache'), 0)
    t.is(await cached(), all)
    const filtered = await cached('--no-cache-filter', 'two')
    t.true(filtered > 0 && filtered < all, String(filtered))
    writeFileSync(path.join(directory, 'a'), '2')
    t.is(await cached(), 0)
  },
)

build('secrets reach the command and nothing else', async t => {
  const { kauri, scratch } = trial()
  const secret = `top-secret-${process.pid}`
  writeFileSync(scratch.at('secret'), secret)
  const directory = contextOf({
    Dockerfile:
      'FROM base\nRUN --mount=type=secret,id=s --mount=type=secret,id=v,env=V test -n "$V" && test -n "$http_proxy" && wc -c < /run/secrets/s\n',
  })
  await buildOf(
    t,
    [
      '--secret',
      `id=s,src=${scratch.at('secret')}`,
      '--secret',
      'id=v,env=HIDDEN',
      '--build-arg',
      `http_proxy=http://u:${secret}@proxy`,
      '-t',
      'with-secret',
      directory,
    ],
    { env: { HIDDEN: secret } },
  )
  const grep = spawnSync('grep', ['-rl', secret, kauri.dataRoot, kauri.runRoot], {
    encoding: 'utf8',
  })
  t.is(grep.stdout, '')
})

build('--check builds nothing, and exits as docker does', async t => {
  const { kauri } = trial()
  const bad = contextOf({ Dockerfile: 'FROM base\nMAINTAINER me\nRUN exit 1\n' })
  const found = await kauri.run(['build', '--check', bad])
  t.is(found.code, 1)
  t.regex(found.stdout, /^Check complete, 1 warning has been found!\n.*MaintainerDeprecated/)
  const good = contextOf({ Dockerfile: 'FROM base\nRUN exit 1\n' })
  const clean = await kauri.run(['build', '--check', good])
  t.is(clean.stdout, 'Check complete, no warnings found.\n')
  t.is(clean.code, 0)
  const warned = await kauri.run([
    'build',
    '-q',
    contextOf({ Dockerfile: 'FROM scratch\nMAINTAINER me\nCOPY Dockerfile /\n' }),
  ])
  t.regex(warned.stderr, /^warning: .*Dockerfile:2:1: .*MaintainerDeprecated/)
  t.is(warned.code, 0)
})

build(
  'a description is built where there is no Dockerfile, and options of Dockerfiles are refused there',
  async t => {
    const directory = contextOf({ 'config.xml': '<image/>' })
    const described = await failureOf([directory])
    t.is(described.code, 2)
    t.regex(described.stderr, /config\.xml:1:1/)
    const target = await failureOf(['--target', 'x', directory])
    t.regex(target.stderr, /--target is for Dockerfiles/)
    writeFileSync(path.join(directory, 'Dockerfile'), 'FROM scratch\nCOPY config.xml /\n')
    t.regex(await buildOf(t, [directory]), digestForm)
  },
)

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  build(`${signal} in the middle of RUN leaves nothing behind`, async t => {
    const { kauri } = trial()
    const directory = contextOf({
      Dockerfile: `FROM base AS a\nRUN echo ${signal} started; sleep 300\nFROM base\nRUN sleep 300 & sleep 301\nCOPY --from=a / /\n`,
    })
    const child = kauri.start(['build', directory])
    let told = ''
    child.stderr?.on('data', (chunk: Buffer) => (told += chunk.toString()))
    child.stdin?.end()
    for (let waited = 0; !new RegExp(`\\d ${signal} started`).test(told) && waited < 100; waited++)
      await sleep(100)
    child.kill(signal)
    const code = await new Promise(resolve => child.once('close', resolve))
    t.is(code, signal === 'SIGINT' ? 130 : 143, told)
    t.regex(told, new RegExp(`kauri: stopped by ${signal}`))
    t.deepEqual(kauri.traces(), [])
    for (const name of ['scratch', 'locks/steps']) {
      const left = path.join(kauri.dataRoot, name)
      t.deepEqual(existsSync(left) ? readdirSync(left) : [], [], name)
    }
    await buildOf(t, ['-q', contextOf(copyAll)])
  })
