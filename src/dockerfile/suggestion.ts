// "(did you mean …?)" as BuildKit words and measures it: plain Levenshtein distance below three. Its texts are compared
// with, so the looser rule of `closestWord` is not for here.

/** Longer words are no slips of known names, and would cost time by the square. */
const maxLength = 64

/** The option nearest to the word; undefined where the word is one of them or none is near. */
export function suggestWord(
  word: string,
  options: Iterable<string>,
  { ignoreCase = false }: { readonly ignoreCase?: boolean } = {},
): string | undefined {
  if (word.length > maxLength) return undefined
  const written = ignoreCase ? word.toLowerCase() : word
  let best: string | undefined
  let bestDistance = 3
  for (const option of options) {
    const candidate = ignoreCase ? option.toLowerCase() : option
    if (candidate === written) return undefined
    if (Math.abs(candidate.length - written.length) > bestDistance) continue
    // Which of several equally near words BuildKit names is left to chance; a right beginning is likelier meant.
    const handicap = candidate[0] === written[0] ? 0 : 0.5
    const distance = levenshtein(written, candidate)
    if (distance > 2 || distance + handicap >= bestDistance) continue
    best = ignoreCase ? inCaseOf(word, option) : option
    bestDistance = distance + handicap
  }
  return best
}

/** The message with a suggestion behind it, where there is one. */
export function withSuggestion(
  message: string,
  ...[word, options, manner]: Parameters<typeof suggestWord>
): string {
  const suggestion = suggestWord(word, options, manner)
  return suggestion === undefined ? message : `${message} (did you mean ${suggestion}?)`
}

function inCaseOf(word: string, option: string): string {
  if (word === word.toLowerCase()) return option.toLowerCase()
  return word === word.toUpperCase() ? option.toUpperCase() : option.toLowerCase()
}

function levenshtein(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const substitution = a[row - 1] === b[column - 1] ? 0 : 1
      current.push(
        Math.min(
          (previous[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          (previous[column - 1] ?? 0) + substitution,
        ),
      )
    }
    previous = current
  }
  return previous[b.length] ?? 0
}
