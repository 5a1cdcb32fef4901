// Splits a text into words at unquoted white space while it grows.

import { isSpace } from './white-space.ts'

/** Takes a text in pieces. */
export interface WordSplitter {
  /** White space in the piece ends a word. */
  plain(text: string): void
  /** The piece belongs to one word, whatever is in it. */
  quoted(text: string): void
  /** The words so far. */
  words(): string[]
}

/** A splitter that has seen nothing yet. */
export function createSplitter(): WordSplitter {
  const done: string[] = []
  let word = ''
  let inWord = false
  return {
    plain: text => {
      if (text === '') return
      // Most values are one word, and long ones are expensive to take apart.
      if (!/\p{White_Space}/u.test(text)) {
        word += text
        inWord = true
        return
      }
      for (const char of text) {
        if (!isSpace(char)) {
          word += char
          inWord = true
        } else if (inWord && word !== '') {
          done.push(word)
          word = ''
          inWord = false
        }
      }
    },
    quoted: text => {
      word += text
      inWord = true
    },
    words: () => (word === '' ? done : [...done, word]),
  }
}
