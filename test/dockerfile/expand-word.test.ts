import { readFileSync } from 'node:fs'
import test from 'ava'
import { expandWord } from '../../src/dockerfile/expand-word.ts'
import { replacePattern, trimPrefix, trimSuffix } from '../../src/dockerfile/shell-pattern.ts'
import { conformancePath, testWith } from '../helpers/needs.ts'

const environmentOf = (entries: readonly string[]) => {
  const values = new Map(
    entries.map(entry => {
      const equals = entry.indexOf('=')
      return [entry.slice(0, equals), entry.slice(equals + 1)] as const
    }),
  )
  return (name: string): string | undefined => values.get(name)
}

const home = environmentOf(['PWD=/home', 'SHELL=bash', 'KOREAN=한국어', 'NULL=', 'A=val'])

for (const [input, want] of [
  ['plain', 'plain'],
  ["'$PWD'", '$PWD'],
  ['"$PWD"', '/home'],
  ['${PWD}/x', '/home/x'],
  ['${UNSET:-a b}', 'a b'],
  ['${NULL-set}', ''],
  ['${NULL:+x}', ''],
  ['${PWD#/}', 'home'],
  ['${PWD%e}', '/hom'],
  ['${SHELL/b/d}', 'dash'],
  ['$.', '$.'],
  ['${PWD#/${UNSET:-\\*}m}', 'e'],
] as const)
  test(`${input} expands to ${JSON.stringify(want)}`, t => {
    t.is(expandWord(input, { lookUp: home, escape: '\\' }).word, want)
  })

for (const [input, message] of [
  ['"open', /matching double-quote/],
  ["'open", /matching single-quote/],
  ['${A', /unsupported modifier|missing '}'/],
  ['${}', /bad substitution/],
  ['${UNSET:?needed}', /UNSET: needed/],
  ['${A:=x}', /unsupported modifier \(:=\)/],
  ['${A#\\x}', /invalid pattern|invalid escape/],
] as const)
  test(`${input} is refused`, t => {
    t.throws(() => expandWord(input, { lookUp: home, escape: '\\' }), { message })
  })

interface FuzzCase {
  readonly in: string
  readonly escape: '\\' | '`'
  readonly mode: 'default' | 'rawQuotes+skipUnset' | 'skipProcessQuotes'
  readonly word?: string
  readonly words?: readonly string[]
  readonly error?: string
}

testWith({ conformance: 'dockerfile/shell/fuzz.json' })(
  'the generated words of the peer expand as there',
  t => {
    const table = JSON.parse(
      readFileSync(conformancePath('dockerfile/shell/fuzz.json'), 'utf8'),
    ) as { env: string[]; cases: FuzzCase[] }
    const lookUp = environmentOf(table.env)
    const wrong: unknown[] = []
    for (const item of table.cases) {
      const options = {
        lookUp,
        escape: item.escape,
        ...(item.mode === 'rawQuotes+skipUnset' ? { keepQuotes: true, keepUnset: true } : {}),
        ...(item.mode === 'skipProcessQuotes' ? { ignoreQuotes: true } : {}),
      }
      const got = outcome(() => expandWord(item.in, options).word)
      const want = item.error === undefined ? { word: item.word } : { error: item.error }
      if (got.word !== want.word || want.error !== got.error) wrong.push({ ...item, got })
    }
    t.deepEqual(wrong.slice(0, 12), [])
  },
)

