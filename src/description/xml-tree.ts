// The tree of an XML file with the place of everything in it: fast-xml-parser reads the structure, the scan beside it has
// checked the text and knows the places, and the two are joined element by element in document order.

import { XMLParser } from 'fast-xml-parser'
import { KauriError } from '../core/errors.ts'
import { type SourcePlace, type SourceText, sourceError } from './source-text.ts'
import { decodeReferences, type ElementMark, scanXml } from './xml-scan.ts'

export interface XmlAttribute {
  readonly name: string
  /** References replaced, line breaks and tabs made spaces (XML 1.0 section 3.3.3). */
  readonly value: string
  readonly nameOffset: number
  readonly valueOffset: number
}

export interface XmlElement {
  readonly name: string
  readonly source: SourceText
  /** Of its `<`. */
  readonly offset: number
  readonly attributes: readonly XmlAttribute[]
  readonly children: readonly XmlElement[]
  /** Its own text and CDATA, put together and trimmed. */
  readonly text: string
  readonly textOffset: number | undefined
}

/** Reads a document. @throws DESCRIPTION_INVALID at the first place that is not well-formed */
export function parseXml(source: SourceText): XmlElement {
  const marks = scanXml(source)
  const next = marks.values()
  const takeMark = (name: string): ElementMark => {
    const mark = next.next().value
    if (mark?.name !== name) throw disagreement(source, mark)
    return mark
  }
  const roots = elementsOf(readNodes(source, marks[0])).map(node =>
    joinElement(node, source, takeMark),
  )
  const [root] = roots
  if (root === undefined || roots.length > 1) throw disagreement(source, next.next().value)
  return root
}

const attributePrefix = '@'
const attributesKey = ':@'
const textKey = '#text'
const cdataKey = '#cdata'

function readNodes(source: SourceText, root: ElementMark | undefined): readonly ParsedNode[] {
  const parser = new XMLParser({
    preserveOrder: true,
    ignoreAttributes: false,
    attributeNamePrefix: attributePrefix,
    textNodeName: textKey,
    cdataPropName: cdataKey,
    parseTagValue: false,
    parseAttributeValue: false,
    trimValues: false,
    processEntities: false,
    ignoreDeclaration: true,
    ignorePiTags: true,
    jPath: false,
  })
  try {
    return asNodes(parser.parse(source.text))
  } catch (error) {
    if (error instanceof KauriError) throw error
    // Names that the parser refuses for its own safety, such as __proto__; no description needs them.
    throw sourceError(
      { source, offset: root?.offset ?? 0 },
      'xml-syntax',
      `the file cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

/** One entry of the parser's ordered form: the element's name (or `#text`, `#cdata`) with its content, and `:@`. */
type ParsedNode = Readonly<Record<string, unknown>>

function asNodes(value: unknown): readonly ParsedNode[] {
  return Array.isArray(value) ? value.filter(isNode) : []
}

function isNode(value: unknown): value is ParsedNode {
  return typeof value === 'object' && value !== null
}

function nameOf(node: ParsedNode): string {
  return Object.keys(node).find(key => key !== attributesKey) ?? ''
}

function elementsOf(nodes: readonly ParsedNode[]): ParsedNode[] {
  return nodes.filter(node => !['', textKey, cdataKey].includes(nameOf(node)))
}

function joinElement(
  node: ParsedNode,
  source: SourceText,
  takeMark: (name: string) => ElementMark,
): XmlElement {
  const name = nameOf(node)
  const mark = takeMark(name)
  const content = asNodes(node[name])
  return {
    name,
    source,
    offset: mark.offset,
    attributes: joinAttributes(node, mark, source),
    children: elementsOf(content).map(child => joinElement(child, source, takeMark)),
    text: textOf(content).trim(),
    textOffset: mark.textOffset,
  }
}

function joinAttributes(node: ParsedNode, mark: ElementMark, source: SourceText): XmlAttribute[] {
  const parsed = node[attributesKey]
  const values = isNode(parsed) ? parsed : {}
  if (Object.keys(values).length !== mark.attributes.length) throw disagreement(source, mark)
  return mark.attributes.map(({ name, nameOffset, valueOffset }) => {
    const raw = values[`${attributePrefix}${name}`]
    if (typeof raw !== 'string') throw disagreement(source, mark)
    return { name, value: decodeReferences(raw.replace(/[\t\r\n]/g, ' ')), nameOffset, valueOffset }
  })
}

function textOf(content: readonly ParsedNode[]): string {
  return content
    .map(node => stringOf(node[textKey], true) + stringOf(firstText(node[cdataKey]), false))
    .join('')
}

function firstText(value: unknown): unknown {
  return asNodes(value)[0]?.[textKey]
}

function stringOf(value: unknown, hasReferences: boolean): string {
  if (typeof value !== 'string') return ''
  return hasReferences ? decodeReferences(value) : value
}

/** The parser saw another tree than the scan; never where both are right, so it is refused rather than guessed. */
function disagreement(source: SourceText, mark: ElementMark | undefined): Error {
  return sourceError(
    { source, offset: mark?.offset ?? 0 },
    'xml-syntax',
    mark === undefined ? 'the file cannot be read' : `<${mark.name}> cannot be read`,
    'rename the element or attribute, or remove what is unusual about it',
  )
}

/** The attribute of that name. */
export function findAttribute(element: XmlElement, name: string): XmlAttribute | undefined {
  return element.attributes.find(attribute => attribute.name === name)
}

/** The element's place, for findings. */
export function placeOf(element: XmlElement, offset: number = element.offset): SourcePlace {
  return { source: element.source, offset }
}
