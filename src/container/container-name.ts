// Ids and names of containers.

import { KauriError } from '../core/errors.ts'
import { randomHex } from '../core/random-hex.ts'
import type { ContainerId } from './container.ts'

const nameForm = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/

/** A fresh id: 64 hexadecimal digits. */
export function newContainerId(): ContainerId {
  return randomHex(32) as ContainerId
}

/** The brand's constructor for ids that were read; undefined for anything else. */
export function asContainerId(text: string): ContainerId | undefined {
  return /^[0-9a-f]{64}$/.test(text) ? (text as ContainerId) : undefined
}

/** A name as a person writes it. @throws USAGE */
export function checkContainerName(name: string): string {
  if (nameForm.test(name)) return name
  throw new KauriError('USAGE', `"${name.slice(0, 300)}" is not a container name`, {
    hint: 'use 1 to 255 letters, digits, "_", "." and "-", the first one a letter or a digit',
  })
}

/** A name for who gave none: something that a forest could have, and its tree. */
export function inventContainerName(): string {
  return `${pick(qualities)}_${pick(trees)}`
}

function pick(words: string): string {
  const list = words.split(' ')
  return list[Number.parseInt(randomHex(4), 16) % list.length] ?? ''
}

const qualities =
  'ancient autumn bent bold bright broad calm clear cloudy cool crooked deep distant dry early evergreen ' +
  'fallen fern fresh gentle giant golden green grey hardy hidden high hollow humble knotty lichen light lofty lone ' +
  'long lush mossy mild misty morning narrow noble northern old open patient pale proud quiet rainy resin ' +
  'restless ripe rooted rough rugged sandy shady silent silver slender slow southern steady still strong sunny tall ' +
  'tender thorny twisted upright verdant warm weathered western wide wild windy winter wooden young'

const trees =
  'akeake alder ash aspen beech birch cedar cherry chestnut cypress elder elm fir hawthorn hazel hinau holly ' +
  'hornbeam juniper kahikatea kamahi kanuka karaka kauri kowhai larch laurel linden mahoe maire mamaku manuka maple ' +
  'matai miro nikau oak olive pear pine plum pohutukawa poplar puriri rata rewarewa rimu rowan spruce sycamore tanekaha ' +
  'tawa titoki totara walnut willow yew'
