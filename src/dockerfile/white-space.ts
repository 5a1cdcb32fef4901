// White space as Go's unicode package has it; JavaScript's own differs by U+0085 and U+FEFF. Loops and not regular
// expressions: a pattern such as `\s+$` takes time by the square on a long run of blanks.

const asciiSpaces = '\t\n\v\f\r '

/** True for one character of white space. */
export function isSpace(char: string): boolean {
  return char < '\u0080'
    ? char !== '' && asciiSpaces.includes(char)
    : /^\p{White_Space}$/u.test(char)
}

/** strings.TrimSpace. */
export function trimSpace(text: string): string {
  return trimSpaceStart(trimEndOf(text, isSpace))
}

/** Without the white space at the beginning. */
export function trimSpaceStart(text: string): string {
  let at = 0
  while (at < text.length && isSpace(text[at] ?? '')) at++
  return at === 0 ? text : text.slice(at)
}

/** A line without the break at its end. */
export function withoutBreak(line: string): string {
  return trimEndOf(line, char => char === '\n' || char === '\r')
}

/** Without the blanks and tabs at the end. */
export function trimBlanksEnd(line: string): string {
  return trimEndOf(line, char => char === ' ' || char === '\t')
}

function trimEndOf(text: string, isCut: (char: string) => boolean): string {
  let end = text.length
  while (end > 0 && isCut(text[end - 1] ?? '')) end--
  return end === text.length ? text : text.slice(0, end)
}
