// Well-formedness (XML 1.0, fifth edition) and exact places. fast-xml-parser reads the tree but forgives broken XML and
// knows no places of attributes and text, so this scan goes over the text first: it fails at the first place that is not
// XML, and otherwise returns where each element, attribute and text is, in document order.

import type { RuleName } from './rules.ts'
import { type SourceText, sourceError } from './source-text.ts'

/** Where one element is; offsets into the source's text. */
export interface ElementMark {
  readonly name: string
  /** Of its `<`. */
  readonly offset: number
  readonly attributes: readonly AttributeMark[]
  /** First character of its own text that is not white space. */
  textOffset: number | undefined
}

export interface AttributeMark {
  readonly name: string
  readonly nameOffset: number
  /** The first character between the quotes. */
  readonly valueOffset: number
  /** As written, with references. */
  readonly rawValue: string
}

const maxDepth = 64
const maxElements = 100_000
const maxAttributes = 200

const nameStart =
  ':A-Z_a-z\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u02ff\\u0370-\\u037d\\u037f-\\u1fff\\u200c\\u200d' +
  '\\u2070-\\u218f\\u2c00-\\u2fef\\u3001-\\ud7ff\\uf900-\\ufdcf\\ufdf0-\\ufffd\\u{10000}-\\u{effff}'
