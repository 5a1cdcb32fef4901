import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { defaultPath } from '../../src/oci/image-config.ts'
import { historyTexts, lowerText, runSteps } from '../helpers/lowering.ts'

const path = `PATH=${defaultPath}`

/** The environment of the last RUN, without the search path. */
async function environment(
  text: string,
  buildArgs: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const { result } = await lowerText(text, { buildArgs: new Map(Object.entries(buildArgs)) })
  const items = runSteps(result).at(-1)?.environment ?? []
  return items.filter(item => item !== path)
}

for (const { title, lines, given, want } of [
  {
    title: 'a default of ARG is in the environment of RUN',
    lines: ['FROM busybox', 'ARG A=1', 'RUN env'],
    want: ['A=1'],
  },
  {
    title: 'a build argument wins over the default of ARG',
    lines: ['FROM busybox', 'ARG A=1', 'RUN env'],
    given: { A: '2' },
    want: ['A=2'],
  },
  {
    title: 'an empty build argument is a value',
    lines: ['FROM busybox', 'ARG A=1', 'RUN env'],
    given: { A: '' },
    want: ['A='],
  },
  {
    title: 'a build argument that no ARG takes is in no environment',
    lines: ['FROM busybox', 'RUN env'],
    given: { A: '2' },
    want: [],
  },
  {
    title: 'an ARG without any value is not set',
    lines: ['FROM busybox', 'ARG A', 'RUN env'],
    want: [],
  },
  {
    title: 'a global ARG is not set in a stage that does not name it',
    lines: ['ARG A=1', 'FROM busybox', 'RUN env'],
    want: [],
  },
  {
    title: 'a global ARG comes into a stage by its name alone',
    lines: ['ARG A=1', 'FROM busybox', 'ARG A', 'RUN env'],
    want: ['A=1'],
  },
  {
    title: 'a default in the stage wins over the global one',
    lines: ['ARG A=1', 'FROM busybox', 'ARG A=2', 'RUN env'],
    want: ['A=2'],
  },
  {
    title: 'a build argument wins over both',
    lines: ['ARG A=1', 'FROM busybox', 'ARG A=2', 'RUN env'],
    given: { A: '3' },
    want: ['A=3'],
  },
  {
    title: 'defaults see what stands before them, also in the same instruction',
    lines: ['FROM busybox', 'ARG A=1 B=${A}2', 'ARG C="$B 3"', 'RUN env'],
    want: ['A=1', 'B=12', 'C=12 3'],
  },
  {
    title: 'a default that is not needed is not expanded, so it cannot fail',
    lines: ['FROM busybox', 'ARG A=${B:?no}', 'RUN env'],
    given: { A: 'x' },
    want: ['A=x'],
  },
  {
    title: 'ENV after ARG wins',
    lines: ['FROM busybox', 'ARG A=1', 'ENV A=2', 'RUN env'],
    given: { A: '3' },
    want: ['A=2'],
  },
  {
    title: 'ARG after ENV of the same stage wins in programs',
    lines: ['FROM busybox', 'ENV A=2', 'ARG A=1', 'RUN env'],
    want: ['A=1'],
  },
  {
    title: 'all values of one ENV see what was set before it',
    lines: ['FROM busybox', 'ENV abc=hello', 'ENV abc=bye def=$abc', 'ENV ghi=$abc', 'RUN env'],
    want: ['abc=bye', 'def=hello', 'ghi=bye'],
  },
  {
    title: 'a variable that is set again comes last',
    lines: ['FROM busybox', 'ENV A=1', 'ENV B=2', 'ENV A=3', 'RUN env'],
    want: ['B=2', 'A=3'],
  },
  {
    title: 'names may be variables, too',
    lines: ['FROM busybox', 'ENV N=NAME', 'ENV $N=1', 'RUN env'],
    want: ['N=NAME', 'NAME=1'],
  },
  {
    title: 'a stage on a stage has its arguments',
    lines: ['FROM busybox AS one', 'ARG A=1', 'FROM one', 'RUN env'],
    want: ['A=1'],
  },
  {
    title: 'ENV of the base stage wins over its ARG in the stage above',
    lines: ['FROM busybox AS one', 'ENV A=env', 'ARG A=arg', 'FROM one', 'RUN env'],
    want: ['A=env'],
  },
  {
    title: 'automatic arguments are set where they are named',
    lines: ['FROM busybox', 'ARG TARGETARCH BUILDPLATFORM TARGETVARIANT', 'RUN env'],
    want: ['TARGETARCH=amd64', 'BUILDPLATFORM=linux/amd64', 'TARGETVARIANT='],
  },
  {
    title: 'a build argument replaces an automatic one',
    lines: ['FROM busybox', 'ARG TARGETARCH', 'RUN env'],
    given: { TARGETARCH: 'mips' },
    want: ['TARGETARCH=mips'],
  },
  {
    title: 'TARGETSTAGE is "default" for a stage without a name',
    lines: ['FROM busybox', 'ARG TARGETSTAGE', 'RUN env'],
    want: ['TARGETSTAGE=default'],
  },
  {
    title: 'proxy arguments are in no environment, keys or history, unless ARG names them',
    lines: ['FROM busybox', 'RUN env'],
    given: { HTTP_PROXY: 'http://me:secret@proxy', no_proxy: 'localhost' },
    want: [],
  },
  {
    title: 'quotes of ARG go away',
    lines: ['FROM busybox', `ARG A="x y" B='$z'`, 'RUN env'],
    want: ['A=x y', 'B=$z'],
  },
  {
    title: 'what only scanners are told is in no environment',
    lines: ['FROM busybox', 'ARG BUILDKIT_SBOM_SCAN_STAGE=true', 'RUN env'],
    want: [],
  },
])
  test(title, async t => {
    t.deepEqual(await environment(lines.join('\n'), given), want)
  })

