import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import type { FromInstruction, Instruction } from '../../src/dockerfile/instructions.ts'
import { parseDockerfile } from '../../src/dockerfile/parse-dockerfile.ts'
import { parseInstruction, parseTrigger } from '../../src/dockerfile/parse-instruction.ts'
import { conformancePath, testWith } from '../helpers/needs.ts'

function parse(text: string): Instruction | FromInstruction {
  const [node] = parseDockerfile(text, 'Dockerfile').nodes
  if (node === undefined) throw new Error('no instruction')
  return parseInstruction(node, 'Dockerfile')
}

const place = (line: number, endLine: number = line): object => ({
  startLine: line,
  endLine,
  comments: [],
})

for (const [text, want] of [
  [
    'RUN --mount=type=tmpfs,target=/t --network=none --security=insecure make all',
    {
      kind: 'run',
      keyword: 'RUN',
      words: ['make all'],
      isJson: false,
      heredocs: [],
      mounts: ['type=tmpfs,target=/t'],
      network: 'none',
      security: 'insecure',
      devices: [],
      flagsUsed: ['mount', 'network', 'security'],
      ...place(1),
    },
  ],
  ['run ["a", "b c"]', { keyword: 'run', words: ['a', 'b c'], isJson: true, network: 'default' }],
  ['RUN', { words: [], isJson: false, security: 'sandbox' }],
  [
    'RUN --device=vendor/class=one,required',
    { devices: [{ name: 'vendor/class=one', required: true }] },
  ],
  ['RUN --device=name=v/c', { devices: [{ name: 'v/c', required: false }] }],
  [
    "RUN <<-'X' sh\n\ta\nX",
    {
      words: ["<<-'X' sh"],
      heredocs: [{ name: 'X', text: '\ta\n', chomp: true, expand: false, fileDescriptor: 0 }],
      ...place(1, 3),
    },
  ],
  [
    'COPY --from=0 --chown=$U:g --chmod=u=rX --link --parents --exclude=*.a --exclude=b a b /d/',
    {
      kind: 'copy',
      sources: ['a', 'b'],
      contents: [],
      destination: '/d/',
      from: '0',
      chown: '$U:g',
      chmod: 'u=rX',
      link: true,
      parents: true,
      excludes: ['*.a', 'b'],
    },
  ],
  ['COPY --link=FALSE ["a b", "/c d"]', { sources: ['a b'], destination: '/c d', link: false }],
  [
    'COPY <<-A <<"B" c /d/\n\t\tone\n\tA\n\ttwo\nB',
    {
      sources: ['c'],
      contents: [
        { name: 'A', text: 'one\n', expand: true },
        { name: 'B', text: '\ttwo\n', expand: false },
      ],
      destination: '/d/',
    },
  ],
  [
    'ADD --keep-git-dir --checksum=sha256:0 --unpack=false u /d',
    { kind: 'add', keepGitDirectory: true, checksum: 'sha256:0', unpack: false, sources: ['u'] },
  ],
  ['ADD u /d', { kind: 'add', checksum: '', keepGitDirectory: undefined, unpack: undefined }],
  [
    'ENV A=1 B="2 3"',
    {
      kind: 'env',
      pairs: [
        { name: 'A', value: '1', isLegacy: false },
        { name: 'B', value: '"2 3"', isLegacy: false },
      ],
    },
  ],
  ['LABEL a  b c', { kind: 'label', pairs: [{ name: 'a', value: 'b c', isLegacy: true }] }],
  [
    '# b is the second\nARG a b=c=d',
    {
      kind: 'arg',
      arguments: [
        { name: 'a', description: '' },
        { name: 'b', value: 'c=d', description: 'is the second' },
      ],
      startLine: 2,
      comments: ['b is the second'],
    },
  ],
  ['ARG --ignored a', { arguments: [{ name: 'a', description: '' }] }],
  ['EXPOSE 90 80/udp', { kind: 'expose', ports: ['80/udp', '90'] }],
  ['USER  a b ', { kind: 'user', user: 'a b' }],
  ['WORKDIR a b', { kind: 'workdir', path: 'a b' }],
  ['STOPSIGNAL --x 9', { kind: 'stopsignal', signal: '9' }],
  ['VOLUME /a /b', { kind: 'volume', paths: ['/a', '/b'] }],
  ['VOLUME [" /a "]', { paths: ['/a'] }],
  ['SHELL ["a", "-c"]', { kind: 'shell', shell: ['a', '-c'] }],
  ['MAINTAINER me <a@b>', { kind: 'maintainer', name: 'me <a@b>' }],
  ['CMD', { kind: 'cmd', words: [], isJson: false }],
  ['ENTRYPOINT []', { kind: 'entrypoint', words: [], isJson: true }],
  [
    'HEALTHCHECK --interval=1.5h --timeout=0 --start-period=1m30s --start-interval=2ms --retries=+3 CMD x',
    {
      kind: 'healthcheck',
      healthcheck: {
        Test: ['CMD-SHELL', 'x'],
        Interval: 5400e9,
        StartPeriod: 90e9,
        StartInterval: 2e6,
        Retries: 3,
      },
    },
  ],
  ['HEALTHCHECK cmd ["a"]', { healthcheck: { Test: ['CMD', 'a'] } }],
  ['HEALTHCHECK --ignored none', { healthcheck: { Test: ['NONE'] } }],
  ['ONBUILD  RUN a \\\n b', { kind: 'onbuild', expression: 'RUN a  b', ...place(1, 2) }],
  ['ONBUILD RUN <<X\na\nX', { expression: 'RUN <<X\na\nX', ...place(1, 3) }],
  [
    'FROM --platform=$P a:b As StAge.1-x_',
    { kind: 'from', baseName: 'a:b', name: 'stage.1-x_', platform: '$P', description: '' },
  ],
] as const)
  test(`typed: ${text}`, t => {
    t.like(parse(text), want)
  })

