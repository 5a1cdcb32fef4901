// The small pattern language of `${name#pattern}`, `${name%pattern}` and `${name/pattern/text}` in Dockerfiles: `*` and
// `?` match, and a backslash makes `*`, `?`, `\`, `}` and `/` plain. There are no bracket expressions, and wildcards stop
// at line breaks. All matches of a pattern are followed at once, so that no pattern takes time beyond value × pattern,
// and a budget bounds that.

import { refused } from './instruction-flags.ts'

type Token = { readonly kind: 'any' | 'one' } | { readonly kind: 'text'; readonly char: string }

/** Steps of matching that one expansion may take; a second of work. */
const maxSteps = 20_000_000

const escapable = new Set(['*', '?', '\\', '}', '/'])

/** What the end of a text reads as in Go's messages. */
const endMark = '\ufffd'

/** @throws DESCRIPTION_INVALID for a backslash before anything else, or at the end */
function tokenize(pattern: string): Token[] {
  const tokens: Token[] = []
  const chars = Array.from(pattern)
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? ''
    if (char === '*') {
      // Stars in a row are one star, which lets a match pass them in one step.
      if (tokens.at(-1)?.kind !== 'any') tokens.push({ kind: 'any' })
    } else if (char === '?') tokens.push({ kind: 'one' })
    else if (char !== '\\') tokens.push({ kind: 'text', char })
    else {
      const next = chars[++at]
      if (next === undefined || !escapable.has(next))
        throw refused(
          `invalid pattern (${pattern}) in substitution: invalid escape '\\${next ?? endMark}'`,
        )
      tokens.push({ kind: 'text', char: next })
    }
  }
  return tokens
}

/** Where a match lies: indexes of characters. */
interface Match {
  readonly start: number
  readonly end: number
}

interface MatchRequest {
  readonly tokens: readonly Token[]
  readonly chars: readonly string[]
  readonly from: number
  /** Matches begin at `from` and nowhere behind it. */
  readonly isAnchored: boolean
  /** Of the matches with the leftmost start the longest, not the shortest. */
  readonly isGreedy: boolean
  /** What the whole expansion may still cost. */
  readonly budget: { steps: number }
}

/**
 * The leftmost match. Every place in the pattern that some match has reached remembers the leftmost start of such a
 * match; places are taken in order, so that one pass over the text is enough.
 */
function findMatch(request: MatchRequest): Match | undefined {
  const { tokens, chars, from, isAnchored, isGreedy, budget } = request
  let best: Match | undefined
  let reached = new Map<number, number>()
  for (let at = from; at <= chars.length; at++) {
    if (best === undefined && (at === from || !isAnchored) && !reached.has(0)) reached.set(0, at)
    const start = followStars(tokens, reached).get(tokens.length)
    if (start !== undefined && (best === undefined || start <= best.start)) {
      best = { start, end: at }
      if (!isGreedy) return best
    }
    budget.steps -= reached.size
    if (budget.steps < 0) throw refused('matching the pattern of a substitution takes too long')
    reached = advance(tokens, reached, { char: chars[at], limit: best?.start })
    if (reached.size === 0 && (best !== undefined || isAnchored)) return best
  }
  return best
}

/** A star may match nothing: whatever is before it is behind it, too. */
function followStars(
  tokens: readonly Token[],
  reached: Map<number, number>,
): ReadonlyMap<number, number> {
  for (const [place, start] of reached) {
    const behind = reached.get(place + 1)
    if (tokens[place]?.kind === 'any' && (behind === undefined || start < behind))
      reached.set(place + 1, start)
  }
  return reached
}

/** The places after one more character; matches that begin behind `limit` are of no interest any more. */
function advance(
  tokens: readonly Token[],
  reached: ReadonlyMap<number, number>,
  { char, limit }: { readonly char: string | undefined; readonly limit: number | undefined },
): Map<number, number> {
  const next = new Map<number, number>()
  if (char === undefined) return next
  for (const [place, start] of reached) {
    const token = tokens[place]
    if (token === undefined || (limit !== undefined && start > limit)) continue
    const isMatch = token.kind === 'text' ? token.char === char : char !== '\n'
    const to = token.kind === 'any' ? place : place + 1
    const known = next.get(to)
    if (isMatch && (known === undefined || start < known)) next.set(to, start)
  }
  return next
}

/** `${name#pattern}`, and with `greedy` `${name##pattern}`. @throws DESCRIPTION_INVALID */
export function trimPrefix(pattern: string, value: string, greedy: boolean): string {
  const chars = Array.from(value)
  const match = findMatch({
    tokens: tokenize(pattern),
    chars,
    from: 0,
    isAnchored: true,
    isGreedy: greedy,
    budget: { steps: maxSteps },
  })
  return match === undefined ? value : chars.slice(match.end).join('')
}

/** `${name%pattern}`, and with `greedy` `${name%%pattern}`: the same from behind. @throws DESCRIPTION_INVALID */
export function trimSuffix(pattern: string, value: string, greedy: boolean): string {
  const reversed = Array.from(value).toReversed().join('')
  const rest = trimPrefix(reversePattern(pattern), reversed, greedy)
  return Array.from(rest).toReversed().join('')
}

/** A backslash stays before the character that it makes plain. */
function reversePattern(pattern: string): string {
  const pieces = pattern.match(/\\[^]|[^]/gu) ?? []
  return pieces.toReversed().join('')
}

/** `${name/pattern/replacement}`, and with `all` `${name//pattern/replacement}`. @throws DESCRIPTION_INVALID */
export function replacePattern(
  value: string,
  pattern: string,
  {
    replacement,
    all,
    maxLength,
  }: {
    readonly replacement: string
    readonly all: boolean
    /** Longest result in UTF-16 units. */
    readonly maxLength: number
  },
): string {
  const tokens = tokenize(pattern)
  const chars = Array.from(value)
  const budget = { steps: maxSteps }
  let result = ''
  let copied = 0
  for (let from = 0; from <= chars.length; ) {
    const match = findMatch({ tokens, chars, from, isAnchored: false, isGreedy: true, budget })
    if (match === undefined) break
    const { start, end } = match
    result += chars.slice(copied, start).join('')
    // As in Go, an empty match right behind another one counts for nothing.
    if (end > copied || start === 0)
      result += all ? expandGroups(replacement, chars.slice(start, end).join('')) : replacement
    if (result.length > maxLength) throw refused('a substitution grows beyond all measure')
    copied = end
    if (!all) break
    from = Math.max(from + 1, end)
  }
  return result + chars.slice(copied).join('')
}

/** In the replace-all form `$0` and `${0}` stand for the match and every other `$name` for nothing. */
function expandGroups(replacement: string, match: string): string {
  return replacement.replace(/\$(\$|[\p{L}\p{Nd}_]+|\{[\p{L}\p{Nd}_]+\})/gu, (_, name: string) => {
    if (name === '$') return '$'
    return name.replace(/[{}]/g, '') === '0' ? match : ''
  })
}
