// Here-documents of ADD, COPY and RUN: `<<NAME`, `<<-NAME`, `3<<"NAME"`. A quoted name keeps variables in the text as
// they are; `-` takes leading tabs away.

import { expandWord } from './expand-word.ts'

export interface Heredoc {
  readonly name: string
  readonly fileDescriptor: number
  /** Variables in the content are expanded. */
  readonly expand: boolean
  /** Leading tabs are removed from the content and its end line. */
  readonly chomp: boolean
  readonly content: string
}

const heredocForm = /^(\d*)<<(-?)\s*([^<]*)$/

/** A word as a heredoc's start, without content; undefined for every other word. Heredocs always escape with a backslash. */
export function parseHeredocWord(word: string): Heredoc | undefined {
  const match = heredocForm.exec(word)
  const [, descriptor = '', dash = '', rest = ''] = match ?? []
  if (match === null || rest === '') return undefined
  const raw = splitRaw(rest)
  if (raw.length !== 1 || raw[0] !== rest) return undefined
  const name = splitPlain(rest)[0] ?? ''
  return {
    name,
    fileDescriptor: descriptor === '' ? 0 : Number(descriptor),
    expand: !/['"]/.test(unescapedOf(rest)),
    chomp: dash === '-',
    content: '',
  }
}

/** Every heredoc that a line starts, in order. */
export function heredocsOfLine(line: string): Heredoc[] {
  return splitRaw(line)
    .map(parseHeredocWord)
    .filter(heredoc => heredoc !== undefined)
}

function unescapedOf(text: string): string {
  return text.replace(/\\./gs, '')
}

/** Words with their quotes and escapes as written; `$` means nothing here. */
function splitRaw(text: string): readonly string[] {
  return splitWords(text, { keepQuotes: true, keepEscapes: true })
}

function splitPlain(text: string): readonly string[] {
  return splitWords(text, {})
}

function splitWords(
  text: string,
  kept: { readonly keepQuotes?: boolean; readonly keepEscapes?: boolean },
): readonly string[] {
  try {
    return expandWord(text, { lookUp: () => undefined, escape: '\\', keepUnset: true, ...kept })
      .words
  } catch {
    return []
  }
}

/** The text of a here-document without the tabs at the beginning of its lines. */
export function chompHeredoc(text: string): string {
  return text.replace(/(^|\n)\t+/g, '$1')
}
