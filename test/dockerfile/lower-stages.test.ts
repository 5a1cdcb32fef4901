import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import type { NamedContext } from '../../src/dockerfile/lower-options.ts'
import { defaultPath } from '../../src/oci/image-config.ts'
import {
  addSteps,
  amd64,
  historyTexts,
  lowerText,
  manifest,
  runSteps,
} from '../helpers/lowering.ts'

const ids = async (text: string, target?: string): Promise<string[]> =>
  (await lowerText(text, { target })).plan.stages.map(({ id }) => id)

for (const { title, lines, target, want } of [
  {
    title: 'only what the last stage needs is in the plan',
    lines: ['FROM a AS one', 'FROM b AS two', 'FROM c', 'COPY --from=two / /'],
    want: ['two', 'stage-2'],
  },
  {
    title: 'a target leaves out what comes after it',
    lines: ['FROM a AS one', 'FROM one AS two', 'FROM two AS three'],
    target: 'two',
    want: ['one', 'two'],
  },
  {
    title: 'a target may be written in any case',
    lines: ['FROM a AS one', 'FROM b'],
    target: 'ONE',
    want: ['one'],
  },
  {
    title: 'stages are found by number',
    lines: ['FROM a', 'FROM b', 'FROM c', 'COPY --from=1 / /'],
    want: ['stage-1', 'stage-2'],
  },
  {
    title: 'stages are found in any case',
    lines: ['FROM a AS Build', 'FROM b', 'COPY --from=BUILD / /'],
    want: ['build', 'stage-1'],
  },
  {
    title: 'an image that is read from is a stage without steps, one for all who read',
    lines: ['FROM a', 'COPY --from=busybox / /', 'RUN --mount=from=busybox,target=/b make'],
    want: ['busybox', 'stage-0'],
  },
  {
    title: 'a mount needs its stage, too',
    lines: ['FROM a AS one', 'FROM b', 'RUN --mount=type=cache,from=one,target=/c make'],
    want: ['one', 'stage-1'],
  },
  {
    title: 'of two stages with one name FROM means the one before it, COPY the last one',
    lines: ['FROM a AS x', 'FROM b AS x', 'FROM x', 'COPY --from=x / /'],
    want: ['x#2', 'stage-2'],
  },
])
  test(title, async t => {
    t.deepEqual(await ids(`${lines.join('\n')}\n`, target), want)
  })

test('a stage that two need is in the plan once, before both', async t => {
  const text =
    'FROM a AS one\nFROM one AS two\nFROM one AS three\nFROM two\nCOPY --from=three / /\n'
  t.deepEqual(await ids(text), ['one', 'two', 'three', 'stage-3'])
})

test('images are asked for once, and only those that are needed', async t => {
  const { asked } = await lowerText(
    'FROM unused\nFROM a AS one\nFROM a AS two\nCOPY --from=one / /\nCOPY --from=b / /\nCOPY --from=b /x /\n',
  )
  t.deepEqual(asked, ['a linux/amd64', 'a linux/amd64', 'b linux/amd64'])
})

test('a stage on an image says which, and has its configuration', async t => {
  const { result } = await lowerText('FROM a\n', {
    images: { a: { Env: ['X=1'], WorkingDir: '/w', User: 'me', Labels: { l: '1' } } },
  })
  t.deepEqual(result.base, {
    kind: 'image',
    reference: 'full/a',
    manifest,
    where: { file: 'Dockerfile', line: 1, column: 1 },
  })
  t.deepEqual(result.config, {
    Env: ['X=1', `PATH=${defaultPath}`],
    WorkingDir: '/w',
    User: 'me',
    Labels: { l: '1' },
  })
  t.deepEqual(historyTexts(result), [])
})

test('a configuration has no members that say nothing, and always the same order', async t => {
  const { result } = await lowerText('FROM a\nUSER $X\nEXPOSE $X\nCMD ["x"]\nENV A=1\n', {
    images: { a: { Volumes: {}, Labels: {}, Entrypoint: [], User: 'me' } },
  })
  t.deepEqual(Object.keys(result.config), ['Env', 'Cmd', 'ArgsEscaped'])
  t.deepEqual(historyTexts(result).slice(0, 2), ['USER ', 'EXPOSE []'])
})

test('FROM scratch has a search path and a directory, and asks for nothing', async t => {
  const { result, asked } = await lowerText('FROM scratch\n')
  t.deepEqual(result.base, { kind: 'scratch' })
  t.deepEqual(result.config, { Env: [`PATH=${defaultPath}`], WorkingDir: '/' })
  t.deepEqual(asked, [])
})

