// "Did you mean …?" for options, commands, elements and attributes.

/** The candidate that a slip of the fingers would turn into `word`, or undefined where none is near. */
export function closestWord(word: string, candidates: Iterable<string>): string | undefined {
  // One slip for each three letters, as most people's slips are; short words are too easily turned into one another.
  const budget = Math.max(1, Math.floor(word.length / 3))
  const typed = word.toLowerCase()
  let best: string | undefined
  let bestDistance = budget + 1
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) > bestDistance) continue
    const meant = candidate.toLowerCase()
    // A word that was begun right is likelier meant than one of other letters: half a slip nearer.
    const begun = typed !== '' && meant.startsWith(typed) ? 0.5 : 0
    const distance = editDistance(typed, meant) - begun
    if (distance < bestDistance && distance < candidate.length) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Insertions, deletions, substitutions and swaps of neighbours between two words (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const substitution = a[row - 1] === b[column - 1] ? 0 : 1
      let cost = Math.min(
        at(previous, column) + 1,
        at(current, column - 1) + 1,
        at(previous, column - 1) + substitution,
      )
      const swapped =
        row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) cost = Math.min(cost, at(beforePrevious, column - 2) + 1)
      current.push(cost)
    }
    beforePrevious = previous
    previous = current
  }
  return at(previous, b.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}
