import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import type { PlanContext } from '../../src/plan/plan.ts'
import { addSteps, historyTexts, type Lowering, lowerText, manifest } from '../helpers/lowering.ts'

const head = 'FROM a AS base\nFROM a\nWORKDIR /w\nENV V=v W="x y"\n'
const withHead = (lines: string): Promise<Lowering> => lowerText(`${head}${lines}\n`)

/** The last COPY or ADD as data, without where it was written and what it is called. */
async function step(lines: string): Promise<unknown> {
  const { result } = await withHead(lines)
  const { title: _title, where: _where, phase, ...rest } = addSteps(result).at(-1) ?? {}
  if (phase !== 'instruction') throw new Error('no COPY')
  return JSON.parse(JSON.stringify(rest))
}

const pattern = (text: string): object => ({ kind: 'pattern', pattern: text })
const context = { kind: 'context', context: 'context' }
const copied = {
  kind: 'add',
  from: context,
  targetIsDirectory: false,
  parents: false,
  excludes: [],
  link: false,
  unpack: 'none',
}

for (const [line, want] of [
  ['COPY a /b', { sources: [pattern('/a')], target: '/b' }],
  ['COPY a b', { sources: [pattern('/a')], target: '/w/b' }],
  ['COPY a .', { sources: [pattern('/a')], target: '/w', targetIsDirectory: true }],
  ['COPY a ./', { sources: [pattern('/a')], target: '/w', targetIsDirectory: true }],
  ['COPY a ""', { sources: [pattern('/a')], target: '/w', targetIsDirectory: true }],
  ['COPY a /', { sources: [pattern('/a')], target: '/', targetIsDirectory: true }],
  ['COPY a ../../../x/', { sources: [pattern('/a')], target: '/x', targetIsDirectory: true }],
  ['COPY a /d/.', { sources: [pattern('/a')], target: '/d', targetIsDirectory: true }],
  ['COPY "" /d', { sources: [pattern('/')], target: '/d' }],
  ['COPY . d/', { sources: [pattern('/')], target: '/w/d', targetIsDirectory: true }],
  ['COPY ../../a/./b/ /d', { sources: [pattern('/a/b')], target: '/d' }],
  ['COPY $V/*.${V} $V', { sources: [pattern('/v/*.v')], target: '/w/v' }],
  ['COPY "$W" /d', { sources: [pattern('/x y')], target: '/d' }],
  [
    String.raw`COPY a\*b [[]e] /d/`,
    { sources: ['/a*b', '/[[]e]'].map(pattern), target: '/d', targetIsDirectory: true },
  ],
  [
    'COPY ["a b", "$V", "d d/"]',
    { sources: [pattern('/a b'), pattern('/v')], target: '/w/d d', targetIsDirectory: true },
  ],
  [
    'COPY --chown=$V:1 --chmod=u=rwX,go= a /b',
    { sources: [pattern('/a')], target: '/b', owner: 'v:1', mode: 'u=rwX,go=' },
  ],
  ['COPY --link a /b', { sources: [pattern('/a')], target: '/b', link: true }],
  ['COPY --link --chmod=644 a /b', { sources: [pattern('/a')], target: '/b', mode: '644' }],
  ['COPY --link=false a /b', { sources: [pattern('/a')], target: '/b' }],
  [
    'COPY --exclude=*.o --exclude=$V a /b',
    { sources: [pattern('/a')], target: '/b', excludes: ['*.o', '$V'] },
  ],
  [
    'COPY --parents a/./b/*.c /d/./e /x/',
    {
      sources: [pattern('/a/./b/*.c'), pattern('/d/./e')],
      target: '/x',
      targetIsDirectory: true,
      parents: true,
    },
  ],
  [
    'COPY --parents ./a/b ../c /x/',
    {
      sources: [pattern('/a/b'), pattern('/c')],
      target: '/x',
      targetIsDirectory: true,
      parents: true,
    },
  ],
  [
    'COPY --parents ./x/./ /x/',
    { sources: [pattern('/x/./')], target: '/x', targetIsDirectory: true, parents: true },
  ],
  [
    'COPY --from=base a /b',
    { from: { kind: 'stage', stage: 'base' }, sources: [pattern('/a')], target: '/b' },
  ],
  [
    'COPY --from=0 a /b',
    { from: { kind: 'stage', stage: 'base' }, sources: [pattern('/a')], target: '/b' },
  ],
  ['ADD a /b', { sources: [pattern('/a')], target: '/b', unpack: 'local' }],
  ['ADD --unpack a /b', { sources: [pattern('/a')], target: '/b', unpack: 'all' }],
  ['ADD --unpack=false a /b', { sources: [pattern('/a')], target: '/b', unpack: 'none' }],
  [
    'ADD https://example.org/a.tar?x=1 /b',
    {
      sources: [{ kind: 'http', url: 'https://example.org/a.tar?x=1' }],
      target: '/b',
      unpack: 'local',
    },
  ],
  [
    `ADD --checksum=${manifest} http://example.org/$V /b`,
    {
      sources: [{ kind: 'http', url: 'http://example.org/v', checksum: manifest }],
      target: '/b',
      unpack: 'local',
    },
  ],
  [
    'ADD https://example.org/a.git#v1:sub /b',
    {
      sources: [
        {
          kind: 'git',
          repository: 'https://example.org/a.git',
          revision: 'v1',
          directory: 'sub',
          keepGitDirectory: false,
          submodules: true,
        },
      ],
      target: '/b',
      unpack: 'local',
    },
  ],
  [
    'ADD --keep-git-dir --checksum=abcdef git@example.org:a.git?submodules=0 /b',
    {
      sources: [
        {
          kind: 'git',
          repository: 'git@example.org:a.git',
          keepGitDirectory: true,
          submodules: false,
          commit: 'abcdef',
        },
      ],
      target: '/b',
      unpack: 'local',
    },
  ],
  [
    'COPY <<EOF /b\n$V "$W"\n\tx\nEOF',
    { sources: [{ kind: 'text', name: 'EOF', text: 'v "x y"\n\tx\n' }], target: '/b' },
  ],
  [
    'COPY <<"a.txt" /d/\n$V\na.txt',
    {
      sources: [{ kind: 'text', name: 'a.txt', text: '$V\n' }],
      target: '/d',
      targetIsDirectory: true,
    },
  ],
  [
    'COPY <<-EOF /b\n\t$V\n\tEOF',
    { sources: [{ kind: 'text', name: 'EOF', text: 'v\n' }], target: '/b' },
  ],
  [
    'ADD <<A x <<B /d/\n1\nA\n2\nB',
    {
      sources: [
        pattern('/x'),
        { kind: 'text', name: 'A', text: '1\n' },
        { kind: 'text', name: 'B', text: '2\n' },
      ],
      target: '/d',
      targetIsDirectory: true,
      unpack: 'local',
    },
  ],
] as const)
  test(`what it copies, and where: ${line}`, async t => {
    t.deepEqual(await step(line), { ...copied, ...want })
  })

