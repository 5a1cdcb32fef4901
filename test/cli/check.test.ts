// `kauri check` as people and programs call it.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'ava'
import { explainAnyRule } from '../../src/cli/explain-rule.ts'
import { checkNames } from '../../src/dockerfile/explain-check.ts'
import { descriptionText, makeDirectory } from '../description/make-description.ts'

const root = path.join(import.meta.dirname, '../..')

interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

const dataRoot = mkdtempSync(path.join(tmpdir(), 'kauri-check-'))
test.after.always(() => rmSync(dataRoot, { recursive: true, force: true }))

function kauri(...words: readonly string[]): Ended {
  const { status, stdout, stderr } = spawnSync(path.join(root, 'bin/kauri'), words, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, KAURI_DATA_ROOT: dataRoot, KAURI_RUN_ROOT: `${dataRoot}/run` },
  })
  return { status, stdout, stderr }
}

const check = (...words: readonly string[]): Ended => kauri('check', ...words)

const broken = descriptionText({
  rest: '  <packges/>',
  preferences: '<version>42</version><packagemanager>apt</packagemanager>',
})

test('findings come with place, line, caret and rule; errors exit with 2', t => {
  const directory = makeDirectory(t, { 'config.xml': broken })
  const { status, stdout } = check(directory)
  t.is(status, 2)
  const lines = stdout.split('\n')
  t.true(
    lines.includes(
      `${directory}/config.xml:8:3: error: unknown element <packges>; did you mean <packages>? [element-unknown]`,
    ),
  )
  t.true(lines.includes('      <packges/>'))
  t.true(lines.includes('      ^'))
  t.is(lines.at(-2), `${directory}: 1 error, 1 warning`)
})

test('a description without findings is ok, and warnings alone are no failure', t => {
  const fine = makeDirectory(t, { 'config.xml': descriptionText() })
  t.deepEqual(check(fine), { status: 0, stdout: `${fine}: ok\n`, stderr: '' })
  const warned = makeDirectory(t, {
    'a.kiwi': descriptionText({
      preferences: '<version>42</version><packagemanager>apt</packagemanager>',
    }),
  })
  t.is(check(path.join(warned, 'a.kiwi')).status, 0)
})

test('several paths are checked in one run', t => {
  const fine = makeDirectory(t, { 'config.xml': descriptionText() })
  const other = makeDirectory(t, { 'config.xml': '<image>' })
  const { status, stdout } = check(fine, other)
  t.is(status, 2)
  t.regex(stdout, /: ok\n/)
  t.regex(stdout, /1:1: error: <image> is never closed \[xml-syntax\]/)
})

test('JSON holds every finding with its place', t => {
  const directory = makeDirectory(t, { 'config.xml': broken })
  for (const words of [['--format', 'json'], ['--json']]) {
    const { stdout, status } = check(...words, directory)
    t.is(status, 2)
    const [checked] = JSON.parse(stdout)
    t.is(checked.path, directory)
    t.deepEqual(
      checked.findings.map((finding: { rule: string; where: { line: number } }) => [
        finding.rule,
        finding.where.line,
      ]),
      [
        ['version-unusual', 5],
        ['element-unknown', 8],
      ],
    )
  }
})

test('SARIF names rules, levels and regions', t => {
  const directory = makeDirectory(t, { 'config.xml': broken })
  const log = JSON.parse(check('--format', 'sarif', directory).stdout)
  t.is(log.version, '2.1.0')
  const [run] = log.runs
  t.is(run.results.length, 2)
  t.is(run.results[1].level, 'error')
  t.is(run.tool.driver.rules[run.results[1].ruleIndex].id, 'element-unknown')
  const { artifactLocation, region } = run.results[1].locations[0].physicalLocation
  t.is(artifactLocation.uri, `${directory}/config.xml`)
  t.deepEqual([region.startLine, region.startColumn], [8, 3])
})

test('a rule is explained', t => {
  const { stdout, status } = check('--explain', 'profile-cycle')
  t.is(status, 0)
  t.is(stdout, 'profile-cycle (error)\n\nProfiles require each other in a circle.\n')
  t.is(check('--explain', 'no-such-rule').status, 2)
})