for (const [text, message] of [
  ['FROM', 'FROM requires either one or three arguments'],
  ['FROM a b', 'FROM requires either one or three arguments'],
  ['FROM a is b', 'FROM requires either one or three arguments'],
  [
    'FROM a AS 1b',
    'invalid name for build stage: "1b", name can\'t start with a number or contain symbols',
  ],
  ['FROM --platfrom=x a', 'unknown flag: --platfrom (did you mean platform?)'],
  ['COPY --from a b', 'missing a value on flag: --from'],
  ['COPY --from=a --from=b c d', 'duplicate flag specified: --from'],
  ['COPY --link=1 a b', 'expecting boolean value for flag --link, not: 1'],
  ['COPY --link= a b', 'missing a value on flag: --link'],
  ['COPY --constructor=a a b', 'unknown flag: --constructor'],
  ['ADD --from=a a b', /^unknown flag: --from/],
  ['COPY a <<X\nX', 'COPY cannot accept a heredoc as a destination'],
  [
    'ADD a',
    'ADD requires at least two arguments, but only one was provided. Destination could not be determined',
  ],
  ['RUN --network=hots a', 'invalid network mode "hots"'],
  ['RUN --security=none a', 'security "none" is not valid'],
  ['RUN --mount a', 'missing a value on flag: --mount'],
  ['RUN --mount= a', 'failed to parse csv mounts: EOF'],
  [
    'RUN --mount=from=$x,target=/a b',
    "'from' doesn't support variable expansion, define alias stage instead",
  ],
  ['RUN --device=a,name=b c', 'device name already set to a'],
  ['RUN --device=a,b c', "invalid field 'b' must be a key=value pair"],
  ['RUN --device=a,nam=b c', "unexpected key 'nam' in 'nam=b' (did you mean name?)"],
  ['RUN --device=a,required=maybe c', 'invalid value for required: maybe'],
  ['CMD --a b', 'unknown flag: --a'],
  ['SHELL a', 'SHELL requires the arguments to be in JSON form'],
  ['SHELL', 'SHELL requires at least one argument'],
  ['ENV', 'ENV requires at least one argument'],
  ['LABEL =x', 'LABEL names can not be blank'],
  ['ARG', 'ARG requires at least one argument'],
  ['ARG =x', 'ARG names can not be blank'],
  ['EXPOSE', 'EXPOSE requires at least one argument'],
  ['USER', 'USER requires exactly one argument'],
  ['WORKDIR', 'WORKDIR requires exactly one argument'],
  ['STOPSIGNAL', 'STOPSIGNAL requires exactly one argument'],
  ['MAINTAINER', 'MAINTAINER requires exactly one argument'],
  ['VOLUME', 'VOLUME requires at least one argument'],
  ['VOLUME ["a", " "]', 'VOLUME specified can not be an empty string'],
  ['HEALTHCHECK', 'HEALTHCHECK requires at least one argument'],
  ['HEALTHCHECK NONE a', 'HEALTHCHECK NONE takes no arguments'],
  ['HEALTHCHECK CMD []', 'Missing command after HEALTHCHECK CMD'],
  ['HEALTHCHECK ECHO a', 'Unknown type "ECHO" in HEALTHCHECK (try CMD)'],
  ['HEALTHCHECK --interval=x CMD a', 'time: invalid duration "x"'],
  ['HEALTHCHECK --interval=1d CMD a', 'time: unknown unit "d" in duration "1d"'],
  ['HEALTHCHECK --interval=-1s CMD a', 'Interval "interval" cannot be less than 1ms'],
  ['HEALTHCHECK --timeout=999999999h CMD a', 'time: invalid duration "999999999h"'],
  ['HEALTHCHECK --retries=-1 CMD a', '--retries cannot be negative (-1)'],
  ['HEALTHCHECK --retries=x CMD a', 'strconv.ParseInt: parsing "x": invalid syntax'],
  [
    'HEALTHCHECK --retries=9999999999 CMD a',
    'strconv.ParseInt: parsing "9999999999": value out of range',
  ],
  ['HEALTHCHECK --retires=1 CMD a', 'unknown flag: --retires (did you mean retries?)'],
  ['ONBUILD', 'ONBUILD requires at least one argument'],
  ['ONBUILD maintainer a', "MAINTAINER isn't allowed as an ONBUILD trigger"],
  ['CPY a b', 'unknown instruction: CPY (did you mean COPY?)'],
  ['cpy a b', 'unknown instruction: cpy (did you mean copy?)'],
  ['Cpy a b', 'unknown instruction: Cpy (did you mean copy?)'],
  ['constructor', 'unknown instruction: constructor'],
] as const)
  test(`refused: ${text}`, t => {
    const error = t.throws(() => parse(text), { code: 'DESCRIPTION_INVALID', message })
    t.like(error, { where: { file: 'Dockerfile', line: 1, column: 1 } })
  })

