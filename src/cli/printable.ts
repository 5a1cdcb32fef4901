// Text that is safe to show: names in archives, descriptions and script output come from strangers, and a terminal obeys
// what it is sent.

import { stripVTControlCharacters } from 'node:util'

const controlCharacter = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/**
 * Shows control and direction characters as `\x1b` or `\u202e`; line breaks and tabs stay. JSON stays JSON: what it may hold
 * as it is gets the form that JSON has for it.
 */
export function printable(text: string): string {
  return text.replace(controlCharacter, character => {
    if (character === '\n' || character === '\t') return character
    const code = character.charCodeAt(0)
    return code < 0x20
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`
  })
}

/** One line of a program's output without its colours, cursor movements and what it wrote over by carriage returns. */
export function printableLine(line: string): string {
  const visible = stripVTControlCharacters(line).trimEnd().split('\r').at(-1) ?? ''
  return printable(visible.replaceAll('\n', ' '))
}
