// The packages, archives and files of one phase, put together from all selected sections.

import type {
  ArchiveEntry,
  FileEntry,
  Located,
  PackageItem,
  PackageSection,
} from './description.ts'
import { isForMachine } from './selector.ts'

export interface PackageSelection {
  /** Sorted by name, each once, without those to ignore. */
  readonly packages: readonly Located<string>[]
  /** Sorted. */
  readonly ignored: readonly string[]
  readonly recommended: boolean
  /** In the order written. */
  readonly archives: readonly ArchiveEntry[]
  readonly files: readonly FileEntry[]
}

/** Everything that sections of these types ask for. */
export function selectPackages(
  sections: readonly PackageSection[],
  types: readonly string[],
  machine: string,
): PackageSelection {
  const matching = sections.filter(({ type }) => types.includes(type.value))
  const ignored = new Set(
    itemsFor(
      machine,
      matching.flatMap(section => section.ignored),
    ).keys(),
  )
  const packages = itemsFor(
    machine,
    matching.flatMap(section => section.packages),
  )
  return {
    packages: [...packages.values()]
      .filter(({ value }) => !ignored.has(value))
      .toSorted((a, b) => (a.value < b.value ? -1 : 1)),
    ignored: [...ignored].toSorted(),
    // The first section that says something decides, as in KIWI.
    recommended: matching.find(({ patternType }) => patternType)?.patternType === 'plusRecommended',
    archives: matching.flatMap(section => section.archives),
    files: matching
      .flatMap(section => section.files)
      .filter(({ architectures }) => isForMachine(architectures, machine)),
  }
}

function itemsFor(machine: string, items: readonly PackageItem[]): Map<string, Located<string>> {
  const byName = new Map<string, Located<string>>()
  for (const { name, architectures } of items)
    if (isForMachine(architectures, machine) && !byName.has(name.value))
      byName.set(name.value, name)
  return byName
}