test('a stage on a stage has only its own steps and history, and the whole configuration', async t => {
  const { result } = await lowerText('FROM a AS one\nENV A=1\nRUN x\nFROM one\nENV B=2\n')
  t.deepEqual(result.base, { kind: 'stage', stage: 'one' })
  t.deepEqual(result.steps, [])
  t.deepEqual(historyTexts(result), ['ENV B=2'])
  t.deepEqual(result.config.Env, [`PATH=${defaultPath}`, 'A=1', 'B=2'])
})

test('labels of the caller come last and are sorted among the others', async t => {
  const labels = new Map([
    ['m', 'caller'],
    ['a', 'caller'],
  ])
  const { result } = await lowerText('FROM a\nLABEL z=1 m=2\n', { labels })
  t.deepEqual(Object.entries(result.config.Labels ?? {}), [
    ['a', 'caller'],
    ['m', 'caller'],
    ['z', '1'],
  ])
  t.deepEqual(historyTexts(result), ['LABEL z=1 m=2'])
})

test('labels of the caller are on the result alone', async t => {
  const { plan } = await lowerText('FROM a AS one\nFROM b\nCOPY --from=one / /\n', {
    labels: new Map([['l', '1']]),
  })
  t.deepEqual(
    plan.stages.map(({ config }) => config.Labels),
    [undefined, { l: '1' }],
  )
})

for (const [lines, want] of [
  [['CMD a', 'ENTRYPOINT ["e"]'], { Cmd: ['/bin/sh', '-c', 'a'], Entrypoint: ['e'] }],
  [['ENTRYPOINT ["e"]'], { Entrypoint: ['e'] }],
  [['ENTRYPOINT ["e"]', 'CMD ["a"]'], { Cmd: ['a'], Entrypoint: ['e'] }],
  [['ENTRYPOINT []'], {}],
  [['CMD []'], {}],
  [['SHELL ["/bin/ash", "-ec"]', 'CMD a b'], { Cmd: ['/bin/ash', '-ec', 'a b'] }],
] as const)
  test(`a command of the base gives way to an entry point: ${lines.join('; ')}`, async t => {
    const { config } = (await lowerText(`FROM a\n${lines.join('\n')}\n`)).result
    const { Cmd, Entrypoint } = config
    t.deepEqual(JSON.parse(JSON.stringify({ Cmd, Entrypoint })), want)
  })

test('a command of the base stage gives way to an entry point, too', async t => {
  const text = 'FROM a AS one\nCMD ["a"]\nFROM one\nENTRYPOINT ["e"]\n'
  t.is((await lowerText(text)).result.config.Cmd, undefined)
})

test('triggers of a base image run first, as if FROM held them, and are gone afterwards', async t => {
  const { result } = await lowerText('FROM a\n\nRUN two\n', {
    images: { a: { OnBuild: ['RUN one', 'COPY --from=tools /t /t', 'ENV A=1'] } },
  })
  t.is(result.config.OnBuild, undefined)
  t.deepEqual(historyTexts(result), [
    'RUN /bin/sh -c one # buildkit',
    'COPY /t /t # buildkit',
    'ENV A=1',
    'RUN /bin/sh -c two # buildkit',
  ])
  t.deepEqual(
    result.steps.map(({ title }) => title),
    ['[2/4] ONBUILD RUN one', '[3/4] ONBUILD COPY --from=tools /t /t', '[4/4] RUN two'],
  )
  t.deepEqual(result.steps[0]?.where, { file: 'Dockerfile', line: 1, column: 1 })
})

test('triggers of a base stage run in the stage above, once', async t => {
  const { plan, result } = await lowerText(
    'FROM a AS one\nONBUILD RUN x\nFROM one AS two\nFROM two\n',
  )
  t.deepEqual(
    plan.stages.map(({ steps }) => steps.length),
    [0, 1, 0],
  )
  t.deepEqual(plan.stages[0]?.config.OnBuild, ['RUN x'])
  t.is(result.config.OnBuild, undefined)
})

