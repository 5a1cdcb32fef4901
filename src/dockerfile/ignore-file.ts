// .dockerignore: the lines of the file, and which paths of a context they leave out. The last pattern that matches a
// path or one of its parents decides.

import { cleanPath, compileIgnorePattern, type IgnorePattern } from '../plan/ignore-pattern.ts'

export interface IgnoreRules {
  readonly patterns: readonly IgnorePattern[]
  /** True when the path, relative to the context and with slashes, is left out. */
  ignores(path: string): boolean
}

/** The patterns of a file's text: comments (`#` in the first column) and empty lines go, paths are cleaned. */
export function parseIgnoreFile(text: string): string[] {
  const patterns: string[] = []
  for (const raw of text.replace(/^\uFEFF/, '').split('\n')) {
    if (raw.startsWith('#')) continue
    const line = raw.trim()
    if (line === '') continue
    const negated = line.startsWith('!')
    const written = negated ? line.slice(1).trim() : line
    const cleaned = written === '' ? '' : cleanPath(written)
    const relative = cleaned.length > 1 && cleaned.startsWith('/') ? cleaned.slice(1) : cleaned
    patterns.push(negated ? `!${relative}` : relative)
  }
  return patterns
}

/**
 * The whole line is cleaned as one path, `!` included, as moby does: `!a/../b` means `b`.
 * @throws DESCRIPTION_INVALID for the first pattern that is none
 */
export function compileIgnoreRules(lines: readonly string[]): IgnoreRules {
  const patterns = lines
    .map(line => line.trim())
    .filter(line => line !== '')
    .map(line => compileIgnorePattern(cleanPath(line)))
  return {
    patterns,
    ignores: path => isIgnored(patterns, path),
  }
}

function isIgnored(patterns: readonly IgnorePattern[], path: string): boolean {
  const parents = parentsOf(path)
  let ignored = false
  for (const pattern of patterns) {
    if (pattern.negated !== ignored) continue
    if (pattern.matches(path) || parents.some(parent => pattern.matches(parent)))
      ignored = !pattern.negated
  }
  return ignored
}

function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts
    .map((_, index) => parts.slice(0, index + 1).join('/'))
    .filter(parent => parent !== '')
}
