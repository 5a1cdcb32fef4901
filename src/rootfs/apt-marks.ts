// Which packages came only because others need them: apt's extended_states, from which `uninstall` and people's
// `apt-get autoremove` know what nobody needs any more.

import { formatStanza, parseStanzas } from './dpkg-control.ts'

export interface PackageIdentity {
  readonly name: string
  readonly architecture: string
}

export interface MarkChanges {
  /** Installed as dependencies. */
  readonly automatic: readonly PackageIdentity[]
  /** Asked for, or gone. */
  readonly unmarked: readonly string[]
  /** apt files packages for all architectures under this one. */
  readonly nativeArchitecture: string
}

/** The file's new text; stanzas are sorted, so that equal builds write equal files. */
export function changeMarks(text: string, changes: MarkChanges): string {
  const marks = new Map<string, PackageIdentity>()
  for (const stanza of parseStanzas(text)) {
    const name = stanza.get('Package') ?? ''
    const architecture = stanza.get('Architecture') ?? changes.nativeArchitecture
    if (stanza.get('Auto-Installed') === '1')
      marks.set(`${name}:${architecture}`, { name, architecture })
  }
  for (const { name, architecture: own } of changes.automatic) {
    const architecture = own === 'all' ? changes.nativeArchitecture : own
    marks.set(`${name}:${architecture}`, { name, architecture })
  }
  const gone = new Set(changes.unmarked)
  return [...marks]
    .filter(([, { name }]) => !gone.has(name))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { name, architecture }]) => `${markStanza(name, architecture)}\n`)
    .join('')
}

function markStanza(name: string, architecture: string): string {
  return formatStanza({
    fields: [
      { name: 'Package', value: name },
      { name: 'Architecture', value: architecture },
      { name: 'Auto-Installed', value: '1' },
    ],
  })
}