test('a trigger may be a here-document, and need stages that nothing else needs', async t => {
  const { plan } = await lowerText('FROM tools AS t\nFROM a\n', {
    images: { a: { OnBuild: ['COPY --from=t /x /x', 'RUN <<EOF\necho a\nEOF'] } },
  })
  t.deepEqual(
    plan.stages.map(({ id }) => id),
    ['t', 'stage-1'],
  )
  const [step] = runSteps(plan.stages[1] ?? t.fail())
  t.deepEqual(step?.command, ['/bin/sh', '-c', 'echo a\n'])
})

const refusals: readonly (readonly [
  title: string,
  lines: string[],
  message: string,
  line: number,
])[] = [
  [
    'a later stage cannot be copied from',
    ['FROM a AS one', 'COPY --from=two / /', 'FROM b AS two', 'FROM one'],
    'cannot copy from stage "two", it needs to be defined before current stage "one"',
    2,
  ],
  [
    'a later stage cannot be mounted',
    ['FROM a AS one', 'RUN --mount=from=two,target=/t x', 'FROM b AS two', 'FROM one'],
    'cannot mount from stage "two" to "/t", stage needs to be defined before current command',
    2,
  ],
  [
    'stages cannot wait for each other',
    ['FROM a AS one', 'COPY --from=two / /', 'FROM b AS two', 'COPY --from=one / /'],
    'circular dependency detected on stage: one',
    4,
  ],
  [
    'a stage cannot copy from itself',
    ['FROM a AS one', 'COPY --from=one / /'],
    'circular dependency detected on stage: one',
    2,
  ],
  [
    'a stage cannot copy from its own number',
    ['FROM a', 'COPY --from=0 / /'],
    'circular dependency detected on stage: stage-0',
    2,
  ],
  ['numbers end', ['FROM a', 'COPY --from=1 / /'], 'invalid stage index 1', 2],
  ['numbers begin at 0', ['FROM a', 'COPY --from=-1 / /'], 'invalid stage index -1', 2],
  [
    'a source stage is no variable',
    ['ARG S=one', 'FROM a AS one', 'FROM b', 'COPY --from=$S / /'],
    'variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround',
    4,
  ],
  ['a base name is not empty', ['ARG B', 'FROM ${B}'], 'base name (${B}) should not be blank', 2],
  [
    'a base name is a name, also where its stage is not needed',
    ['FROM a:b:c', 'FROM b'],
    'failed to parse stage name "a:b:c": invalid reference format',
    1,
  ],
  [
    'a base name is lower case',
    ['FROM Base'],
    'failed to parse stage name "Base": invalid reference format: repository name (library/Base) must be lowercase',
    1,
  ],
  [
    'a platform is not empty',
    ['FROM --platform=$P a'],
    'empty platform value from expression $P',
    1,
  ],
  [
    'a platform has an architecture that is a word',
    ['ARG MY_ARCH=amd64', 'FROM --platform=linux/${MYARCH} a'],
    'failed to parse platform linux/${MYARCH}: "" is an invalid component of "linux/": platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument (did you mean MY_ARCH?)',
    2,
  ],
]
for (const [title, lines, message, line] of refusals)
  test(title, async t => {
    const error = await t.throwsAsync(lowerText(`${lines.join('\n')}\n`), {
      instanceOf: KauriError,
      message,
    })
    t.is(error.code, 'DESCRIPTION_INVALID')
    t.deepEqual(error.where, { file: 'Dockerfile', line, column: 1 })
  })

test('a target that is none is refused with the nearest one', async t => {
  await t.throwsAsync(lowerText('FROM a AS build\nFROM b\n', { target: 'biuld' }), {
    message: 'target stage "biuld" could not be found (did you mean build?)',
  })
})

test('an image that is missing is refused where it is named, with the stage that may be meant', async t => {
  const error = await t.throwsAsync(
    lowerText('FROM a AS build\nFROM b\nCOPY --from=biuld / /\n', { missing: ['biuld'] }),
    { instanceOf: KauriError, message: 'no image biuld' },
  )
  t.is(error.code, 'IMAGE_NOT_FOUND')
  t.is(error.where?.line, 3)
  t.is(error.hint, 'is the stage build meant?')
})

test('an image that only an unused stage needs may be missing', async t => {
  t.deepEqual(await ids('FROM gone AS unused\nFROM b\n'), ['stage-1'])
})

