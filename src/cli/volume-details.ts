// Volumes as docker shows them.

import { lstatSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { usersOf, type VolumeUser } from '../container/volume-use.ts'
import type { Volume } from '../container/volumes.ts'
import { hasErrno } from '../core/errors.ts'
import { hasLabels, parseFilters } from './container-filters.ts'

/** Values of a key are alternatives, keys and labels add up. @throws USAGE */
export function filteredVolumes(
  volumes: readonly Volume[],
  texts: readonly string[],
  users: readonly VolumeUser[],
): readonly Volume[] {
  const filters = parseFilters(texts, ['name', 'driver', 'label', 'dangling'])
  const isDangling = ({ name }: Volume): boolean => usersOf(name, users).length === 0
  return volumes.filter(volume =>
    [...filters].every(([key, values]) => {
      if (key === 'label') return hasLabels(volume.labels, values)
      if (key === 'driver') return values.includes('local')
      if (key === 'name') return values.some(value => volume.name.includes(value))
      return values.some(value => isDangling(volume) === /^(?:1|t|true)$/i.test(value))
    }),
  )
}

/** What `prune` may take: those without a name of a person's, or all, and by labels. @throws USAGE */
export function prunableVolumes(
  volumes: readonly Volume[],
  texts: readonly string[],
  takesNamed: boolean,
): readonly Volume[] {
  const filters = parseFilters(texts, ['label', 'label!', 'all'])
  const takesAll = takesNamed || /^(?:1|t|true)$/i.test(filters.get('all')?.at(-1) ?? '')
  return volumes.filter(
    ({ anonymous, labels }) =>
      (anonymous || takesAll) &&
      hasLabels(labels, filters.get('label') ?? []) &&
      !(filters.get('label!') ?? []).some(label => hasLabels(labels, [label])),
  )
}

/** A row of the list. */
export type VolumeRow = Readonly<
  Record<'Driver' | 'Name' | 'Scope' | 'Mountpoint' | 'Labels', string>
> &
  Readonly<Record<string, unknown>>

export function volumeRows(volumes: readonly Volume[]): VolumeRow[] {
  return volumes.map(volume => ({
    Driver: 'local',
    Name: volume.name,
    Scope: 'local',
    Mountpoint: volume.directory,
    Labels: Object.entries(labelsOf(volume))
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    Label: (key: string) => volume.labels[key] ?? '',
  }))
}

/** docker's label for volumes without a name of a person's. */
function labelsOf({ labels, anonymous }: Volume): Readonly<Record<string, string>> {
  return anonymous ? { ...labels, 'com.docker.volume.anonymous': '' } : labels
}

/** All of a volume, in docker's form. */
export function volumeDetails(volume: Volume): object {
  const labels = labelsOf(volume)
  return {
    CreatedAt: new Date(volume.createdMs).toISOString(),
    Driver: 'local',
    Labels: Object.keys(labels).length === 0 ? null : labels,
    Mountpoint: volume.directory,
    Name: volume.name,
    Options: Object.keys(volume.options).length === 0 ? null : volume.options,
    Scope: 'local',
  }
}

/** Bytes of the files below a directory; what goes away meanwhile counts nothing. */
export function directoryBytes(directory: string): number {
  let bytes = 0
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const file = path.join(directory, entry.name)
      bytes += entry.isDirectory() ? directoryBytes(file) : lstatSync(file).size
    }
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR')) throw error
  }
  return bytes
}
