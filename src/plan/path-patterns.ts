// Which paths of a tree a list of patterns means, as BuildKit asks it while it walks: what a directory matched counts for
// everything in it (moby/patternmatcher, MatchesUsingParentResults). Ignore files, `--exclude` and `--parents` use it.

import { cleanPath, compileIgnorePattern } from './ignore-pattern.ts'

/** Which of the patterns a directory matched. */
export type DirectoryMatch = Uint8Array

export interface PathPatterns {
  /** One of them is written with `!`. */
  readonly hasNegations: boolean
  /** True where the patterns mean the path; `parent` is what `enter` gave for the directory that holds it, undefined at the top. */
  matches(path: string, parent: DirectoryMatch | undefined): boolean
  /** For the entries of a directory. */
  enter(directory: string, parent: DirectoryMatch | undefined): DirectoryMatch
  /** False where no pattern can match what is below a directory that none matched. */
  mayMatchBelow(directory: string): boolean
  /** False where no negation can take in again what is below a matched directory. */
  mayExemptBelow(directory: string): boolean
}

/** The whole line is cleaned as one path, `!` included, as moby does. @throws DESCRIPTION_INVALID for the first pattern that is none */
export function compilePathPatterns(lines: readonly string[]): PathPatterns {
  const patterns = lines
    .map(line => line.trim())
    .filter(line => line !== '')
    .map(line => compileIgnorePattern(cleanPath(line)))
  const textsOf = (isNegated: boolean): string[] =>
    patterns.filter(({ negated }) => negated === isNegated).map(({ text }) => text)

  function run(path: string, parent: DirectoryMatch | undefined, own?: DirectoryMatch): boolean {
    let isMatch = false
    for (const [index, pattern] of patterns.entries()) {
      let hits = parent?.[index] === 1
      if (!hits) {
        // A pattern that would change nothing is not asked, and what is in the directory does not hear of it either.
        if (pattern.negated !== isMatch) continue
        hits = pattern.matches(path)
      }
      if (!hits) continue
      if (own !== undefined) own[index] = 1
      isMatch = !pattern.negated
    }
    return isMatch
  }

  return {
    hasNegations: textsOf(true).length > 0,
    matches: (path, parent) => run(path, parent),
    enter(directory, parent) {
      const own = new Uint8Array(patterns.length)
      run(directory, parent, own)
      return own
    },
    mayMatchBelow: createPrefixTest(textsOf(false)),
    mayExemptBelow: createPrefixTest(textsOf(true)),
  }
}

/** As fsutil decides whether to walk on: by prefix, unless a pattern has a wildcard before its end. */
function createPrefixTest(texts: readonly string[]): (directory: string) => boolean {
  const prefixes = texts.map(text => text.replace(/\/\*\*$/, '').replace(/\/\*$/, ''))
  if (prefixes.some(prefix => /[*[\]?^\\]/.test(prefix))) return () => true
  return directory => prefixes.some(prefix => `${prefix}/`.startsWith(`${directory}/`))
}