for (const { title, text, want } of [
  {
    title: 'a platform of FROM is asked for',
    text: 'FROM --platform=linux/arm64 a\n',
    want: 'a linux/arm64',
  },
  {
    title: 'a platform may be a variable',
    text: 'ARG ARCH=s390x\nFROM --platform=linux/${ARCH} a\n',
    want: 'a linux/s390x',
  },
  {
    title: 'a platform may be that of this machine',
    text: 'FROM --platform=$BUILDPLATFORM a\n',
    want: 'a linux/amd64',
  },
  {
    title: 'without a platform it is that of the result',
    text: 'FROM a\n',
    want: 'a linux/riscv64',
  },
])
  test(title, async t => {
    const platform = { os: 'linux', architecture: 'riscv64' }
    const { asked } = await lowerText(text, { platform })
    t.deepEqual(asked, [want])
  })

test('a stage on a stage is for the same platform', async t => {
  const { result } = await lowerText('FROM --platform=linux/arm64 a AS one\nFROM one\n')
  t.deepEqual(result.platform, { os: 'linux', architecture: 'arm64' })
})

test('the result is for the platform that was chosen, whatever its stage runs on', async t => {
  const text = 'FROM --platform=linux/arm64 a\n'
  t.is((await lowerText(text)).result.imagePlatform, undefined)
  const { result } = await lowerText(text, { platformIsExplicit: true })
  t.deepEqual(result.imagePlatform, amd64)
  t.deepEqual(result.platform, { os: 'linux', architecture: 'arm64' })
})

test('without a choice a stage is for what its image is for, and a choice is kept and told', async t => {
  const images = { a: { architecture: 'arm64' } }
  const free = await lowerText('FROM a\n', { images })
  t.deepEqual(free.result.platform, { os: 'linux', architecture: 'arm64' })
  const chosen = await lowerText('FROM a\n', { images, platformIsExplicit: true })
  t.deepEqual(chosen.result.platform, amd64)
  for (const { warnings } of [free, chosen])
    t.deepEqual(
      warnings.map(({ rule }) => rule),
      ['InvalidBaseImagePlatform'],
    )
})

test('arguments name platforms without the variant that everybody means', async t => {
  const arm64 = { os: 'linux', architecture: 'arm64', variant: 'v8' }
  const text = 'FROM a\nARG TARGETPLATFORM BUILDPLATFORM TARGETVARIANT\nRUN x\n'
  const { result } = await lowerText(text, { platform: arm64, buildPlatform: arm64 })
  t.deepEqual(runSteps(result)[0]?.environment.slice(1), [
    'TARGETPLATFORM=linux/arm64',
    'BUILDPLATFORM=linux/arm64',
    'TARGETVARIANT=',
  ])
})

async function withContexts(
  text: string,
  named: Readonly<Record<string, NamedContext>>,
): ReturnType<typeof lowerText> {
  return lowerText(text, {
    namedContexts: new Map(Object.entries(named)),
    contexts: { context: { directory: '/context' }, other: { directory: '/other' } },
  })
}

const directory: NamedContext = { kind: 'directory', context: 'other' }
const image: NamedContext = { kind: 'image', reference: 'replacement' }

for (const [written, key] of [
  ['debian', 'debian'],
  ['debian:latest', 'debian'],
  ['debian', 'docker.io/library/debian:latest'],
  ['debian:12', 'debian:12'],
  ['debian', 'debian::linux/amd64'],
  ['example.org/a/b', 'example.org/a/b'],
] as const)
  test(`the context ${key} takes the place of the image ${written}`, async t => {
    const { asked } = await withContexts(`FROM ${written}\n`, { [key]: image })
    t.deepEqual(asked, ['replacement linux/amd64'])
  })

for (const [written, key] of [
  ['debian:12', 'debian'],
  ['debian', 'debian::linux/arm64'],
] as const)
  test(`the context ${key} has nothing to do with the image ${written}`, async t => {
    const { asked } = await withContexts(`FROM ${written}\n`, { [key]: image })
    t.deepEqual(asked, [`${written} linux/amd64`])
  })

test('scratch is no context, whatever the caller says', async t => {
  const { result } = await withContexts('FROM scratch\n', { scratch: image })
  t.deepEqual(result.base, { kind: 'scratch' })
})

test('a directory in the place of a source is read as a context', async t => {
  const { plan, result } = await withContexts('FROM a\nCOPY --from=files /x /\n', {
    files: directory,
  })
  t.deepEqual(addSteps(result)[0]?.from, { kind: 'context', context: 'other' })
  t.deepEqual(
    plan.stages.map(({ id }) => id),
    ['stage-0'],
  )
  t.deepEqual(plan.contexts, { other: { directory: '/other' } })
})