function outcome(run: () => string): { word?: string; error?: string } {
  try {
    return { word: run() }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

interface MatchCase {
  readonly envs: Readonly<Record<string, string>>
  readonly input: string
  readonly expected: string
  readonly expectedErr: boolean
  readonly matches: readonly string[]
  readonly unmatched: readonly string[]
}

testWith({ conformance: 'dockerfile/shell' })('names with and without value are told apart', t => {
  const cases = JSON.parse(
    readFileSync(conformancePath('dockerfile/shell/processWithMatches.json'), 'utf8'),
  ) as MatchCase[]
  for (const { envs, input, expected, expectedErr, matches, unmatched } of cases) {
    const run = (): ReturnType<typeof expandWord> =>
      expandWord(input, { lookUp: name => envs[name], escape: '\\' })
    if (expectedErr) t.throws(run, undefined, input)
    else {
      const got = run()
      t.is(got.word, expected, input)
      t.deepEqual(got.matched.toSorted(), matches.toSorted(), input)
      t.deepEqual(got.unmatched.toSorted(), unmatched.toSorted(), input)
    }
  }
})

testWith({ conformance: 'dockerfile/shell' })('patterns are those of the peer', t => {
  const { invalid } = JSON.parse(
    readFileSync(conformancePath('dockerfile/shell/patterns.json'), 'utf8'),
  ) as { invalid: string[] }
  for (const pattern of invalid) t.throws(() => trimPrefix(pattern, 'x', true), undefined, pattern)
})

for (const [pattern, value, replacement, want] of [
  ['*', 'abc', 'X', 'X'],
  ['', 'abc', 'X', 'XaXbXcX'],
  ['b', 'abcb', '$0$0', 'abbcbb'],
  ['b', 'abc', '$$-${0}-$1', 'a$-b-c'],
  ['a*', 'xab\nay', '-', 'x-\n-'],
  ['?', '\u{1f332}b', '-', '--'],
  ['a*b', 'aabbab-b', '.', '.'],
] as const)
  test(`every ${JSON.stringify(pattern)} in ${JSON.stringify(value)} is replaced as in Go`, t => {
    const options = { replacement, all: true, maxLength: 1000 }
    t.is(replacePattern(value, pattern, options), want)
  })

for (const [pattern, prefix, longPrefix, suffix, longSuffix] of [
  ['*/', 'b/c', 'c', 'a/b/c', 'a/b/c'],
  ['/*', 'a/b/c', 'a/b/c', 'a/b', 'a'],
  ['*', 'a/b/c', '', 'a/b/c', ''],
  ['?/b*', '/c', '', '', ''],
  ['*b*', '/c', '', 'a/', ''],
] as const)
  test(`${pattern} is cut from a/b/c, short and long`, t => {
    t.is(trimPrefix(pattern, 'a/b/c', false), prefix)
    t.is(trimPrefix(pattern, 'a/b/c', true), longPrefix)
    t.is(trimSuffix(pattern, 'a/b/c', false), suffix)
    t.is(trimSuffix(pattern, 'a/b/c', true), longSuffix)
  })

testWith({ conformance: 'dockerfile/shell/envVarTest' })(
  'the rows of the environment table expand as there',
  t => {
    const wrong: unknown[] = []
    for (const [platform = '', input = '', want = ''] of rowsOf('envVarTest')) {
      if (platform === 'W') continue
      const got = outcome(() => expandWord(input, { lookUp: home, escape: '\\' }).word)
      if (want === 'error' ? got.error === undefined : got.word !== want)
        wrong.push({ input, want, got })
    }
    t.deepEqual(wrong, [])
  },
)

testWith({ conformance: 'dockerfile/shell/wordsTest' })(
  'the rows of the word table split as there',
  t => {
    const values = new Map([
      ['PWD', '/home'],
      ['SHELL', 'bash'],
    ])
    const wrong: unknown[] = []
    for (const [first = '', want = ''] of rowsOf('wordsTest')) {
      const assignment = /^ENV (\w+)=(.*)$/.exec(first)
      if (assignment !== null) {
        values.set(assignment[1] ?? '', assignment[2] ?? '')
        continue
      }
      const got = outcome(() =>
        expandWord(first, { lookUp: name => values.get(name), escape: '\\' }).words.join(','),
      )
      if (want === 'error' ? got.error === undefined : got.word?.trimEnd() !== want)
        wrong.push({ input: first, want, got })
    }
    t.deepEqual(wrong, [])
  },
)

/** Columns of a table's rows; trailing spaces of ENV rows are part of the value, those of results are not in the table. */
function rowsOf(file: string): string[][] {
  return readFileSync(conformancePath(`dockerfile/shell/${file}`), 'utf8')
    .split('\n')
    .filter(line => line.trim() !== '' && !line.startsWith('#'))
    .map(line => (line.startsWith('ENV ') ? [line] : line.split('|').map(column => column.trim())))
}
