import { readFileSync } from 'node:fs'
import test from 'ava'
import { compilePathPatterns, type DirectoryMatch } from '../../src/plan/path-patterns.ts'
import { conformancePath, testWith } from '../helpers/needs.ts'

/** Asks as a walk does: for each directory on the way, then for the path. */
function matches(patterns: readonly string[], path: string): boolean {
  const compiled = compilePathPatterns(patterns)
  const names = path.split('/')
  let parent: DirectoryMatch | undefined
  for (let length = 1; length < names.length; length++)
    parent = compiled.enter(names.slice(0, length).join('/'), parent)
  return compiled.matches(path, parent)
}

for (const [patterns, path, isMatch] of [
  [['a'], 'a/b/c', true],
  [['a', '!a/b'], 'a/b/c', false],
  [['a', '!a/b', 'a/b/c'], 'a/b/c/d', true],
  [['*', '!keep'], 'keep/x', false],
  [['**/x'], 'a/b/x/y', true],
  [['!a', 'a'], 'a', true],
  [[], 'a', false],
  // The second `a` changed nothing for the directory, so it does not come back for what was taken in again.
  [['a', '!a/x', 'a'], 'a/x/y', false],
] as const)
  test(`${patterns.join(' ')} ${isMatch ? 'means' : 'does not mean'} ${path}`, t => {
    t.is(matches(patterns, path), isMatch)
  })

for (const [patterns, directory, mayExempt] of [
  [['*'], 'a', false],
  [['*', '!b/c'], 'a', false],
  [['*', '!a/c'], 'a', true],
  [['*', '!a/c/**'], 'a/c', true],
  [['*', '!**/c'], 'a', true],
  [['*', '!ab'], 'a', false],
] as const)
  test(`${patterns.join(' ')} ${mayExempt ? 'may' : 'cannot'} take in something below ${directory}`, t => {
    t.is(compilePathPatterns(patterns).mayExemptBelow(directory), mayExempt)
  })

test('directories that no pattern can mean need not be looked into', t => {
  const patterns = compilePathPatterns(['a/b/c'])
  t.deepEqual(
    ['a', 'a/b', 'x', 'ab'].map(directory => patterns.mayMatchBelow(directory)),
    [true, true, false, false],
  )
  t.true(compilePathPatterns(['**/c']).mayMatchBelow('x'))
})

interface IgnoreCase {
  readonly patterns: readonly string[]
  readonly text: string
  readonly match?: boolean
  readonly error?: string
}

testWith({ conformance: 'dockerignore/fuzz.json' })(
  'generated patterns mean the same when they are asked along the way',
  t => {
    const cases: IgnoreCase[] = JSON.parse(
      readFileSync(conformancePath('dockerignore/fuzz.json'), 'utf8'),
    )
    // Several patterns may differ: see the table above.
    const singles = cases.filter(
      ({ patterns, error }) => error === undefined && patterns.length === 1,
    )
    t.true(singles.length > 100)
    const wrong = singles.filter(
      ({ patterns, text, match }) => matches(patterns, text) !== (match ?? false),
    )
    t.deepEqual(wrong.slice(0, 10), [])
  },
)