const nameForm = new RegExp(
  `[${nameStart}][${nameStart}\\-.0-9\\u00b7\\u0300-\\u036f\\u203f\\u2040]*`,
  'uy',
)
const referenceForm = /&(?:(lt|gt|amp|quot|apos)|#([0-9]{1,7})|#x([0-9a-fA-F]{1,6}));/y
/** XML 1.0 section 2.2: control characters other than tab and line breaks, lone surrogates, two non-characters. */
const forbiddenCharacter = /[[\p{Cc}--[\t\n\r\u{7f}-\u{9f}]]\p{Cs}\u{fffe}\u{ffff}]/v

/**
 * Scans a whole document; the marks of its elements in the order of their start tags.
 * @throws DESCRIPTION_INVALID at the first place that is not well-formed
 */
export function scanXml(source: SourceText): readonly ElementMark[] {
  const forbidden = forbiddenCharacter.exec(source.text)
  const cursor = new Cursor(source)
  if (forbidden !== null) {
    const code = (source.text.codePointAt(forbidden.index) ?? 0).toString(16).padStart(4, '0')
    throw cursor.failure(
      forbidden.index,
      `a character (U+${code.toUpperCase()}) that XML forbids`,
      'xml-character',
    )
  }
  return scanDocument(cursor)
}

/** Text with its references replaced; the scan has checked that each one is known. */
export function decodeReferences(raw: string): string {
  return raw.replace(/&(?:([a-z]+)|#([0-9]+)|#x([0-9a-fA-F]+));/g, (_, name, decimal, hex) =>
    name === undefined ? characterOf(decimal, hex) : (namedReferences[name] ?? ''),
  )
}

const namedReferences: Readonly<Record<string, string>> = {
  lt: '<',
  gt: '>',
  amp: '&',
  quot: '"',
  apos: "'",
}

function characterOf(decimal: string | undefined, hex: string | undefined): string {
  return String.fromCodePoint(
    decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal),
  )
}

/** A place in the text that only moves forward. */
class Cursor {
  readonly source: SourceText
  readonly text: string
  offset = 0

  constructor(source: SourceText) {
    this.source = source
    this.text = source.text
  }

  at(expected: string): boolean {
    return this.text.startsWith(expected, this.offset)
  }

  take(expected: string): boolean {
    if (!this.at(expected)) return false
    this.offset += expected.length
    return true
  }

  /** Skips white space; true where there was some. */
  skipSpace(): boolean {
    const start = this.offset
    while (isSpace(this.text.charCodeAt(this.offset))) this.offset++
    return this.offset > start
  }

  /** Moves behind the next `end`. */
  skipBehind(end: string, start: number, what: string): string {
    const found = this.text.indexOf(end, this.offset)
    if (found < 0) throw this.failure(start, `${what} that is never closed with "${end}"`)
    const skipped = this.text.slice(this.offset, found)
    this.offset = found + end.length
    return skipped
  }

  name(what: string): string {
    nameForm.lastIndex = this.offset
    const match = nameForm.exec(this.text)
    if (match === null) throw this.failure(this.offset, `${what} expected`)
    this.offset += match[0].length
    return match[0]
  }

  failure(offset: number, message: string, rule: RuleName = 'xml-syntax', hint?: string): Error {
    return sourceError({ source: this.source, offset }, rule, message, hint)
  }
}

function isSpace(code: number): boolean {
  return code === 32 || code === 10 || code === 13 || code === 9
}

function scanDocument(cursor: Cursor): readonly ElementMark[] {
  const marks: ElementMark[] = []
  if (/^<\?xml\s/.test(cursor.text)) cursor.skipBehind('?>', 0, 'an XML declaration')
  scanMisc(cursor)
  if (cursor.offset >= cursor.text.length) throw cursor.failure(0, 'a file without any element')
  if (!cursor.at('<')) throw cursor.failure(cursor.offset, 'text before the first element')
  scanElements(cursor, marks)
  scanMisc(cursor)
  if (cursor.offset < cursor.text.length)
    throw cursor.failure(
      cursor.offset,
      cursor.at('<')
        ? 'a second element after the end of the first; there can be only one'
        : 'text after the last element',
    )
  return marks
}

/** Comments, processing instructions and white space outside the root element. */
function scanMisc(cursor: Cursor): void {
  for (;;) {
    cursor.skipSpace()
    if (cursor.at('<!--')) scanComment(cursor)
    else if (cursor.at('<?')) scanInstruction(cursor)
    else if (cursor.at('<!DOCTYPE'))
      throw cursor.failure(
        cursor.offset,
        'a document type declaration, which is refused',
        'xml-doctype',
        'remove it; a description needs no DOCTYPE and no entities of its own',
      )
    else return
  }
}

function scanElements(cursor: Cursor, marks: ElementMark[]): void {
  const open: ElementMark[] = []
  do {
    const start = cursor.offset
    if (cursor.at('</')) scanEndTag(cursor, open)
    else if (cursor.at('<!--')) scanComment(cursor)
    else if (cursor.at('<![CDATA[')) scanCdata(cursor, open)
    else if (cursor.at('<?')) scanInstruction(cursor)
    else if (cursor.at('<')) scanStartTag(cursor, open, marks)
    else scanText(cursor, open)
    if (cursor.offset >= cursor.text.length && open.length > 0) throw unclosed(cursor, open, start)
  } while (open.length > 0)
}

function unclosed(cursor: Cursor, open: readonly ElementMark[], offset: number): Error {
  const last = open.at(-1)
  return cursor.failure(last?.offset ?? offset, `<${last?.name ?? ''}> is never closed`)
}

function scanStartTag(cursor: Cursor, open: ElementMark[], marks: ElementMark[]): void {
  const offset = cursor.offset
  cursor.offset++
  if (cursor.at('!'))
    throw cursor.failure(offset, '"<!" begins neither a comment nor a CDATA section')
  const name = cursor.name('the name of an element after "<"')
  const attributes = scanAttributes(cursor, name)
  const isEmpty = cursor.take('/')
  if (!cursor.take('>')) throw cursor.failure(cursor.offset, `">" expected at the end of <${name}>`)
  const mark: ElementMark = { name, offset, attributes, textOffset: undefined }
  marks.push(mark)
  if (marks.length > maxElements)
    throw cursor.failure(offset, `more than ${maxElements} elements`, 'xml-limit')
  if (open.length >= maxDepth)
    throw cursor.failure(offset, `elements nested more than ${maxDepth} deep`, 'xml-limit')
  if (!isEmpty) open.push(mark)
}

function scanAttributes(cursor: Cursor, element: string): readonly AttributeMark[] {
  const attributes: AttributeMark[] = []
  const seen = new Set<string>()
  for (;;) {
    const hadSpace = cursor.skipSpace()
    if (cursor.at('>') || cursor.at('/>')) return attributes
    if (cursor.offset >= cursor.text.length)
      throw cursor.failure(cursor.offset, `the file ends inside <${element}>`)
    if (!hadSpace)
      throw cursor.failure(cursor.offset, `white space or ">" expected in <${element}>`)
    const attribute = scanAttribute(cursor, element)
    if (seen.has(attribute.name))
      throw cursor.failure(attribute.nameOffset, `the attribute ${attribute.name} is given twice`)
    seen.add(attribute.name)
    attributes.push(attribute)
    if (attributes.length > maxAttributes)
      throw cursor.failure(
        attribute.nameOffset,
        `more than ${maxAttributes} attributes`,
        'xml-limit',
      )
  }
}

function scanAttribute(cursor: Cursor, element: string): AttributeMark {
  const nameOffset = cursor.offset
  const name = cursor.name(`an attribute or ">" in <${element}>`)
  cursor.skipSpace()
  if (!cursor.take('='))
    throw cursor.failure(cursor.offset, `"=" expected after the attribute ${name}`)
  cursor.skipSpace()
  const quote = cursor.text.charAt(cursor.offset)
  if (quote !== '"' && quote !== "'")
    throw cursor.failure(cursor.offset, `the value of ${name} is not in quotes`)
  cursor.offset++
  const valueOffset = cursor.offset
  const rawValue = cursor.skipBehind(quote, valueOffset - 1, `a value of ${name}`)
  const less = rawValue.indexOf('<')
  if (less >= 0)
    throw cursor.failure(
      valueOffset + less,
      `"<" in the value of ${name}`,
      'xml-syntax',
      'write &lt;, or close the value with the quote that is missing before',
    )
  checkReferences(cursor, rawValue, valueOffset)
  return { name, nameOffset, valueOffset, rawValue }
}

function scanEndTag(cursor: Cursor, open: ElementMark[]): void {
  const offset = cursor.offset
  cursor.offset += 2
  const name = cursor.name('the name of an element after "</"')
  cursor.skipSpace()
  if (!cursor.take('>')) throw cursor.failure(cursor.offset, `">" expected after </${name}`)
  const opened = open.pop()
  if (opened?.name === name) return
  const line = cursor.source.positionAt(opened?.offset ?? 0).line
  throw cursor.failure(
    offset,
    opened === undefined
      ? `</${name}> closes nothing`
      : `</${name}> where </${opened.name}> is expected; <${opened.name}> was opened in line ${line}`,
  )
}

function scanComment(cursor: Cursor): void {
  const start = cursor.offset
  cursor.offset += 4
  const text = cursor.skipBehind('-->', start, 'a comment')
  const dashes = `${text}-`.indexOf('--')
  if (dashes >= 0)
    throw cursor.failure(start + 4 + dashes, '"--" inside a comment, which XML forbids')
}

function scanCdata(cursor: Cursor, open: readonly ElementMark[]): void {
  const start = cursor.offset
  cursor.offset += 9
  const text = cursor.skipBehind(']]>', start, 'a CDATA section')
  markText(open, start + 9, text)
}

function scanInstruction(cursor: Cursor): void {
  const start = cursor.offset
  cursor.offset += 2
  const target = cursor.name('the name of a processing instruction after "<?"')
  if (target.toLowerCase() === 'xml')
    throw cursor.failure(start, 'the XML declaration must be the very first thing in the file')
  cursor.skipBehind('?>', start, 'a processing instruction')
}

function scanText(cursor: Cursor, open: readonly ElementMark[]): void {
  const start = cursor.offset
  const next = cursor.text.indexOf('<', start)
  const text = cursor.text.slice(start, next < 0 ? undefined : next)
  cursor.offset = start + text.length
  const end = text.indexOf(']]>')
  if (end >= 0) throw cursor.failure(start + end, '"]]>" outside a CDATA section')
  checkReferences(cursor, text, start)
  markText(open, start, text)
}

function markText(open: readonly ElementMark[], start: number, text: string): void {
  const element = open.at(-1)
  const visible = text.search(/[^ \t\r\n]/)
  if (element !== undefined && visible >= 0) element.textOffset ??= start + visible
}

function checkReferences(cursor: Cursor, text: string, start: number): void {
  for (let at = text.indexOf('&'); at >= 0; at = text.indexOf('&', at + 1)) {
    referenceForm.lastIndex = at
    const match = referenceForm.exec(text)
    if (match === null) throw unknownReference(cursor, text.slice(at, at + 40), start + at)
    if (match[1] === undefined && !isCharacter(match[2], match[3]))
      throw cursor.failure(
        start + at,
        `${match[0]} stands for a character that XML forbids`,
        'xml-character',
      )
  }
}

function isCharacter(decimal: string | undefined, hex: string | undefined): boolean {
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
  return code <= 0x10ffff && !forbiddenCharacter.test(String.fromCodePoint(code))
}

function unknownReference(cursor: Cursor, text: string, offset: number): Error {
  const name = /^&[\w.:#-]+;/.exec(text)?.[0]
  return name === undefined
    ? cursor.failure(offset, '"&" alone', 'xml-entity', 'write &amp; for the character itself')
    : cursor.failure(
        offset,
        `${name} stands for nothing`,
        'xml-entity',
        'only &lt; &gt; &amp; &quot; &apos; and character references such as &#233; are known',
      )
}
