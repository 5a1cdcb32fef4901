// Holds a tree against the schema tables: unknown and misplaced elements and attributes, values, counts. It knows nothing
// of any single element; what a description may say is in schema/.

import type { SourcePosition } from '../core/errors.ts'
import type { Selector, SupportLimit } from './description.ts'
import { nearestWord } from './did-you-mean.ts'
import type { Report } from './report.ts'
import type { RuleName } from './rules.ts'
import { image } from './schema/image.ts'
import { packageSectionTypes } from './schema/packages.ts'
import type { AttributeRule, ChildRule, ElementRule, ValueType } from './schema/rule.ts'
import { imageTypeNames } from './schema/values.ts'
import { selectorOf } from './selector.ts'
import { findingAt } from './source-text.ts'
import { findChange } from './upgrade-schema.ts'
import { findAttribute, placeOf, type XmlAttribute, type XmlElement } from './xml-tree.ts'

interface Scope {
  readonly report: Report
  readonly limits: SupportLimit[]
  readonly selectors: readonly Selector[]
  readonly type?: SourcePosition
  readonly imageType?: string
}

/** Checks the whole tree; findings go to the report, limits come back. */
export function validateTree(root: XmlElement, report: Report): readonly SupportLimit[] {
  const scope: Scope = { report, limits: [], selectors: [] }
  if (root.name !== 'image') {
    report.add(
      placesOf(root.name).length > 0 ? 'element-misplaced' : 'element-unknown',
      placeOf(root),
      `the first element of a description is <image>, not <${root.name}>`,
    )
    return []
  }
  validateElement(root, image, scope)
  return scope.limits
}

function validateElement(element: XmlElement, rule: ElementRule, outer: Scope): void {
  const scope = enterScope(element, outer)
  if (rule.limit !== undefined) addLimit(scope, element, element.offset, rule.limit)
  validateAttributes(element, rule, scope)
  validateText(element, rule, scope)
  if (rule.foreign === true) return
  validateChildren(element, rule, scope)
}

function enterScope(element: XmlElement, scope: Scope): Scope {
  const selector = selectorOf(element)
  const sectionType = findAttribute(element, 'type')?.value
  return {
    ...scope,
    selectors:
      selector.profiles.length + selector.architectures.length === 0
        ? scope.selectors
        : [...scope.selectors, selector],
    ...(element.name === 'type' ? { type: element.source.positionAt(element.offset) } : {}),
    ...(element.name === 'packages' && isImageType(sectionType) ? { imageType: sectionType } : {}),
  }
}

function isImageType(sectionType: string | undefined): sectionType is string {
  return (
    packageSectionTypes.some(known => known === sectionType) &&
    imageTypeNames.some(known => known === sectionType)
  )
}

function addLimit(scope: Scope, element: XmlElement, offset: number, message: string): void {
  scope.limits.push({
    finding: findingAt(placeOf(element, offset), 'not-supported', message),
    selectors: scope.selectors,
    ...(scope.type === undefined ? {} : { type: scope.type }),
    ...(scope.imageType === undefined ? {} : { imageType: scope.imageType }),
  })
}

function validateAttributes(element: XmlElement, rule: ElementRule, scope: Scope): void {
  const rules = rule.attributes ?? {}
  for (const attribute of element.attributes) {
    const attributeRule = Object.hasOwn(rules, attribute.name) ? rules[attribute.name] : undefined
    if (attributeRule !== undefined) validateAttribute(element, attribute, attributeRule, scope)
    else if (!isNamespaceAttribute(attribute.name))
      reportUnknownAttribute(element, attribute, rule, scope)
  }
  reportMissingAttributes(element, rule, scope)
}

function reportMissingAttributes(element: XmlElement, rule: ElementRule, { report }: Scope): void {
  const isMissing = (name: string): boolean => findAttribute(element, name) === undefined
  const imageType = findAttribute(element, 'image')?.value ?? ''
  const tell = (what: string): void =>
    report.add('attribute-missing', placeOf(element), `<${element.name}> needs ${what}`)
  for (const [name, { required, requiredFor }] of Object.entries(rule.attributes ?? {}))
    if (isMissing(name) && (required === true || requiredFor?.includes(imageType)))
      tell(`the attribute ${name}`)
  const { needsOneOf = [] } = rule
  if (needsOneOf.length > 0 && needsOneOf.every(isMissing)) tell(needsOneOf.join(' or '))
}

function isNamespaceAttribute(name: string): boolean {
  return name === 'xmlns' || /^(?:xmlns|xml|xsi):/.test(name)
}

function validateAttribute(
  element: XmlElement,
  attribute: XmlAttribute,
  rule: AttributeRule,
  scope: Scope,
): void {
  const { name, value, nameOffset, valueOffset } = attribute
  const imageType = findAttribute(element, 'image')?.value
  if (
    rule.imageTypes !== undefined &&
    imageType !== undefined &&
    !rule.imageTypes.includes(imageType)
  )
    scope.report.add(
      'attribute-misplaced',
      placeOf(element, nameOffset),
      `${name} has no meaning for the image type ${imageType}`,
      `it belongs to ${rule.imageTypes.join(', ')}`,
    )
  if (!rule.type.accepts(value))
    reportValue(placeOf(element, valueOffset), value, rule.type, scope.report)
  else addValueLimit(element, valueOffset, rule.limit?.(value), scope)
}

function addValueLimit(
  element: XmlElement,
  offset: number,
  message: string | undefined,
  scope: Scope,
): void {
  if (message !== undefined) addLimit(scope, element, offset, message)
}