test('arguments stand in the history of RUN, with the values that the program sees', async t => {
  const { result } = await lowerText(
    'FROM busybox\nARG A=1 B\nARG C=3\nENV C=env\nRUN make\nARG A=2\nRUN ["make", "all"]\n',
    { buildArgs: new Map([['B', 'b b']]) },
  )
  t.deepEqual(historyTexts(result), [
    'ARG A=1 B=b b',
    'ARG C=3',
    'ENV C=env',
    'RUN |3 A=1 B=b b C=env /bin/sh -c make # buildkit',
    'ARG A=2',
    'RUN |3 A=2 B=b b C=env make all # buildkit',
  ])
})

test('an ARG without a value stands in the history with nothing', async t => {
  const { result } = await lowerText('FROM busybox\nARG A\nRUN x\n')
  t.deepEqual(historyTexts(result), ['ARG A', 'RUN |1 A= /bin/sh -c x # buildkit'])
})

for (const [line, want] of [
  ['USER $U', ['User', 'me:staff']],
  ['WORKDIR /a/$D', ['WorkingDir', '/a/b']],
  ['STOPSIGNAL ${S}', ['StopSignal', 'SIGINT']],
  ['VOLUME /$D ["x"]', ['Volumes', { '/b': {}, '[x]': {} }]],
  ['VOLUME ["/$D", "/v"]', ['Volumes', { '/b': {}, '/v': {} }]],
  ['LABEL $D="$U" other=\'$U\'', ['Labels', { b: 'me:staff', other: '$U' }]],
  ['EXPOSE $P 80', ['ExposedPorts', { '80/tcp': {}, '90/udp': {}, '91/tcp': {} }]],
  ['CMD ["$U"]', ['Cmd', ['$U']]],
  ['CMD echo $U', ['Cmd', ['/bin/sh', '-c', 'echo $U']]],
  ['ENTRYPOINT ["$U", "x"]', ['Entrypoint', ['$U', 'x']]],
  ['SHELL ["$U"]', ['Shell', ['$U']]],
  ['HEALTHCHECK CMD $U', ['Healthcheck', { Test: ['CMD-SHELL', '$U'] }]],
  ['ONBUILD RUN $U', ['OnBuild', ['RUN $U']]],
] as const)
  test(`variables are expanded where the language says so: ${line}`, async t => {
    const head = 'FROM busybox\nENV U=me:staff D=b S=SIGINT P="90/udp 91"\n'
    const { config } = (await lowerText(`${head}${line}\n`)).result
    const [member, value] = want
    t.deepEqual(Object.entries(config).find(([name]) => name === member)?.[1], value)
  })

