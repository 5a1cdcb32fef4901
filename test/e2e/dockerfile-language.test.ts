// Rows 1 to 31 of docs/dockerfile.md: how a file is read, stages, variables.

import { execFileSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { checkBuild, featureRows } from '../helpers/feature-rows.ts'
import { makeGitRepository, serveGit } from '../helpers/git-server.ts'

const { row, rowWith } = featureRows()

row(
  1,
  'a frontend of Dockerfiles may be named; another one is told and not run',
  {
    dockerfile: '# syntax=docker/dockerfile:1.7-labs\nFROM scratch\nCOPY <<a /\nA\na\n',
    has: { a: 'A' },
  },
  {
    dockerfile: '# syntax=example.org/other/language\nFROM scratch\nCOPY <<a /\nA\na\n',
    told: /warning: .*frontend example\.org\/other\/language is not run/,
  },
)

row(2, 'the escape character may be a backtick', {
  dockerfile: "# escape=`\nFROM base\nRUN echo a`\nb > /x; echo 'c:\\' > /y\n",
  has: { x: 'ab', y: 'c:\\' },
})

row(
  3,
  'build checks are chosen by the file, by a comment, and can make a build fail',
  { dockerfile: 'FROM base\nMAINTAINER me\n', told: /MaintainerDeprecated/ },
  {
    dockerfile: '# check=error=true\nFROM base\nMAINTAINER me\n',
    refused: /lint violation found for rules: MaintainerDeprecated/,
  },
  { dockerfile: '# check=skip=MaintainerDeprecated;error=true\nFROM base\nMAINTAINER me\n' },
)

row(4, 'a byte order mark and line ends of Windows are no part of the text', {
  dockerfile: '\uFEFFFROM base\r\nRUN echo a \\\r\n  b > /x\r\n',
  has: { x: 'a b' },
})

row(5, 'comments between continued lines go', {
  dockerfile: 'FROM base\nRUN echo a \\\n# not this\n  # nor this\n  b > /x\n',
  has: { x: 'a b' },
})

row(6, 'empty lines between continued lines go, with a warning', {
  dockerfile: 'FROM base\nRUN echo a \\\n\n  b > /x\n',
  has: { x: 'a b' },
  told: /NoEmptyContinuation/,
})

rowWith(7, 'comments before ARG and FROM describe arguments and targets', async (t, trial) => {
  const directory = trial.contextOf({
    Dockerfile:
      '# V which version\nARG V=1\n# lib is for others\nFROM scratch AS lib\n# N how many\nARG N=2\n# app is the result\nFROM lib AS app\nARG V\n# other is not needed\nFROM scratch AS other\nARG X\n',
  })
  t.is(
    await trial.build(t, ['--call', 'targets', directory]),
    'TARGET            DESCRIPTION\nlib               is for others\napp               is the result\nother (default)   is not needed',
  )
  const outline = await trial.build(t, [
    '--call=outline',
    '--target=app',
    '--build-arg',
    'N=7',
    directory,
  ])
  t.regex(outline, /^TARGET: +app\nDESCRIPTION: is the result\n/)
  t.regex(outline, /^V +1 +which version\nN +7 +how many$/m)
  t.notRegex(outline, /^X/m)
})

row(8, 'RUN takes a script as a here-document', {
  dockerfile:
    'FROM base\nENV A=env\nRUN <<EOF\nset -e\nfor i in 1 2; do\n  echo $A$i >> /x\ndone\nEOF\n',
  has: { x: 'env1\nenv2' },
})

row(9, 'a script with an interpreter is run by it', {
  dockerfile:
    'FROM base\nRUN <<EOF\n#!/bin/cat\nnot a shell command\nEOF\nRUN <<EOF\n#!/bin/sh -e\necho $0 > /x\nEOF\n',
  has: { x: '/dev/pipes/EOF' },
  told: /not a shell command/,
})

row(10, 'a command reads here-documents, several of them too', {
  dockerfile: "FROM base\nENV A=1\nRUN cat <<one > /x; cat 3<<'two' <&3 > /y\n$A\none\n$A\ntwo\n",
  has: { x: '1', y: '$A' },
})

row(11, 'COPY and ADD write here-documents, expanded, literal, without leading tabs', {
  dockerfile:
    "FROM scratch\nENV A=1\nCOPY <<x <<'y' /d/\n$A ${A:+two}\nx\n$A\ny\nADD <<-z /d/z2\n\t\ttabs\n\tz\n",
  has: { 'd/x': '1 two', 'd/y': '$A', 'd/z2': 'tabs', 'mode:d/x': '644 0:0' },
})

rowWith(12, 'FROM takes names with tags and digests', async (t, trial) => {
  const { kauri } = trial
  const inspected = await kauri.run(['inspect', 'base'])
  const [{ Id }] = JSON.parse(inspected.stdout)
  for (const name of [
    'base',
    'base:latest',
    'docker.io/library/base',
    `base@${Id}`,
    `base:latest@${Id}`,
  ])
    await checkBuild(t, trial, {
      dockerfile: `FROM ${name}\nRUN echo ${name} > /x\n`,
      has: { x: name },
    })
  const refused = { refused: /there is no image|cannot reach/ }
  await checkBuild(t, trial, { dockerfile: 'FROM localhost:1/none:3\n', ...refused })
})

row(13, 'FROM scratch is empty, with a search path', {
  dockerfile: 'FROM scratch\nCOPY <<a /\nA\na\n',
  has: { 'list:.': 'a' },
  config: {
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    WorkingDir: '/',
  },
})

row(
  14,
  'a stage stands on another one',
  {
    dockerfile: 'FROM base AS one\nRUN echo 1 > /x\nENV E=1\nFROM one AS two\nRUN echo 2$E >> /x\n',
    has: { x: '1\n21' },
  },
  { dockerfile: 'FROM two AS one\nFROM base AS two\nFROM one\n', refused: /two/ },
  { dockerfile: 'FROM base AS Bad!\n', refused: /invalid name for build stage/ },
)

row(
  15,
  'FROM --platform takes platforms and variables',
  {
    dockerfile: 'FROM --platform=$BUILDPLATFORM base\nARG TARGETARCH\nRUN echo $TARGETARCH > /x\n',
    words: ['--platform', 'linux/s390x'],
    has: { x: 's390x' },
  },
  { dockerfile: 'FROM --platform=linux/none/x/y base\n', refused: /platform/ },
)

row(16, 'FROM --after is refused, as BuildKit refuses it', {
  dockerfile: 'FROM base AS a\nFROM --after=a base\n',
  refused: /unknown flag: --?after/,
})

row(
  17,
  'arguments before the first stage are for FROM, and for stages that declare them',
  {
    dockerfile: 'ARG B=base\nARG V=1\nFROM ${B}\nARG V\nRUN echo "$V$B" > /x\n',
    words: ['--build-arg', 'V=2'],
    has: { x: '2' },
  },
  { dockerfile: 'ARG B\nFROM $B\n', refused: /base name \(\$B\) should not be blank/ },
)

const value = (word: string): { readonly dockerfile: string } => ({
  dockerfile: `FROM scratch\nENV S=set E= L=/usr/lib/lib.so\nENV V=${word}\n`,
})
const config = (text: string): { readonly config: { readonly Env: readonly string[] } } => ({
  config: {
    Env: [
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'S=set',
      'E=',
      'L=/usr/lib/lib.so',
      `V=${text}`,
    ],
  },
})

row(18, '${x:-y} and ${x:+y} look at empty values, too', {
  ...value('${E:-a}${S:-b}${U:-c}${E:+d}${S:+e}'),
  ...config('asetce'),
})
row(19, '${x-y} and ${x+y} look at unset ones only', {
  ...value('${E-a}${S-b}${U-c}${E+d}${U+e}'),
  ...config('setcd'),
})
row(
  20,
  '${x:?m} refuses empty values',
  { ...value('${S:?no}'), ...config('set') },
  { ...value('${E:?it is empty}'), refused: /it is empty/ },
)
row(
  21,
  '${x?m} refuses unset ones',
  { ...value('${E?no}x'), ...config('x') },
  { ...value('${U?it is unset}'), refused: /it is unset/ },
)
row(22, 'prefixes and suffixes are taken away, shortest or longest', {
  ...value('${L#*/}:${L##*/}:${L%/*}:${L%%/*}'),
  ...config('usr/lib/lib.so:lib.so:/usr/lib:'),
})
row(23, 'the first match, or every one, is replaced', {
  ...value('${L/lib/x}:${L//lib/x}'),
  ...config('/usr/x/lib.so:/usr/x/x.so'),
})

row(
  24,
  'ENV sets several variables, or one in the old form; one instruction sees what was before it',
  {
    dockerfile: 'FROM scratch\nENV A=1 B="two words" C=a\\ b\nENV A=2 D=$A\nENV OLD a  b\n',
    config: {
      Env: [
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        'B=two words',
        'C=a b',
        'A=2',
        'D=1',
        'OLD=a  b',
      ].toSorted((a, b) => order(a) - order(b)),
    },
  },
)

/** Variables stand where they were set first. */
function order(text: string): number {
  return ['PATH', 'A', 'B', 'C', 'D', 'OLD'].indexOf(text.split('=')[0] ?? '')
}

row(25, 'LABEL sets several labels, or one in the old form; the caller’s come last', {
  dockerfile: 'FROM scratch\nLABEL a=1 "b c"="d e" f=$a\nLABEL old x y\n',
  words: ['--label', 'a=caller', '--label', 'empty'],
  config: { Labels: { a: 'caller', 'b c': 'd e', f: '', old: 'x y', empty: '' } },
})

row(26, 'ARG declares several arguments in one line', {
  dockerfile: 'FROM base\nARG A=1 B C=3\nRUN echo $A$B$C > /x\n',
  words: ['--build-arg', 'B=2'],
  has: { x: '123' },
})

row(27, 'the platforms of build and target are arguments', {
  dockerfile:
    'FROM --platform=$BUILDPLATFORM base\nARG BUILDPLATFORM BUILDOS BUILDARCH TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT\nRUN echo "$BUILDOS/$BUILDARCH=$BUILDPLATFORM $TARGETOS/$TARGETARCH/$TARGETVARIANT=$TARGETPLATFORM" > /x\n',
  words: ['--platform', 'linux/arm/v6'],
  has: { x: `${hostWords()}=${hostWords()} linux/arm/v6=linux/arm/v6` },
})

function hostWords(): string {
  const machine = execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim()
  return `linux/${{ x86_64: 'amd64', aarch64: 'arm64' }[machine] ?? machine}`
}

row(28, 'the stage that is built is an argument, and the version of the system', {
  dockerfile:
    'FROM base AS one\nARG TARGETSTAGE TARGETOSVERSION BUILDOSVERSION\nRUN echo "$TARGETSTAGE,$TARGETOSVERSION,$BUILDOSVERSION" > /x\n',
  words: ['--target', 'one'],
  has: { x: 'one,,' },
})

row(29, 'proxies reach commands without being declared, and are in no key', {
  dockerfile: 'FROM base\nRUN echo "$http_proxy,$NO_PROXY" > /x\n',
  words: ['--build-arg', 'http_proxy=http://p', '--build-arg', 'NO_PROXY=n'],
  has: { x: 'http://p,n' },
})

row(30, 'SOURCE_DATE_EPOCH is the time of the image, and of commands that declare it', {
  dockerfile: 'FROM base\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH > /x\n',
  words: ['--build-arg', 'SOURCE_DATE_EPOCH=1234567890'],
  has: { x: '1234567890' },
})

rowWith(31, 'SOURCE_DATE_EPOCH=context is the time of the context’s commit', async (t, trial) => {
  const { scratch, kauri, build } = trial
  const Dockerfile = 'FROM base\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH\n'
  makeGitRepository(scratch.at('epoch/one')).commit({ Dockerfile }, 1_222_333_444)
  symlinkSync('one/.git', scratch.at('epoch/one.git'))
  await using server = await serveGit(scratch.at('epoch'))
  const words = ['--build-arg', 'SOURCE_DATE_EPOCH=context', '-t', 'dated', `${server.url}/one.git`]
  await build(t, words)
  const { stdout } = await kauri.run(['inspect', 'dated'])
  t.regex(stdout, /"Created": "2008-09-25T09:04:04(?:\.000)?Z"/)
})
