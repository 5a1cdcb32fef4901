import test from 'ava'
import type { KauriError } from '../../src/core/errors.ts'
import { parseLintOptions, withCommentOptions } from '../../src/dockerfile/lint-options.ts'
import { createLinter } from '../../src/dockerfile/linter.ts'

for (const [text, want] of [
  ['', { skip: [], experimental: [], isError: false }],
  ['skip=all', { skip: 'all', experimental: [], isError: false }],
  ['skip= A , B ;error = true', { skip: ['A', 'B'], experimental: [], isError: true }],
  ['experimental=all;error=0', { skip: [], experimental: 'all', isError: false }],
] as const)
  test(`options ${JSON.stringify(text)}`, t => {
    t.deepEqual(parseLintOptions(text), want)
  })

for (const [text, message] of [
  ['skip', 'invalid check option "skip"'],
  ['skp=A', 'invalid check option "skp"'],
  [
    'error=maybe',
    'failed to parse check option "error=maybe": strconv.ParseBool: parsing "maybe": invalid syntax',
  ],
  [
    'skip=A;skip=B;error=true;skip=C',
    'failed to parse check option "error=true;skip=C": strconv.ParseBool: parsing "true;skip=C": invalid syntax',
  ],
] as const)
  test(`options ${JSON.stringify(text)} are refused`, t => {
    t.throws(() => parseLintOptions(text), { code: 'DESCRIPTION_INVALID', message })
  })

test('the first comment that gives options adds to them', t => {
  const options = parseLintOptions('skip=A;error=true')
  t.deepEqual(withCommentOptions(options, ['why', 'check=skip=B', 'check=skip=C']), {
    skip: ['A', 'B'],
    experimental: [],
    isError: true,
  })
  t.deepEqual(withCommentOptions(options, ['check=nonsense', 'check=skip=C']), options)
  t.deepEqual(withCommentOptions(options, ['check=error=false']), options)
})

const place = { startLine: 3, endLine: 4 }

test('a linter reports what is not skipped, with the words of the rule', t => {
  const linter = createLinter({ text: '# check=skip=StageNameCasing\nFROM a\n' })
  linter.report('StageNameCasing', 'skipped', place)
  linter.report('FromAsCasing', 'here', { ...place, comments: ['check=skip=FromAsCasing'] })
  linter.report('InvalidDefinitionDescription', 'not asked for', place)
  linter.report('FromAsCasing', 'here', place)
  t.deepEqual(linter.findings, [
    {
      rule: 'FromAsCasing',
      description: "The 'as' keyword should match the case of the 'from' keyword",
      detail: 'here',
      url: 'https://docs.docker.com/go/dockerfile/rule/from-as-casing/',
      level: 1,
      ...place,
    },
  ])
  t.notThrows(() => linter.throwIfFailed('D'))
})

test('with error=true findings fail the build, and their refusal is known again', t => {
  const linter = createLinter({ text: 'FROM a\nRUN b\nCMD c\n', checks: 'error=true' })
  t.notThrows(() => linter.throwIfFailed('D'))
  linter.report('FromAsCasing', 'a', place)
  linter.report('FromAsCasing', 'b', place)
  linter.report('UndefinedVar', 'c', place)
  const error = t.throws<KauriError>(() => linter.throwIfFailed('D'), {
    message: 'lint violation found for rules: FromAsCasing, UndefinedVar',
  })
  t.like(error, { where: { file: 'D', line: 3 } })
  t.deepEqual(error?.diagnostics[0], {
    severity: 'error',
    rule: 'FromAsCasing',
    message: 'a',
    where: { file: 'D', line: 3, column: 1 },
    excerpt: 'CMD c',
  })
  t.true(linter.isRefusal(error))
  t.false(linter.isRefusal(new Error('another')))
})

test('the build argument takes the place of the directive', t => {
  t.throws(() => createLinter({ text: '# check=nonsense\n' }), {
    message: 'failed to parse check options: invalid check option "nonsense"',
  })
  t.notThrows(() => createLinter({ text: '# check=nonsense\n', checks: '' }))
})
