// The word that was probably meant: least Damerau-Levenshtein distance (optimal string alignment), at most 2.

const maxDistance = 2

/** The nearest of `words` to what was written, or undefined where none is near. */
export function nearestWord(written: string, words: Iterable<string>): string | undefined {
  let nearest: string | undefined
  let least = Math.min(maxDistance, Math.floor((written.length - 1) / 2)) + 1
  for (const word of words) {
    const distance = editDistance(written.toLowerCase(), word.toLowerCase(), least)
    if (distance >= least) continue
    least = distance
    nearest = word
  }
  return nearest
}

/** Insertions, deletions, replacements and swaps of neighbours from `a` to `b`; `limit` where it is that or more. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1]
      let cost = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (isSame ? 0 : 1),
      )
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1)
      row.push(cost)
    }
    if (Math.min(...row) >= limit) return limit
    beforeLast = last
    last = row
  }
  return Math.min(last[b.length] ?? limit, limit)
}