test('--dump description shows what a build would take', t => {
  const { stdout, status } = check(
    '--dump',
    'description',
    '--profile',
    'german',
    'examples/profiles',
  )
  t.is(status, 0)
  const dumped = JSON.parse(stdout)
  t.deepEqual(dumped.profiles, ['german', 'base'])
  t.is(dumped.settings.timezone, 'Europe/Berlin')
  t.is(dumped.type.containerConfig.tag, 'german')
})

const dockerfile = [
  'FROM debian AS Build',
  'RUN make $X',
  'WORKDIR /\u00e4/${DIRR}',
  'ENV DIR=/a',
  'WORKDIR /b/${DIRR}',
  'MAINTAINER me',
  '',
].join('\n')

test('findings in a Dockerfile come with place, line, caret and rule', t => {
  const directory = makeDirectory(t, { Dockerfile: dockerfile })
  const file = `${directory}/Dockerfile`
  const { status, stdout } = check(directory)
  t.is(status, 0)
  t.is(
    stdout,
    [
      `${file}:1:16: warning: Stage name 'Build' should be lowercase [StageNameCasing]`,
      '    FROM debian AS Build',
      '                   ^',
      `${file}:3:12: note: Usage of undefined variable '$DIRR' [UndefinedVar]`,
      '    WORKDIR /\u00e4/${DIRR}',
      '               ^',
      '    hint: fine where the image debian sets it',
      `${file}:5:12: warning: Usage of undefined variable '$DIRR' (did you mean $DIR?) [UndefinedVar]`,
      '    WORKDIR /b/${DIRR}',
      '               ^',
      `${file}:6:1: warning: Maintainer instruction is deprecated in favor of using label [MaintainerDeprecated]`,
      '    MAINTAINER me',
      '    ^',
      `${directory}: 3 warnings, 1 note`,
      '',
    ].join('\n'),
  )
})

test('a description and the Dockerfiles beside it are checked together', t => {
  const directory = makeDirectory(t, {
    'config.xml': broken,
    'one.Dockerfile': 'FROM scratch\nRNU x\n',
    'Containerfile.two': 'FROM scratch\n  COPY a\n',
    'Dockerfile.dockerignore': '*',
    '.dockerignore': '',
  })
  const { status, stdout } = check('--format', 'json', directory)
  t.is(status, 2)
  const [checked] = JSON.parse(stdout)
  t.deepEqual(
    checked.findings
      .filter(({ severity }: { severity: string }) => severity === 'error')
      .map((finding: { rule: string; message: string; where: object }) => [
        finding.rule,
        finding.message,
        finding.where,
      ]),
    [
      [
        'element-unknown',
        'unknown element <packges>; did you mean <packages>?',
        { file: `${directory}/config.xml`, line: 8, column: 3 },
      ],
      [
        'dockerfile-invalid',
        'COPY requires at least two arguments, but only one was provided. Destination could not be determined',
        { file: `${directory}/Containerfile.two`, line: 2, column: 3 },
      ],
      [
        'dockerfile-invalid',
        'unknown instruction: RNU (did you mean RUN?)',
        { file: `${directory}/one.Dockerfile`, line: 2, column: 1 },
      ],
    ],
  )
})

test('a Dockerfile chooses what is checked and how grave it is', t => {
  const directory = makeDirectory(t, {
    skip: '# check=skip=FromAsCasing\nFROM scratch as a\n',
    error: '# check=error=true\nFROM scratch as a\n',
  })
  for (const [name, status, says] of [
    ['skip', 0, /ok/],
    ['error', 2, /2:14: error: 'as' and 'FROM'.*\[FromAsCasing\]\n.*\n.*\n.*: 1 error\n$/],
  ] as const) {
    const file = `${directory}/${name}.Dockerfile`
    renameSync(`${directory}/${name}`, file)
    const ended = check(file)
    t.is(ended.status, status)
    t.regex(ended.stdout, says)
  }
  const file = `${directory}/error.Dockerfile`
  t.is(check('--build-arg', 'BUILDKIT_DOCKERFILE_CHECK=skip=all', file).status, 0)
})

