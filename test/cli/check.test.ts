// `kauri check` as people and programs call it.

import { spawnSync } from 'node:child_process'
import path from 'node:path'
import test from 'ava'
import { descriptionText, makeDirectory } from '../description/make-description.ts'

const root = path.join(import.meta.dirname, '../..')

interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

function check(...words: readonly string[]): Ended {
  const { status, stdout, stderr } = spawnSync(path.join(root, 'bin/kauri'), ['check', ...words], {
    cwd: root,
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

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

const refused: readonly { title: string; words: readonly string[]; says: RegExp }[] = [
  { title: 'nothing to check', words: [], says: /nothing to check/ },
  { title: 'a path that is not there', words: ['/nowhere'], says: /\/nowhere does not exist/ },
  {
    title: 'a directory without a description',
    words: ['src/core'],
    says: /src\/core holds no description/,
  },
  {
    title: 'a file of another kind',
    words: ['package.json'],
    says: /package\.json is no description/,
  },
]

for (const { title, words, says } of refused)
  test(`${title} is wrong usage`, t => {
    const { status, stderr } = check(...words)
    t.is(status, 2)
    t.regex(stderr, says)
  })