test('a context takes the place of a whole stage, so that nothing of it is built', async t => {
  const text = 'FROM a AS files\nRUN long\nFROM b\nCOPY --from=files /x /\n'
  const { plan, asked } = await withContexts(text, { files: image })
  t.deepEqual(asked, ['replacement linux/amd64', 'b linux/amd64'])
  t.deepEqual(
    plan.stages.map(({ id, steps }) => [id, steps.length]),
    [
      ['files', 0],
      ['stage-1', 1],
    ],
  )
  const read = await withContexts(text, { files: directory })
  t.deepEqual(
    read.plan.stages.map(({ id }) => id),
    ['stage-1'],
  )
  t.deepEqual(addSteps(read.result)[0]?.from, { kind: 'context', context: 'other' })
})

test('a stage may start from a directory: all that is in it is its first layer', async t => {
  const { result } = await withContexts('FROM files\nRUN x\n', { files: directory })
  t.deepEqual(result.base, { kind: 'scratch' })
  const [copy] = addSteps(result)
  t.deepEqual(copy?.from, { kind: 'context', context: 'other' })
  t.deepEqual(copy?.sources, [{ kind: 'pattern', pattern: '/' }])
  t.is(result.steps.length, 2)
})

test('a stage may start from a stage that a directory takes the place of', async t => {
  const { plan, result } = await withContexts('FROM a AS one\nFROM one\nRUN x\n', {
    one: directory,
  })
  t.deepEqual(result.base, { kind: 'stage', stage: 'one' })
  t.deepEqual(plan.stages[0]?.base, { kind: 'scratch' })
  t.is(plan.stages[0]?.steps.length, 1)
})

test('contexts that nothing reads are not in the plan', async t => {
  const { plan } = await withContexts('FROM a\n', { files: directory })
  t.deepEqual(plan.contexts, {})
})

for (const [text, want] of [
  ['FROM a\nRUN x\n', ['[1/2] FROM full/a', '[2/2] RUN x']],
  ['FROM scratch\nCOPY x /\n', ['[1/1] COPY x /']],
  ['FROM a AS one\nRUN x\n', ['[1/2] FROM full/a', '[2/2] RUN x']],
  ['FROM a AS one\nRUN x\nFROM one\nRUN y\n', ['[stage-1 1/1] RUN y']],
  [
    'FROM scratch\nFROM a\nWORKDIR /\nWORKDIR w\n',
    ['[stage-1 1/3] FROM full/a', '[stage-1 2/3] WORKDIR w'],
  ],
  [
    'FROM a\nRUN --mount=type=tmpfs,target=/t x\n',
    ['[stage-0 1/2] FROM full/a', '[stage-0 2/2] RUN --mount=type=tmpfs,target=/t x'],
  ],
  ['FROM a\nENV V=v\ncopy $V "$V"  /\n', ['[1/2] FROM full/a', '[2/2] COPY v v  /']],
  [
    'FROM a\nENV V=v\nrun echo $V "$N" \\\n  $V\n',
    ['[1/2] FROM full/a', '[2/2] RUN echo v "$N"   v'],
  ],
  [
    'FROM a\nRUN <<EOF\necho 1\necho 2\nEOF\n',
    ['[1/2] FROM full/a', '[2/2] RUN <<EOF (echo 1...)'],
  ],
] as const)
  test(`titles are those of BuildKit's progress: ${JSON.stringify(text)}`, async t => {
    const { result } = await lowerText(text)
    const titles = [result.title, ...result.steps.map(({ title }) => title)]
    t.deepEqual(
      titles.filter(title => title !== undefined),
      [...want],
    )
  })

test('numbers in titles are as wide as the last one', async t => {
  const { result } = await lowerText(`FROM a\n${'RUN x\n'.repeat(10)}`)
  t.is(result.title, '[ 1/11] FROM full/a')
  t.is(result.steps.at(-1)?.title, '[11/11] RUN x')
})

test('titles name the platform where a plan is one of several', async t => {
  const arm64 = { os: 'linux', architecture: 'arm64' }
  const text = 'FROM --platform=$BUILDPLATFORM a\nRUN one\nARG TARGETARCH\nRUN two\n'
  const { result } = await lowerText(text, { platform: arm64, showsPlatform: true })
  t.deepEqual(
    result.steps.map(({ title }) => title),
    ['[linux/amd64 2/3] RUN one', '[linux/amd64->arm64 3/3] RUN two'],
  )
})
