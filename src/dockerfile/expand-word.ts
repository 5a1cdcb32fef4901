// Word expansion in Dockerfiles: quotes, escapes, `$name` and `${name…}` as BuildKit's frontend defines them
// (docs/reference.md, "Environment replacement"). One pass over the text gives both the joined word and the words that
// unquoted white space splits it into.

import { KauriError } from '../core/errors.ts'
import { quoteGo } from './go-values.ts'
import { replacePattern, trimPrefix, trimSuffix } from './shell-pattern.ts'
import { createSplitter, type WordSplitter } from './word-splitter.ts'

export interface ExpansionOptions {
  /** Value of a name, or undefined where it is not set. */
  readonly lookUp: (name: string) => string | undefined
  /** The character that makes the next one plain; the `escape` directive chooses it. */
  readonly escape: '\\' | '`'
  /** Keep quote characters in the result. */
  readonly keepQuotes?: boolean
  /** Keep escape characters in the result. */
  readonly keepEscapes?: boolean
  /** Leave references to names that are not set as they were written. */
  readonly keepUnset?: boolean
  /** Take quotes as ordinary characters, as in the text of a heredoc. */
  readonly ignoreQuotes?: boolean
}

export interface Expansion {
  readonly word: string
  readonly words: readonly string[]
  /** Names that had a value, and names that had none, in order of first use. */
  readonly matched: readonly string[]
  readonly unmatched: readonly string[]
}

/** Longest result in UTF-16 units: values that double themselves line by line must not fill the memory. */
const maxLength = 4 * 1024 * 1024

/** References within references; each takes a part of the stack. */
const maxDepth = 500

/** @throws DESCRIPTION_INVALID with the text and the reason */
export function expandWord(text: string, options: ExpansionOptions): Expansion {
  const scan: Scan = {
    chars: Array.from(text),
    at: 0,
    depth: 0,
    options,
    keepEscapes: false,
    matched: new Set(),
    unmatched: new Set(),
  }
  try {
    const { word, words } = expandUntil(scan, undefined, options.keepEscapes ?? false)
    return { word, words, matched: [...scan.matched], unmatched: [...scan.unmatched] }
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    throw new KauriError(
      'DESCRIPTION_INVALID',
      `failed to process ${quoteGo(shortened(text))}: ${error.message}`,
      { cause: error },
    )
  }
}

/** A message is for people, and a text may be a whole here-document. */
function shortened(text: string): string {
  return text.length <= 1000 ? text : `${text.slice(0, 1000)}…`
}

interface Scan {
  readonly chars: readonly string[]
  at: number
  depth: number
  readonly options: ExpansionOptions
  keepEscapes: boolean
  readonly matched: Set<string>
  readonly unmatched: Set<string>
}

function checkLength(text: string): void {
  if (text.length > maxLength) throw fail('the text grows beyond all measure')
}

const fail = (message: string): KauriError => new KauriError('DESCRIPTION_INVALID', message)

/** Expands to the end, or to an unquoted `stop` character, which is consumed. */
function expandUntil(
  scan: Scan,
  stop: string | undefined,
  keepEscapes: boolean,
): { word: string; words: string[] } {
  const outerKeepEscapes = scan.keepEscapes
  scan.keepEscapes = keepEscapes
  const splitter = createSplitter()
  let word = ''
  while (scan.at < scan.chars.length) {
    checkLength(word)
    const char = scan.chars[scan.at] ?? ''
    if (char === stop) {
      scan.at++
      scan.keepEscapes = outerKeepEscapes
      return { word, words: splitter.words() }
    }
    if (char === '$') {
      const value = expandDollar(scan)
      word += value
      splitter.plain(value)
    } else if (!scan.options.ignoreQuotes && (char === "'" || char === '"')) {
      const quoted = char === "'" ? readSingleQuoted(scan) : expandDoubleQuoted(scan)
      word += quoted
      splitter.quoted(quoted)
    } else if (char === '<') {
      const arrows = readArrows(scan)
      word += arrows
      splitter.quoted(arrows)
    } else word += readPlain(scan, splitter)
  }
  if (stop !== undefined)
    throw fail(`unexpected end of statement while looking for matching ${stop}`)
  return { word, words: splitter.words() }
}

function readPlain(scan: Scan, splitter: WordSplitter): string {
  const char = scan.chars[scan.at++] ?? ''
  if (char !== scan.options.escape) {
    splitter.plain(char)
    return char
  }
  const kept = scan.keepEscapes ? char : ''
  const escaped = scan.chars[scan.at++] ?? ''
  if (kept + escaped !== '') splitter.quoted(kept + escaped)
  return kept + escaped
}

/** Between `<<` or `<<-` and the name of a here-document there may be blanks, which do not end the word. */
function readArrows(scan: Scan): string {
  const start = scan.at++
  if (scan.chars[scan.at] !== '<') return '<'
  scan.at += scan.chars[scan.at + 1] === '-' ? 2 : 1
  while (/^[\t\r ]$/.test(scan.chars[scan.at] ?? '')) scan.at++
  return scan.chars.slice(start, scan.at).join('')
}

function readSingleQuoted(scan: Scan): string {
  const quote = scan.options.keepQuotes ? "'" : ''
  const end = scan.chars.indexOf("'", scan.at + 1)
  if (end < 0) {
    scan.at = scan.chars.length
    throw fail('unexpected end of statement while looking for matching single-quote')
  }
  const text = scan.chars.slice(scan.at + 1, end).join('')
  scan.at = end + 1
  return quote + text + quote
}

