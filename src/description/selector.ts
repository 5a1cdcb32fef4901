// Which sections a build takes: by profile and by machine.

import type { Selector } from './description.ts'
import { findAttribute, type XmlElement } from './xml-tree.ts'

/** What a build selects by. */
export interface Selection {
  readonly profiles: ReadonlySet<string>
  /** `uname -m` name. */
  readonly machine: string
}

/** The selector that an element carries. */
export function selectorOf(element: XmlElement): Selector {
  return {
    profiles: listAttribute(element, 'profiles'),
    architectures: listAttribute(element, 'arch'),
  }
}

/** An attribute with commas in it as a list without empty words. */
export function listAttribute(element: XmlElement, name: string): string[] {
  const text = findAttribute(element, name)?.value ?? ''
  return splitList(text)
}

/** Words between commas. */
export function splitList(text: string): string[] {
  return text
    .split(',')
    .map(word => word.trim())
    .filter(word => word !== '')
}

/** True where a section with this selector belongs to the build. */
export function isSelected(selector: Selector, { profiles, machine }: Selection): boolean {
  return (
    (selector.profiles.length === 0 || selector.profiles.some(name => profiles.has(name))) &&
    isForMachine(selector.architectures, machine)
  )
}

/** True where a list of architectures is empty or names the machine. */
export function isForMachine(architectures: readonly string[], machine: string): boolean {
  return architectures.length === 0 || architectures.includes(machine)
}