test('a file in another encoding is told', t => {
  const text = Buffer.from('\ufeffFROM a\n', 'utf16le').toString('utf8')
  t.like(
    t.throws(() => parse(text)),
    { hint: 'save the file as UTF-8; this looks like UTF-16' },
  )
})

test('a trigger of an image stands where its FROM does', t => {
  const where = { file: 'D', startLine: 7, endLine: 8 }
  t.like(parseTrigger('RUN <<X\na\nX', where), { kind: 'run', startLine: 7, endLine: 8 })
  t.throws(() => parseTrigger('NO x', where), { message: /unknown instruction/ })
  t.throws(() => parseTrigger('FROM x', where), { message: /isn't allowed/ })
})

const readCases = (file: string): unknown =>
  JSON.parse(readFileSync(path.join(conformancePath('dockerfile'), file), 'utf8'))

interface ErrorCase {
  readonly dockerfile: string
  readonly expectedError: string
}

testWith({ conformance: 'dockerfile/instructions' })('errors are those of the peer', t => {
  for (const { dockerfile, expectedError } of readCases(
    'instructions/errors.json',
  ) as ErrorCase[]) {
    const error = t.throws(() => parse(dockerfile), { code: 'DESCRIPTION_INVALID' })
    t.true(error.message.includes(expectedError), `${error.message} / ${expectedError}`)
  }
})

interface CopyCase {
  readonly dockerfile: string
  readonly sourcesAndDest: {
    readonly DestPath: string
    readonly SourcePaths: readonly string[] | null
    readonly SourceContents:
      | readonly { readonly Path: string; readonly Data: string; readonly Expand: boolean }[]
      | null
  }
}

interface RunCase {
  readonly dockerfile: string
  readonly command: readonly string[]
  readonly shell: boolean
  readonly files:
    | readonly { readonly Name: string; readonly Data: string; readonly Chomp: boolean }[]
    | null
}

testWith({ conformance: 'dockerfile/heredoc' })('heredocs are those of the peer', t => {
  for (const { dockerfile, sourcesAndDest } of readCases('heredoc/copy.json') as CopyCase[]) {
    const { DestPath, SourcePaths, SourceContents } = sourcesAndDest
    t.like(parse(dockerfile), {
      destination: DestPath,
      sources: SourcePaths ?? [],
      contents: (SourceContents ?? []).map(({ Path, Data, Expand }) => ({
        name: Path,
        text: Data,
        expand: Expand,
      })),
    })
  }
  for (const { dockerfile, command, shell, files } of readCases('heredoc/run.json') as RunCase[])
    t.like(parse(dockerfile), {
      words: command,
      isJson: !shell,
      heredocs: (files ?? []).map(({ Name, Data, Chomp }) => ({
        name: Name,
        text: Data,
        chomp: Chomp,
      })),
    })
})
