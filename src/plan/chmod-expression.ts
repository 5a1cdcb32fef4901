// What `--chmod` says: octal digits, or the words of chmod(1) with no umask, as BuildKit understands them.

import { KauriError } from '../core/errors.ts'

export interface ChmodExpression {
  /** The number, where the expression is one: directories that are made on the way get it, too. */
  readonly octal?: number
  /** New permission bits, with set-user-ID, set-group-ID and sticky, for those that were. */
  apply(mode: number, isDirectory: boolean): number
}

const maxMode = 0o7777

/** @throws DESCRIPTION_INVALID with BuildKit's words */
export function parseChmod(text: string): ChmodExpression {
  if (/^[0-7]+$/.test(text)) {
    const octal = Number.parseInt(text, 8)
    if (octal > maxMode) throw notOctal(text)
    return { octal, apply: () => octal }
  }
  if (/^\d/.test(text)) throw notOctal(text)
  const changes = parseSymbolic(text)
  return {
    apply: (mode, isDirectory) =>
      changes.reduce((now, change) => change(now, { before: mode, isDirectory }), mode),
  }
}

function notOctal(text: string): KauriError {
  return new KauriError(
    'DESCRIPTION_INVALID',
    `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
  )
}

type Change = (
  mode: number,
  file: { readonly before: number; readonly isDirectory: boolean },
) => number

const classes: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o7, a: 0o6777 }
const copied: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 }
const sticky = 0o1000
const execute = 0o111

/** Clauses `who op perms [op perms …]`, separated by commas; `who` may be left out for all. */
function parseSymbolic(text: string): Change[] {
  return text.split(',').flatMap(clause => {
    const form = /^([ugoa]*)((?:[-+=][rwxXstugo]*)+)$/.exec(clause)
    if (form === null) throw new KauriError('DESCRIPTION_INVALID', 'invalid syntax')
    const [, letters = '', actions = ''] = form
    const who = Array.from(letters, letter => classes[letter] ?? 0).reduce((a, b) => a | b, 0)
    return [...actions.matchAll(/([-+=])([rwxXstugo]*)/g)].map(([, op = '', permissions = '']) =>
      createChange(op, who, permissions),
    )
  })
}

/** `who` 0 means everybody, and unlike `a` also lets `t` through. */
function createChange(op: string, who: number, permissions: string): Change {
  const mask = who === 0 ? 0o6777 : who
  // For `other` alone there is neither set-id nor sticky.
  const hasSpecial = who === 0 || (who & ~0o7) !== 0
  const stickyBit = hasSpecial && permissions.includes('t') ? sticky : 0
  return (mode, { before, isDirectory }) => {
    let bits = stickyBit
    for (const letter of permissions) {
      const shift = copied[letter]
      if (shift === undefined) bits |= letterBits(letter, op, before, isDirectory) & mask
      else bits |= spread((mode >> shift) & 0o7) & mask & 0o777
    }
    if (op === '+') return mode | bits
    if (op === '-') return mode & ~bits
    const isCopy = permissions !== '' && !/[^ugo]/.test(permissions)
    // Copied bits replace those they are copied over and nothing else.
    return (mode & ~(isCopy ? mask & 0o777 : mask | stickyBit)) | bits
  }
}

function letterBits(letter: string, op: string, before: number, isDirectory: boolean): number {
  switch (letter) {
    case 'r':
      return 0o444
    case 'w':
      return 0o222
    case 'x':
      return execute
    case 'X':
      return op === '-' || isDirectory || (before & execute) !== 0 ? execute : 0
    case 's':
      return 0o6000
    default:
      return 0
  }
}

/** The same three bits for user, group and others. */
function spread(bits: number): number {
  return (bits << 6) | (bits << 3) | bits
}
