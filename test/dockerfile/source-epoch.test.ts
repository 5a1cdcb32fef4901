import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { type LoweringOptions, lowerText, runSteps } from '../helpers/lowering.ts'

const name = 'SOURCE_DATE_EPOCH'

function given(value: string, options: LoweringOptions = {}): LoweringOptions {
  return { ...options, buildArgs: new Map([[name, value], ...(options.buildArgs ?? [])]) }
}

const text = `FROM a\nARG ${name}\nRUN x\n`

test('a number is the time of the build, and what ARG has', async t => {
  const { sourceDateEpoch, result } = await lowerText(text, given('1700000000'))
  t.is(sourceDateEpoch, 1_700_000_000)
  t.true(runSteps(result)[0]?.environment.includes(`${name}=1700000000`))
})

test('a program knows nothing of it without ARG', async t => {
  const { result } = await lowerText('FROM a\nRUN x\n', given('1700000000'))
  t.deepEqual(
    runSteps(result)[0]?.environment.filter(item => item.startsWith('SOURCE')),
    [],
  )
})

test('a global ARG says it, too', async t => {
  const lowered = await lowerText(`ARG ${name}=12\nFROM a\n`)
  t.is(lowered.sourceDateEpoch, 12)
})

test('without a value there is none', async t => {
  t.is((await lowerText(text)).sourceDateEpoch, undefined)
  t.is((await lowerText(text, given(''))).sourceDateEpoch, undefined)
})

test('the time of the context is that of its commit', async t => {
  const { sourceDateEpoch, result } = await lowerText(
    text,
    given('context', { times: { context: 5 } }),
  )
  t.is(sourceDateEpoch, 5)
  t.true(runSteps(result)[0]?.environment.includes(`${name}=5`))
})

test('a context without a time leaves nothing, also for ARG', async t => {
  const { sourceDateEpoch, result } = await lowerText(text, given('context'))
  t.is(sourceDateEpoch, undefined)
  t.deepEqual(
    runSteps(result)[0]?.environment.filter(item => item.startsWith('SOURCE')),
    [],
  )
})

test('a named context has a time where it was fetched', async t => {
  const options = given('src', {
    times: { other: 6 },
    namedContexts: new Map([['src', { kind: 'directory', context: 'other' }]]),
  })
  t.is((await lowerText(text, options)).sourceDateEpoch, 6)
})

const stage = (lines: string): string => `${lines}\n${text}`

for (const [lines, want] of [
  ['FROM scratch AS Src\nADD https://example.org/a.git#v1 /', 'https://example.org/a.git'],
  [
    'ARG H=example.org\nFROM scratch AS src\nARG V=2\nADD https://$H/$V.tar /',
    'https://example.org/2.tar',
  ],
] as const)
  test(`a stage that fetches one thing gives its time: ${want}`, async t => {
    const { sourceDateEpoch } = await lowerText(
      stage(lines),
      given('SRC', { times: { [want]: 7 } }),
    )
    t.is(sourceDateEpoch, 7)
  })

for (const [lines, message] of [
  ['FROM a AS src\nADD http://a.org/x /', `${name} stage must use FROM scratch`],
  ['FROM scratch AS src', `${name} stage must contain exactly one remote ADD`],
  [
    'FROM scratch AS src\nADD http://a.org/x /\nADD http://a.org/y /',
    `${name} stage must contain exactly one remote ADD`,
  ],
  [
    'FROM scratch AS src\nADD http://a.org/x http://a.org/y /d/',
    `${name} stage must contain exactly one remote ADD source`,
  ],
  ['FROM scratch AS src\nADD x /', `${name} stage source must be a single HTTP(S) or Git ADD`],
  [
    'FROM scratch AS src\nADD http://a.org/x /\nENV A=1',
    `${name} stage does not meet source-only requirements: unsupported ENV instruction`,
  ],
  ['FROM scratch AS other', `invalid ${name}: src`],
] as const)
  test(`a stage is no source of a time: ${lines.replaceAll('\n', '; ')}`, async t => {
    const error = await t.throwsAsync(lowerText(stage(lines), given('src')), {
      instanceOf: KauriError,
      message,
    })
    t.is(error.code, 'DESCRIPTION_INVALID')
  })