test('only what a target needs is checked, and the ignore file counts', t => {
  const directory = makeDirectory(t, {
    Dockerfile: 'FROM scratch AS one\nCOPY secret /\nFROM scratch AS two\nCOPY b /\n',
    '.dockerignore': 'secret\n',
  })
  t.regex(check(directory).stdout, /2:6: warning: .*"secret".*\[CopyIgnoredFile\]/)
  t.is(check('--target', 'two', directory).stdout, `${directory}: ok\n`)
  t.regex(check('--target', 'tow', directory).stdout, /target stage "tow" could not be found/)
})

test('what an image of the store sets is known', t => {
  const directory = makeDirectory(t, {
    Dockerfile: 'FROM known AS one\nWORKDIR $HERE/$NOWHERE\nFROM one\nWORKDIR $HERE/$NOWHERE\n',
  })
  writeFileSync(`${directory}/empty.tar`, Buffer.alloc(1024))
  const imported = kauri('import', '-c', 'ENV HERE=/x', `${directory}/empty.tar`, 'known')
  t.is(imported.status, 0, imported.stderr)
  const { stdout } = check(directory)
  t.deepEqual(stdout.match(/^.*(?:warning|note): .*$/gm), [
    `${directory}/Dockerfile:2:15: warning: Usage of undefined variable '$NOWHERE' [UndefinedVar]`,
    `${directory}/Dockerfile:4:15: warning: Usage of undefined variable '$NOWHERE' [UndefinedVar]`,
  ])
})

test('SARIF points from build checks to their pages', t => {
  const directory = makeDirectory(t, { Dockerfile: dockerfile })
  const [run] = JSON.parse(check('--format', 'sarif', directory).stdout).runs
  const { rules } = run.tool.driver
  const rule = rules.find(({ id }: { id: string }) => id === 'StageNameCasing')
  t.is(rule.helpUri, 'https://docs.docker.com/go/dockerfile/rule/stage-name-casing/')
  t.regex(rule.fullDescription.text, /lower case/)
})

test('every rule about Dockerfiles is explained', t => {
  const { stdout, status } = check('--explain', 'UndefinedVar')
  t.is(status, 0)
  t.regex(stdout, /^UndefinedVar \(warning\)\n\n.*\n\nhttps:\/\/docs\.docker\.com\//)
  for (const name of checkNames()) t.truthy(explainAnyRule(name)?.explanation, name)
})

test('--dump shows what the front end sees, whatever the file is called', t => {
  const directory = makeDirectory(t, { text: 'FROM a\nRUN b\n', broken: 'FROM a\nNOTHING\n' })
  const dump = (what: string, file: string): unknown =>
    JSON.parse(check('--dump', what, `${directory}/${file}`).stdout)
  t.like(dump('ast', 'text'), { ast: ['(from "a")', '(run "b")'], escape: '\\' })
  t.like(dump('stages', 'text'), { stages: [{ base: 'a', commands: [{ name: 'RUN' }] }] })
  t.deepEqual(dump('stages', 'broken'), {
    instructionError: 'dockerfile parse error on line 2: unknown instruction: NOTHING',
  })
  t.deepEqual(dump('lint', 'broken'), {
    warnings: [],
    unmarshalWarnings: null,
    buildErr: 'dockerfile parse error on line 2: unknown instruction: NOTHING',
    buildErrLocation: 2,
  })
  t.is(check('--dump', 'ast', '/nowhere').status, 2)
})

const refused: readonly { title: string; words: readonly string[]; says: RegExp }[] = [
  { title: 'nothing to check', words: [], says: /nothing to check/ },
  { title: 'a path that is not there', words: ['/nowhere'], says: /\/nowhere does not exist/ },
  {
    title: 'a directory without a description',
    words: ['src/core'],
    says: /src\/core holds no description and no Dockerfile/,
  },
  {
    title: 'a file of another kind',
    words: ['package.json'],
    says: /package\.json is no description and no Dockerfile/,
  },
]

for (const { title, words, says } of refused)
  test(`${title} is wrong usage`, t => {
    const { status, stderr } = check(...words)
    t.is(status, 2)
    t.regex(stderr, says)
  })
