// How the rest of a line becomes words, for each instruction: JSON lists, words with quotes kept, one raw text, or
// name and value pairs.

import { KauriError } from '../core/errors.ts'
import { quoteGo } from './go-values.ts'
import { isSpace, trimSpaceStart } from './white-space.ts'

export interface InstructionWords {
  readonly words: readonly string[]
  readonly isJson: boolean
}

/** White space between words; a line break is not among it. */
export const blanks: RegExp = /[\t\v\f\r ]+/

type Reader = (rest: string, escape: string) => InstructionWords

const plain = (words: readonly string[]): InstructionWords => ({ words, isJson: false })

const readOneText: Reader = rest => plain(rest === '' ? [] : [rest])
const readBlankSeparated: Reader = rest => plain(rest === '' ? [] : rest.split(blanks))
const readJsonOrText: Reader = rest => readJson(rest) ?? readOneText(rest, '')
const readJsonOrWords: Reader = rest => readJson(rest) ?? readBlankSeparated(rest, '')

const readers: Readonly<Record<string, Reader>> = {
  add: readJsonOrWords,
  arg: (rest, escape) => plain(splitKeepingQuotes(rest, escape)),
  cmd: readJsonOrText,
  copy: readJsonOrWords,
  entrypoint: readJsonOrText,
  env: (rest, escape) => readPairs('ENV', rest, escape),
  expose: readBlankSeparated,
  from: readBlankSeparated,
  healthcheck: rest => readHealthcheck(rest),
  label: (rest, escape) => readPairs('LABEL', rest, escape),
  maintainer: readOneText,
  run: readJsonOrText,
  shell: readJsonOrText,
  stopsignal: readOneText,
  user: readOneText,
  volume: readJsonOrWords,
  workdir: readOneText,
}

/** Words of an instruction; unknown ones have one empty word and fail later. @throws DESCRIPTION_INVALID */
export function readInstructionWords(
  keyword: string,
  rest: string,
  escape: string,
): InstructionWords {
  const word = keyword.toLowerCase()
  const read = Object.hasOwn(readers, word) ? readers[word] : undefined
  return read?.(rest, escape) ?? plain([''])
}

/** Undefined where the text is no JSON list, which makes it a shell's. @throws DESCRIPTION_INVALID for lists of other than strings */
function readJson(rest: string): InstructionWords | undefined {
  if (!trimSpaceStart(rest).startsWith('[')) return undefined
  let list: unknown
  try {
    list = JSON.parse(rest)
  } catch {
    return undefined
  }
  if (!Array.isArray(list)) return undefined
  const words = list.filter(item => typeof item === 'string').map(item => item.toWellFormed())
  if (words.length !== list.length)
    throw new KauriError(
      'DESCRIPTION_INVALID',
      'when using JSON array syntax, arrays must be comprised of strings only',
    )
  return { words, isJson: true }
}

/** Triples of name, value and what stood between them: `=`, or nothing in the old form with a blank. */
function readPairs(keyword: string, rest: string, escape: string): InstructionWords {
  const words = splitKeepingQuotes(rest, escape)
  const [first] = words
  if (first === undefined) return plain([])
  if (!first.includes('=')) {
    const blank = blanks.exec(rest)
    if (blank === null)
      throw new KauriError('DESCRIPTION_INVALID', `${keyword} must have two arguments`)
    return plain([rest.slice(0, blank.index), rest.slice(blank.index + blank[0].length), ''])
  }
  return plain(
    words.flatMap(word => {
      const equals = word.indexOf('=')
      if (equals < 0)
        throw new KauriError(
          'DESCRIPTION_INVALID',
          `Syntax error - can't find = in ${quoteGo(word)}. Must be of the form: name=value`,
        )
      return [word.slice(0, equals), word.slice(equals + 1), '=']
    }),
  )
}

function readHealthcheck(rest: string): InstructionWords {
  const [, kind = '', command = ''] = /^\s*(\S*)\s*(.*)$/s.exec(rest) ?? []
  if (kind === '') return plain([])
  const { words, isJson } = readJsonOrText(command, '')
  return { words: [kind, ...words], isJson }
}

/** Splits at white space outside quotes; quotes and escapes stay as written. */
export function splitKeepingQuotes(text: string, escape: string): string[] {
  const words: string[] = []
  let word = ''
  let quote = ''
  let begun = false
  const chars = Array.from(text)
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? ''
    if (quote === '' && isSpace(char)) {
      if (begun) words.push(word)
      word = ''
      begun = false
      continue
    }
    if (char === escape && quote !== "'") {
      const next = chars[++at]
      // An escape character at the very end stands for nothing.
      if (next === undefined) break
      word += char + next
      begun = true
      continue
    }
    begun = true
    word += char
    if (quote === '' && (char === "'" || char === '"')) quote = char
    else if (char === quote) quote = ''
  }
  if (begun) words.push(word)
  return words
}
