// What a root's dpkg says is installed, read from its files without running anything.

import { closeSync, openSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { oPath, readTextInRoot } from '../native/in-root.ts'
import type { InstalledState } from './apt-resolve.ts'
import { parseStanzas, type Stanza } from './dpkg-control.ts'
import type { InstalledPackage } from './package-manager.ts'

const statusFile = '/var/lib/dpkg/status'
export const extendedStatesFile = '/var/lib/apt/extended_states'
const maxStatusBytes = 256 * 1024 * 1024

/** The state that apt resolves against. @throws UNSUPPORTED for a root without dpkg */
export function readInstalledState(rootFd: number): InstalledState {
  const status = readTextInRoot(rootFd, statusFile, maxStatusBytes)
  if (status === undefined)
    throw new KauriError(
      'UNSUPPORTED',
      'the root has no dpkg, so no Debian packages can be added to it',
      {
        hint: 'start from a Debian or Ubuntu image, or bootstrap packages',
      },
    )
  return {
    status,
    extendedStates: readTextInRoot(rootFd, extendedStatesFile, maxStatusBytes) ?? '',
    foreignArchitectures: (readTextInRoot(rootFd, '/var/lib/dpkg/arch') ?? '')
      .split('\n')
      .filter(line => line !== '')
      .slice(1),
  }
}

/** Packages of which more is there than left-over configuration, sorted by name; [] for a root without dpkg. */
export function readInventory(treePath: string): InstalledPackage[] {
  const fd = openSync(treePath, oPath)
  try {
    const status = readTextInRoot(fd, statusFile, maxStatusBytes) ?? ''
    return parseStanzas(status)
      .filter(isPresent)
      .map(stanza => ({
        name: stanza.get('Package') ?? '',
        version: stanza.get('Version') ?? '',
        architecture: stanza.get('Architecture') ?? '',
        status: stanza.get('Status') ?? '',
      }))
      .toSorted((a, b) => compareText(`${a.name}:${a.architecture}`, `${b.name}:${b.architecture}`))
  } finally {
    closeSync(fd)
  }
}

/** True unless dpkg remembers a package only for its configuration files, or not at all. */
export function isPresent(stanza: Stanza): boolean {
  const state = stanza.get('Status')?.split(' ')[2]
  return state !== undefined && state !== 'not-installed' && state !== 'config-files'
}

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