for (const [line, want] of [
  ['COPY a b /c/', 'COPY a b /c/ # buildkit'],
  ['ADD "$W" $V', 'ADD x y v # buildkit'],
  ['COPY --from=base --link a /b', 'COPY a /b # buildkit'],
  [
    'COPY --chmod=755 --chown=$V --parents a /b',
    'COPY --parents --chown=v --chmod=755 a /b # buildkit',
  ],
  ['COPY <<EOF x /d/\nEOF', 'COPY x <<EOF /d/ # buildkit'],
  ['ADD --exclude=x https://example.org/a /b', 'ADD https://example.org/a /b # buildkit'],
] as const)
  test(`its line of history: ${line}`, async t => {
    const { result } = await withHead(line)
    t.is(historyTexts(result).at(-1), want)
    const { history } = result
    t.is(history.kind === 'instructions' ? history.lines.at(-1)?.step : -1, 1)
  })

for (const [line, message] of [
  ['COPY https://example.org/a /b', "source can't be a URL for COPY"],
  ['COPY https://example.org/a.git /b', "source can't be a git ref for COPY"],
  ['COPY git@example.org:a /b', "source can't be a git ref for COPY"],
  ['ADD --checksum=sha256:abc a /b', 'checksum requires HTTP(S) or Git sources'],
  [
    'ADD --checksum=sha256:abc http://a.org/x http://a.org/y /b/',
    "checksum can't be specified for multiple sources",
  ],
  ['ADD --checksum=sha256:abc http://a.org/x /b', 'invalid checksum digest format'],
  [
    'ADD --keep-git-dir=false https://a.org/x.git?keep-git-dir=1 /b',
    'inconsistent keep-git-dir configuration',
  ],
  ['ADD --checksum=aa https://a.org/x.git?checksum=bb /b', 'checksum mismatch "aa" != "bb"'],
  ['ADD https://a.org/x.git?branch=a&tag=b /b', 'branch conflicts with tag'],
  ['ADD https://a.org/x.git?what=a /b', 'unexpected query "what"'],
  [
    'COPY --chmod=8 a /b',
    "invalid chmod parameter: '8'. it should be octal string and between 0 and 07777",
  ],
  [
    'COPY --chmod=10000 a /b',
    "invalid chmod parameter: '10000'. it should be octal string and between 0 and 07777",
  ],
  ['COPY --chmod=$V a /b', 'invalid syntax'],
] as const)
  test(`it is refused with the place: ${line}`, async t => {
    const error = await t.throwsAsync(withHead(line), { instanceOf: KauriError, message })
    t.is(error.code, 'DESCRIPTION_INVALID')
    t.is(error.where?.line, 5)
  })