function expandDoubleQuoted(scan: Scan): string {
  const quote = scan.options.keepQuotes ? '"' : ''
  const { escape } = scan.options
  let text = quote
  scan.at++
  while (scan.at < scan.chars.length) {
    const char = scan.chars[scan.at] ?? ''
    if (char === '$') {
      text += expandDollar(scan)
      checkLength(text)
      continue
    }
    scan.at++
    if (char === '"') return text + quote
    if (char !== escape) {
      text += char
      continue
    }
    if (scan.keepEscapes) text += char
    const next = scan.chars[scan.at]
    if (next === undefined) break
    const escapes = next === '"' || next === '$' || next === escape
    if (escapes) scan.at++
    text += escapes ? next : char
  }
  throw fail('unexpected end of statement while looking for matching double-quote')
}

/** Digits are a name, so is each special parameter; other names are letters, digits and `_`. */
function readName(scan: Scan): string {
  const start = scan.at
  const first = scan.chars[start] ?? ''
  if (/^\p{Nd}$/u.test(first)) scan.at = endOf(scan, /^\p{Nd}$/u)
  else if (/^[@*#?\-!$]$/.test(first)) scan.at++
  else scan.at = endOf(scan, /^[\p{L}\p{Nd}_]$/u)
  return scan.chars.slice(start, scan.at).join('')
}

function endOf({ chars, at }: Scan, member: RegExp): number {
  let end = at
  while (member.test(chars[end] ?? '')) end++
  return end
}

function valueOf(scan: Scan, name: string): string | undefined {
  const value = scan.options.lookUp(name)
  const names = value === undefined ? scan.unmatched : scan.matched
  names.add(name)
  return value
}

function expandDollar(scan: Scan): string {
  scan.at++
  if (scan.chars[scan.at] === '{') return expandBraced(scan)
  const name = readName(scan)
  if (name === '') return '$'
  return valueOf(scan, name) ?? (scan.options.keepUnset ? `$${name}` : '')
}

function expandBraced(scan: Scan): string {
  scan.at++
  if (++scan.depth > maxDepth) throw fail('references are nested too deeply')
  const value = expandReference(scan)
  scan.depth--
  return value
}

/** What the end of a text reads as in Go's messages. */
const endMark = '\ufffd'

function expandReference(scan: Scan): string {
  const first = scan.chars[scan.at]
  if (first === undefined) throw fail("syntax error: missing '}'")
  if ('{}:'.includes(first)) throw fail('syntax error: bad substitution')
  const name = readName(scan)
  const operator = scan.chars[scan.at++] ?? endMark
  if (operator === '}') return valueOf(scan, name) ?? (scan.options.keepUnset ? `\${${name}}` : '')
  if (operator === '/') return expandReplacement(scan, name)
  if (operator === ':') return expandModified(scan, name, `:${scan.chars[scan.at++] ?? endMark}`)
  if (!'+-?#%'.includes(operator)) throw unsupported(operator)
  return expandModified(scan, name, operator)
}

function unsupported(modifier: string): KauriError {
  return fail(`unsupported modifier (${modifier}) in substitution`)
}

/** Reads a word up to `}`; its end is the end of the reference. */
function readOperand(scan: Scan, stop: string, missing: string, keepEscapes: boolean): string {
  try {
    return expandUntil(scan, stop, keepEscapes).word
  } catch (error) {
    if (scan.at >= scan.chars.length) throw fail(`syntax error: missing ${missing}`)
    throw error
  }
}

/** An unknown modifier behind a colon is refused only when its operand is read, as in BuildKit. */
function expandModified(scan: Scan, name: string, modifier: string): string {
  if (modifier === ':#' || modifier === ':%') throw unsupported(modifier)
  const operator = modifier.at(-1) ?? ''
  const isTrim = operator === '#' || operator === '%'
  const operand = readOperand(scan, '}', "'}'", isTrim)
  const value = valueOf(scan, name)
  if (value === undefined && scan.options.keepUnset) return `\${${name}${modifier}${operand}}`
  if (isTrim) return trimValue(value ?? '', operator, operand)
  if (!'+-?'.includes(operator)) throw unsupported(modifier)
  const present = modifier.startsWith(':') && value === '' ? undefined : value
  return chooseValue(operator, present, operand) ?? refuseMissing(name, operand, value)
}

function chooseValue(
  operator: string,
  present: string | undefined,
  operand: string,
): string | undefined {
  if (operator === '+') return present === undefined ? '' : operand
  return present ?? (operator === '-' ? operand : undefined)
}

function refuseMissing(name: string, operand: string, value: string | undefined): never {
  const reason = `is not allowed to be ${value === undefined ? 'unset' : 'empty'}`
  throw fail(`${name}: ${operand || reason}`)
}

/** The doubled operator asks for the longest match. */
function trimValue(value: string, operator: '#' | '%', operand: string): string {
  const greedy = operand.startsWith(operator)
  const pattern = greedy ? operand.slice(1) : operand
  return operator === '#' ? trimPrefix(pattern, value, greedy) : trimSuffix(pattern, value, greedy)
}

function expandReplacement(scan: Scan, name: string): string {
  const all = scan.chars[scan.at] === '/'
  if (all) scan.at++
  const pattern = readOperand(scan, '/', "'/' in ${}", true)
  const replacement = readOperand(scan, '}', "'}'", true)
  const value = valueOf(scan, name)
  if (value === undefined && scan.options.keepUnset) return `\${${name}/${pattern}/${replacement}}`
  return replacePattern(value ?? '', pattern, { replacement, all, maxLength })
}
