// Which profiles a build has: those asked for, or by default those with import="true", and what each of them requires.

import { KauriError } from '../core/errors.ts'
import type { Profile } from './description.ts'
import { nearestWord } from './did-you-mean.ts'
import { isForMachine } from './selector.ts'

/**
 * Names in order: each profile, then what it requires, each once. Circles were refused when the description was read.
 * @throws USAGE for a profile that is not defined, or not for this machine
 */
export function resolveProfiles(
  profiles: readonly Profile[],
  wanted: readonly string[],
  machine: string,
): readonly string[] {
  const available = new Map(
    profiles
      .filter(({ architectures }) => isForMachine(architectures, machine))
      .map(profile => [profile.name.value, profile]),
  )
  const names = new Set<string>()
  const add = (name: string): void => {
    const profile = available.get(name)
    if (profile === undefined) throw unknownProfile(name, profiles, machine)
    if (names.has(name)) return
    names.add(name)
    for (const required of profile.requires)
      if (isForMachine(required.architectures, machine)) add(required.profile.value)
  }
  const defaults = [...available.values()].filter(({ isDefault }) => isDefault)
  for (const name of wanted.length > 0 ? wanted : defaults.map(profile => profile.name.value))
    add(name)
  return [...names]
}

function unknownProfile(name: string, profiles: readonly Profile[], machine: string): KauriError {
  const known = profiles.map(profile => profile.name.value)
  const nearest = nearestWord(name, known)
  if (known.includes(name))
    return new KauriError('USAGE', `the profile ${name} is not for the machine ${machine}`)
  return new KauriError(
    'USAGE',
    `the description has no profile ${name}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
    { hint: known.length === 0 ? 'it has no profiles' : `it has ${known.join(', ')}` },
  )
}