test('a directory of the stage is joined as it is written, and made with the owner of the stage', async t => {
  const { result } = await lowerText(
    'FROM a\nWORKDIR a/b/\nUSER me:staff\nWORKDIR c\nWORKDIR ../..\nWORKDIR /x/../y/\nWORKDIR /\nWORKDIR ~\n',
  )
  t.deepEqual(
    result.steps.map(one => (one.kind === 'make-directory' ? [String(one.target), one.owner] : [])),
    [
      ['/a/b', '0:0'],
      ['/a/b/c', 'me:staff'],
      ['/a', 'me:staff'],
      ['/y', 'me:staff'],
      ['/~', 'me:staff'],
    ],
  )
  t.deepEqual(historyTexts(result), [
    'WORKDIR /a/b',
    'USER me:staff',
    'WORKDIR /a/b/c',
    'WORKDIR /a',
    'WORKDIR /x/../y/',
    'WORKDIR /',
    'WORKDIR /~',
  ])
  t.is(result.config.WorkingDir, '/~')
})

test('lines of history say which step made their layer', async t => {
  const { result } = await lowerText(
    'FROM a\nENV A=1\nCOPY a /\nUSER me\nWORKDIR /\nWORKDIR /w\nRUN x\nCMD x\n',
  )
  const { history } = result
  t.deepEqual(history.kind === 'instructions' ? history.lines.map(line => line.step) : [], [
    undefined,
    0,
    undefined,
    undefined,
    1,
    2,
    undefined,
  ])
  t.true(
    history.kind === 'instructions' &&
      history.lines.every(line => line.comment === 'buildkit.dockerfile.v0'),
  )
})

async function warnings(text: string, ignore: readonly string[]): Promise<string[]> {
  const contexts: Record<string, PlanContext> = { context: { directory: '/context', ignore } }
  return (await lowerText(text, { contexts })).warnings.map(
    ({ rule, where }) => `${rule} ${where.line}`,
  )
}

test('a source that the ignore file leaves out is told, unless something may be taken in again', async t => {
  const text = 'FROM a AS one\nCOPY x /\nADD ./x/y /\nCOPY z /\nFROM a\nCOPY --from=one x /\n'
  t.deepEqual(await warnings(text, ['x']), ['CopyIgnoredFile 2', 'CopyIgnoredFile 3'])
  t.deepEqual(await warnings(text, ['x', '!x/y']), [])
  t.deepEqual(await warnings('FROM a\nCOPY . /\n', ['**']), ['CopyIgnoredFile 2'])
  t.deepEqual(await warnings('FROM a\nCOPY . /\n', ['*.o']), [])
})