test('MAINTAINER is the author as written', async t => {
  const { result } = await lowerText('FROM busybox\nENV A=1\nMAINTAINER $A <a@example.org>\n')
  t.is(result.author, '$A <a@example.org>')
})

test('with a backtick as the escape character a backslash is plain', async t => {
  const { result } = await lowerText('# escape=`\nFROM busybox\nENV A=a\\b B=`$A\n')
  t.deepEqual(result.config.Env?.slice(1), ['A=a\\b', 'B=$A'])
})

test('arguments that nothing takes are told, the known ones are not', async t => {
  const names = ['A', 'B', 'C', 'HTTP_PROXY', 'no_proxy', 'BUILDKIT_INLINE_CACHE', 'TARGETARCH']
  const { unusedBuildArgs } = await lowerText('ARG A\nFROM busybox\nARG B\nFROM busybox\n', {
    buildArgs: new Map(names.map(name => [name, '1'])),
  })
  t.deepEqual(unusedBuildArgs, ['C'])
})

test('names that are not set are told, but for EXPOSE, as in BuildKit', async t => {
  const { warnings } = await lowerText(
    'FROM busybox\nUSER $A\nEXPOSE 80 $B\nENV C=$D\nARG E\nENV F=$E\n',
  )
  t.deepEqual(
    warnings.map(({ rule, where }) => [rule, where.line]),
    [
      ['UndefinedVar', 2],
      ['UndefinedVar', 4],
    ],
  )
})

for (const [text, message, line] of [
  ['FROM busybox\n\nENV A="${B:?must be set}"\n', /must be set/, 3],
  ["FROM busybox\nENV A='x\n", /unexpected end of statement/, 2],
  ['ARG A=${B?}\nFROM busybox\n', /is not allowed to be unset/, 1],
  ['FROM busybox\nUSER ${A\n', /^failed to process "\$\{A": /, 2],
  ['FROM busybox\nVOLUME $A\n', /^VOLUME specified can not be an empty string$/, 2],
  ['FROM busybox\nSTOPSIGNAL NOPE\n', /^invalid signal: NOPE$/, 2],
  ['FROM busybox\nSTOPSIGNAL 0\n', /^invalid signal: 0$/, 2],
  ['FROM busybox\nSTOPSIGNAL SIGRTMIN+16\n', /^invalid signal: SIGRTMIN\+16$/, 2],
  ['FROM busybox\nEXPOSE 80/tcpp\n', /invalid proto: tcpp/, 2],
] as const)
  test(`a refusal says where: ${JSON.stringify(text)}`, async t => {
    const error = await t.throwsAsync(lowerText(text), { message, instanceOf: KauriError })
    t.is(error.code, 'DESCRIPTION_INVALID')
    t.deepEqual(error.where, { file: 'Dockerfile', line, column: 1 })
  })

for (const signal of ['9', 'KILL', 'sigusr1', 'SIGRTMIN', 'RTMIN+15', 'SIGRTMAX-14', 'CLD'])
  test(`${signal} stops a container`, async t => {
    const { result } = await lowerText(`FROM busybox\nSTOPSIGNAL ${signal}\n`)
    t.is(result.config.StopSignal, signal)
  })
