// What was renamed and removed between versions of the schema. A description of an older version is read as if it had
// the newer spelling, and a note says so; a description of a newer version that uses the old spelling gets the hint.

import type { Report } from './report.ts'
import { findAttribute, placeOf, type XmlAttribute, type XmlElement } from './xml-tree.ts'

/** The versions that are read, oldest first. */
export const schemaVersions = [
  '6.8',
  '6.9',
  '7.0',
  '7.1',
  '7.2',
  '7.3',
  '7.4',
  '7.5',
  '7.6',
  '8.0',
  '8.1',
  '8.2',
  '8.3',
  '8.4',
  '8.5',
] as const

/** The version whose spelling the tables have. */
export const newestSchemaVersion = '8.5'

/** One change; `since` is the first version with the new form. */
interface Change {
  readonly since: string
  readonly element: string
  /** Undefined: the element itself, or its text. */
  readonly attribute?: string
  /** The new attributes for the old one's value; none: it is gone. */
  readonly attributes?: (value: string) => Readonly<Record<string, string>>
  /** The new value for an old one; undefined: stays. */
  readonly value?: (old: string) => string | undefined
  /** The element is gone. */
  readonly removed?: boolean
  /** What happened, for people. */
  readonly says: string
}

const changes: readonly Change[] = [
  {
    since: '6.9',
    element: 'type',
    attribute: 'hybrid',
    attributes: () => ({}),
    says: 'hybrid was removed; ISO images always are',
  },
  {
    since: '6.9',
    element: 'oem-ataraid-scan',
    removed: true,
    says: 'oem-ataraid-scan was removed',
  },
  { since: '7.0', element: 'pxedeploy', removed: true, says: 'pxedeploy was removed' },
  {
    since: '7.1',
    element: 'repository',
    attribute: 'type',
    value: old => (['yast2', 'red-carpet', 'up2date-mirrors'].includes(old) ? 'rpm-md' : undefined),
    says: 'repositories of this type are read as rpm-md',
  },
  {
    since: '7.3',
    element: 'type',
    attribute: 'image',
    value: old => (old === 'vmx' ? 'oem' : undefined),
    says: 'the image type vmx became oem',
  },
  {
    since: '7.4',
    element: 'packagemanager',
    value: old => ({ 'apt-get': 'apt', yum: 'dnf' })[old],
    says: 'the package managers apt-get and yum became apt and dnf',
  },
  {
    since: '7.5',
    element: 'containerconfig',
    attribute: 'additionaltags',
    attributes: value => ({
      additionalnames: value
        .split(',')
        .map(tag => `:${tag.trim()}`)
        .join(','),
    }),
    says: 'additionaltags="a,b" became additionalnames=":a,:b"',
  },
  {
    since: '7.6',
    element: 'packagemanager',
    value: old => (old === 'dnf' ? 'dnf4' : undefined),
    says: 'the package manager dnf became dnf4',
  },
  {
    since: '8.1',
    element: 'repository',
    attribute: 'type',
    value: old => (old === 'rpm-dir' ? 'rpm-md' : undefined),
    says: 'the repository type rpm-dir was removed',
  },
  {
    since: '8.2',
    element: 'repository',
    attribute: 'use_for_bootstrap',
    attributes: () => ({}),
    says: 'use_for_bootstrap was removed; every repository is used from the start',
  },
  {
    since: '8.3',
    element: 'type',
    attribute: 'btrfs_root_is_snapshot',
    attributes: value => ({ btrfs_root_is_snapper_snapshot: value }),
    says: 'btrfs_root_is_snapshot became btrfs_root_is_snapper_snapshot',
  },
  {
    since: '8.4',
    element: 'bootloader',
    attribute: 'console',
    attributes: value => {
      const [output = '', input] = value.trim().split(/\s+/)
      return { output_console: output, ...(input === undefined ? {} : { input_console: input }) }
    },
    says: 'console became output_console and input_console',
  },
  {
    since: '8.5',
    element: 'type',
    attribute: 'vga',
    attributes: () => ({}),
    says: 'vga was removed; put the mode into kernelcmdline',
  },
]

function indexOfVersion(version: string): number {
  return schemaVersions.findIndex(known => known === version)
}

/** The tree in the newest spelling. `version` is one of schemaVersions. */
export function upgradeSchema(root: XmlElement, version: string, report: Report): XmlElement {
  const due = changes.filter(({ since }) => indexOfVersion(since) > indexOfVersion(version))
  if (due.length === 0) return root
  const upgrade = (element: XmlElement): XmlElement | undefined => {
    let result: XmlElement | undefined = element
    for (const change of due)
      if (result !== undefined && change.element === result.name)
        result = applyChange(result, change, offset =>
          report.add(
            'schema-upgrade',
            placeOf(element, offset),
            `${version} → ${newestSchemaVersion}: ${change.says}`,
          ),
        )
    if (result === undefined || result.children.length === 0) return result
    return {
      ...result,
      children: result.children.map(upgrade).filter(child => child !== undefined),
    }
  }
  return upgrade(root) ?? root
}

function applyChange(
  element: XmlElement,
  change: Change,
  note: (offset: number) => void,
): XmlElement | undefined {
  if (change.removed) {
    note(element.offset)
    return undefined
  }
  if (change.attribute === undefined) {
    const text = change.value?.(element.text)
    if (text === undefined) return element
    note(element.textOffset ?? element.offset)
    return { ...element, text }
  }
  const old = findAttribute(element, change.attribute)
  const replaced = old === undefined ? undefined : replaceAttribute(old, change)
  if (old === undefined || replaced === undefined) return element
  note(old.nameOffset)
  return {
    ...element,
    attributes: element.attributes.flatMap(attribute =>
      attribute === old ? replaced : [attribute],
    ),
  }
}

function replaceAttribute(old: XmlAttribute, change: Change): XmlAttribute[] | undefined {
  if (change.attributes !== undefined)
    return Object.entries(change.attributes(old.value)).map(([name, value]) => ({
      ...old,
      name,
      value,
    }))
  const value = change.value?.(old.value)
  return value === undefined ? undefined : [{ ...old, value }]
}

/** What became of an element or attribute that the newest version does not have. */
export function findChange(
  element: string,
  attribute?: string,
): { since: string; says: string } | undefined {
  return changes.find(
    change =>
      change.element === element &&
      change.attribute === attribute &&
      (change.removed === true || change.attributes !== undefined),
  )
}
