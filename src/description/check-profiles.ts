// Profiles: every name that is used must be defined, and none may require itself.

import type { Tell } from './cross-checks.ts'
import type { Profile } from './description.ts'
import { nearestWord } from './did-you-mean.ts'
import { findAttribute, type XmlElement } from './xml-tree.ts'

/** Checks definitions, requirements and every `profiles` attribute of the tree. */
export function checkProfiles(root: XmlElement, profiles: readonly Profile[], tell: Tell): void {
  const names = new Set<string>()
  for (const { name } of profiles) {
    if (names.has(name.value))
      tell('profile-repeated', name.where, `the profile ${name.value} is defined again`)
    names.add(name.value)
  }
  for (const { profile } of profiles.flatMap(({ requires }) => requires))
    if (profile.value !== '' && !names.has(profile.value))
      tell('profile-undefined', profile.where, undefinedMessage(profile.value, names))
  for (const section of root.children) checkReferences(section, names, tell)
  checkCycles(profiles, tell)
}

function undefinedMessage(name: string, names: ReadonlySet<string>): string {
  const nearest = nearestWord(name, names)
  return `there is no profile ${name}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`
}

function checkReferences(section: XmlElement, names: ReadonlySet<string>, tell: Tell): void {
  const attribute = section.name === 'extension' ? undefined : findAttribute(section, 'profiles')
  if (attribute === undefined) return
  let offset = attribute.valueOffset
  for (const part of attribute.value.split(',')) {
    const name = part.trim()
    const where = section.source.positionAt(offset + part.indexOf(name))
    if (name !== '' && !names.has(name))
      tell('profile-undefined', where, undefinedMessage(name, names))
    offset += part.length + 1
  }
}

/** Each circle is told once, at the requirement that closes it. */
function checkCycles(profiles: readonly Profile[], tell: Tell): void {
  const byName = new Map(profiles.map(profile => [profile.name.value, profile]))
  const done = new Set<string>()
  const visit = (profile: Profile, path: readonly string[]): void => {
    const here = [...path, profile.name.value]
    for (const { profile: required } of profile.requires) {
      const next = byName.get(required.value)
      if (here.includes(required.value)) {
        const circle = [...here.slice(here.indexOf(required.value)), required.value]
        tell('profile-cycle', required.where, `profiles require each other: ${circle.join(' → ')}`)
      } else if (next !== undefined && !done.has(required.value)) visit(next, here)
    }
    done.add(profile.name.value)
  }
  for (const profile of profiles) if (!done.has(profile.name.value)) visit(profile, [])
}