function validateText(element: XmlElement, rule: ElementRule, scope: Scope): void {
  const { text, textOffset = element.offset } = element
  if (rule.text === undefined) {
    if (text !== '' && rule.foreign !== true)
      scope.report.add(
        'text-misplaced',
        placeOf(element, textOffset),
        `text inside <${element.name}>, which holds ${rule.children === undefined ? 'none' : 'only elements'}`,
      )
  } else if (!rule.text.type.accepts(text)) {
    reportValue(placeOf(element, textOffset), text, rule.text.type, scope.report)
  } else addValueLimit(element, textOffset, rule.text.limit?.(text), scope)
}

function reportValue(
  place: ReturnType<typeof placeOf>,
  value: string,
  type: ValueType,
  report: Report,
): void {
  const { words = [] } = type
  const nearest = nearestWord(value, words)
  const shown = value.length > 60 ? `${value.slice(0, 60)}…` : value
  report.add(
    'value-invalid',
    place,
    `"${shown}" is not ${type.says}${nearest === undefined ? '' : `; did you mean "${nearest}"?`}`,
    words.length > 0 && nearest === undefined ? `one of ${words.join(', ')}` : undefined,
  )
}

function reportUnknownAttribute(
  element: XmlElement,
  { name, nameOffset }: XmlAttribute,
  rule: ElementRule,
  { report }: Scope,
): void {
  const known = Object.keys(rule.attributes ?? {})
  const change = findChange(element.name, name)
  const nearest = nearestWord(name, known)
  const hint =
    change === undefined
      ? listHint('it takes', known)
      : `since schema ${change.since}: ${change.says}`
  report.add(
    'attribute-unknown',
    placeOf(element, nameOffset),
    `<${element.name}> has no attribute ${name}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
    nearest === undefined || change !== undefined ? hint : undefined,
  )
}

function listHint(before: string, words: readonly string[]): string | undefined {
  return words.length === 0 || words.length > 20 ? undefined : `${before} ${words.join(', ')}`
}

function validateChildren(element: XmlElement, rule: ElementRule, scope: Scope): void {
  const rules = rule.children ?? {}
  const seen = new Map<string, { readonly first: XmlElement; count: number }>()
  for (const child of element.children) {
    const childRule = Object.hasOwn(rules, child.name) ? rules[child.name] : undefined
    if (childRule === undefined) {
      reportUnknownElement(element, child, rule, scope)
      continue
    }
    const same = seen.get(child.name) ?? { first: child, count: 0 }
    if (same.count++ >= childRule.max) reportRepeated(element, child, same.first, scope)
    seen.set(child.name, same)
    checkConditions(element, child, childRule, scope)
    validateElement(child, childRule.element, scope)
  }
  for (const [name, { min }] of Object.entries(rules))
    if (min > 0 && !seen.has(name))
      scope.report.add('element-missing', placeOf(element), `<${element.name}> needs <${name}>`)
}

function checkConditions(
  parent: XmlElement,
  child: XmlElement,
  { imageTypes, needs }: ChildRule,
  { report }: Scope,
): void {
  const imageType = findAttribute(parent, 'image')?.value
  if (imageTypes !== undefined && imageType !== undefined && !imageTypes.includes(imageType))
    report.add(
      'element-misplaced',
      placeOf(child),
      `<${child.name}> has no meaning for the image type ${imageType}`,
      `it belongs to ${imageTypes.join(', ')}`,
    )
  if (needs !== undefined && needs.every(name => findAttribute(parent, name) === undefined))
    report.add(
      'attribute-missing',
      placeOf(parent),
      `<${parent.name}> needs ${needs.join(' or ')} for its <${child.name}>`,
    )
}

function reportRepeated(
  parent: XmlElement,
  child: XmlElement,
  first: XmlElement,
  { report }: Scope,
): void {
  report.add(
    'element-repeated',
    placeOf(child),
    `<${child.name}> appears again in <${parent.name}>, which takes one`,
    `the first is in line ${first.source.positionAt(first.offset).line}`,
  )
}

function reportUnknownElement(
  parent: XmlElement,
  child: XmlElement,
  rule: ElementRule,
  { report }: Scope,
): void {
  const here = Object.keys(rule.children ?? {})
  const change = findChange(child.name)
  const places = placesOf(child.name)
  const nearest = nearestWord(child.name, here) ?? nearestWord(child.name, allPlaces().keys())
  const [kind, message, hint]: [RuleName, string, string | undefined] =
    places.length > 0
      ? [
          'element-misplaced',
          `<${child.name}> does not belong into <${parent.name}>`,
          `it belongs into ${places.map(name => `<${name}>`).join(' or ')}`,
        ]
      : [
          'element-unknown',
          `unknown element <${child.name}>${nearest === undefined ? '' : `; did you mean <${nearest}>?`}`,
          change === undefined ? undefined : `since schema ${change.since}: ${change.says}`,
        ]
  const fallback = nearest === undefined ? listHint(`<${parent.name}> takes`, here) : undefined
  report.add(kind, placeOf(child), message, hint ?? fallback)
}

/** Elements by name, with the names of those they may stand in. */
function allPlaces(): ReadonlyMap<string, readonly string[]> {
  if (cachedPlaces !== undefined) return cachedPlaces
  const places = new Map<string, string[]>()
  const visit = (name: string, rule: ElementRule): void => {
    for (const [child, { element }] of Object.entries(rule.children ?? {})) {
      const known = places.get(child) ?? []
      if (known.includes(name)) continue
      places.set(child, [...known, name])
      visit(child, element)
    }
  }
  visit('image', image)
  cachedPlaces = places
  return places
}

let cachedPlaces: ReadonlyMap<string, readonly string[]> | undefined

function placesOf(name: string): readonly string[] {
  return name === 'image' ? ['the top of the file'] : (allPlaces().get(name) ?? [])
}
