// Small questions to an element: its attributes and children as text, flags and located values.

import type { SourcePosition } from '../core/errors.ts'
import type { Located } from './description.ts'
import { isTrue } from './schema/values.ts'
import { findAttribute, type XmlElement } from './xml-tree.ts'

/** Where the element starts. */
export function elementPosition(element: XmlElement): SourcePosition {
  return element.source.positionAt(element.offset)
}

/** The children of a name, in order. */
export function childrenOf(element: XmlElement | undefined, name: string): XmlElement[] {
  return element?.children.filter(child => child.name === name) ?? []
}

/** The text of the first child of a name. */
export function childText(element: XmlElement | undefined, name: string): string | undefined {
  return childrenOf(element, name)[0]?.text
}

/** The text of the first child of a name, and where it is. */
export function locatedChild(element: XmlElement, name: string): Located<string> | undefined {
  const [child] = childrenOf(element, name)
  if (child === undefined) return undefined
  return { value: child.text, where: child.source.positionAt(child.textOffset ?? child.offset) }
}

/** The first child of a name as true or false. */
export function locatedFlag(element: XmlElement, name: string): Located<boolean> | undefined {
  const text = locatedChild(element, name)
  return text === undefined ? undefined : { value: isTrue(text.value), where: text.where }
}

/** The value of an attribute. */
export function attributeText(element: XmlElement, name: string): string | undefined {
  return findAttribute(element, name)?.value
}

/** An attribute as true or false. */
export function flagAttribute(element: XmlElement, name: string): boolean | undefined {
  const text = attributeText(element, name)
  return text === undefined ? undefined : isTrue(text)
}

/** An attribute as a number; undefined where it is none. */
export function numberAttribute(element: XmlElement, name: string): number | undefined {
  const text = attributeText(element, name)
  return text === undefined || !/^-?[0-9]{1,15}$/.test(text) ? undefined : Number(text)
}

/** The value of an attribute and where it is. */
export function locatedAttribute(element: XmlElement, name: string): Located<string> | undefined {
  const attribute = findAttribute(element, name)
  if (attribute === undefined) return undefined
  return { value: attribute.value, where: element.source.positionAt(attribute.valueOffset) }
}

/** An attribute that the schema requires; empty at the element's place where it is missing, which is an error already. */
export function requiredAttribute(element: XmlElement, name: string): Located<string> {
  return locatedAttribute(element, name) ?? { value: '', where: elementPosition(element) }
}
