import { readFileSync } from 'node:fs'
import test from 'ava'
import { compileIgnoreRules, parseIgnoreFile } from '../../src/dockerfile/ignore-file.ts'
import { conformancePath, testWith } from '../helpers/needs.ts'

for (const [patterns, path, ignored] of [
  [['foo'], 'foo', true],
  [['foo'], 'a/foo', false],
  [['foo'], 'foo/bar', true],
  [['**/foo'], 'a/b/foo', true],
  [['*', '!keep'], 'keep', false],
  [['dir', '!dir/keep'], 'dir/keep', false],
  [['dir', '!dir/keep', 'dir/keep/not'], 'dir/keep/not', true],
  [['a/../b'], 'b', true],
  [['*.[ch]'], 'x.c', true],
] as const)
  test(`${patterns.join(' ')} ${ignored ? 'leaves out' : 'takes in'} ${path}`, t => {
    t.is(compileIgnoreRules(patterns).ignores(path), ignored)
  })

for (const pattern of ['!', '[', 'a[', '[]a]', 'x\\'])
  test(`the pattern ${pattern} is refused`, t => {
    t.throws(() => compileIgnoreRules([pattern]))
  })

test('comments, white space, byte order mark and leading slashes go when a file is read', t => {
  t.deepEqual(parseIgnoreFile('\uFEFF# no\n  a/ \n\n/b\n! /c\n#\n./d//e\n!\n'), [
    'a',
    'b',
    '!c',
    'd/e',
    '!',
  ])
})

interface IgnoreCase {
  readonly patterns: readonly string[]
  readonly text: string
  readonly match?: boolean
  readonly error?: string
}

testWith({ conformance: 'dockerignore/fuzz.json' })('generated patterns decide as the peer', t => {
  const cases = JSON.parse(
    readFileSync(conformancePath('dockerignore/fuzz.json'), 'utf8'),
  ) as IgnoreCase[]
  const wrong: unknown[] = []
  for (const item of cases) {
    const got = decide(item)
    if (item.error === undefined ? got !== item.match : typeof got === 'boolean')
      wrong.push({ ...item, got })
  }
  t.deepEqual(wrong.slice(0, 10), [])
})

testWith({ conformance: 'dockerignore/cases.json' })(
  'the tables of the peer decide as there',
  t => {
    const tables = JSON.parse(readFileSync(conformancePath('dockerignore/cases.json'), 'utf8')) as {
      matchesOrParentMatches: { pattern: string; text: string; match: boolean }[]
      multiPattern: IgnoreCase[]
      'Matches(deprecated single-parent)': { pattern: string; badPattern: boolean }[]
    }
    for (const { pattern, text, match } of tables.matchesOrParentMatches)
      t.is(decide({ patterns: [pattern], text }), match, `${pattern} on ${text}`)
    for (const item of tables.multiPattern) t.is(decide(item), item.match ?? false)
    for (const { pattern, badPattern } of tables['Matches(deprecated single-parent)'])
      t.is(
        typeof decide({ patterns: [pattern], text: 'a' }),
        badPattern ? 'string' : 'boolean',
        pattern,
      )
  },
)

function decide({ patterns, text }: IgnoreCase): boolean | string {
  try {
    return compileIgnoreRules(patterns).ignores(text)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
