// Lists of repositories in both forms that apt reads (sources.list(5)): one line each, and deb822 stanzas. One
// AptSource stands for one `Types: deb` stanza; source packages and disks are left out, nothing is installed from them.

import { formatStanza, parseStanzas, type Stanza } from './dpkg-control.ts'

/** What may sign a repository: key files, or fingerprints of keys in the trusted ones, or a key written in place. */
export type SignedBy =
  | { readonly kind: 'references'; readonly values: readonly string[] }
  | { readonly kind: 'inline'; readonly armored: string }

/** Options that say how a repository is checked and fetched, by the names that deb822 has for them. */
export type SourceOptions = Readonly<Partial<Record<SourceOption, string>>>

const keptOptions = [
  'By-Hash',
  'Check-Valid-Until',
  'Valid-Until-Min',
  'Valid-Until-Max',
  'Check-Date',
  'Date-Max-Future',
  'InRelease-Path',
  'Trusted',
] as const

type SourceOption = (typeof keptOptions)[number]

/** Repositories that share their mirrors, suites and options. */
export interface AptSource {
  /** May hold credentials, where they are the host's own. */
  readonly uris: readonly string[]
  /** A suite that ends with `/` is the path of a flat repository, which has no components. */
  readonly suites: readonly string[]
  readonly components: readonly string[]
  /** Empty: every one that is asked for. */
  readonly architectures: readonly string[]
  readonly signedBy?: SignedBy | undefined
  readonly options: SourceOptions
}

/** Reads a `.sources` file. */
export function parseDeb822Sources(text: string): AptSource[] {
  return parseStanzas(text).flatMap(stanza => {
    const isEnabled = !/^(?:no|false|without|off|disable|0)$/i.test(stanza.get('Enabled') ?? 'yes')
    const isBinary = words(stanza.get('Types')).includes('deb')
    if (!isEnabled || !isBinary) return []
    return withoutDisks({
      uris: words(stanza.get('URIs')),
      suites: words(stanza.get('Suites')),
      components: words(stanza.get('Components')),
      architectures: listed(stanza.get('Architectures')),
      signedBy: parseSignedBy(stanza.get('Signed-By')),
      options: optionsOf(stanza),
    })
  })
}

/** Reads a `sources.list` or `.list` file. */
export function parseOneLineSources(text: string): AptSource[] {
  return text.split('\n').flatMap(line => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line)
    if (match === null) return []
    const [, options = '', uri = '', suite = '', components = ''] = match
    const named = lineOptions(options)
    return withoutDisks({
      uris: [uri],
      suites: [suite],
      components: words(components),
      architectures: listed(named.get('Architectures')),
      signedBy: parseSignedBy(named.get('Signed-By')),
      options: optionsOf(named),
    })
  })
}

/** Writes a source as a deb822 stanza; an inline key must have become a file before. */
export function formatSource(source: AptSource): string {
  const { signedBy } = source
  const fields: (readonly [string, string])[] = [
    ['Types', 'deb'],
    ['URIs', source.uris.join(' ')],
    ['Suites', source.suites.join(' ')],
    ['Components', source.components.join(' ')],
    ['Architectures', source.architectures.join(' ')],
    ['Signed-By', signedBy?.kind === 'references' ? signedBy.values.join(' ') : ''],
    ...Object.entries(source.options),
  ]
  return formatStanza({
    fields: fields.filter(([, value]) => value !== '').map(([name, value]) => ({ name, value })),
  })
}

const deb822Names: Readonly<Record<string, string>> = {
  arch: 'Architectures',
  'signed-by': 'Signed-By',
  ...Object.fromEntries(keptOptions.map(name => [name.toLowerCase(), name])),
}

function lineOptions(text: string): Map<string, string> {
  const options = words(text).flatMap(option => {
    const [, key = '', value = ''] = /^([^=+-]+(?:-[^=+-]+)*)[+-]?=(.*)$/.exec(option) ?? []
    const name = deb822Names[key.toLowerCase()]
    return name === undefined ? [] : [[name, value] as const]
  })
  return new Map(options)
}

function optionsOf(named: Pick<Stanza, 'get'> | Map<string, string>): SourceOptions {
  return Object.fromEntries(
    keptOptions.flatMap(name => {
      const value = named.get(name)
      return value === undefined || value === '' ? [] : [[name, value] as const]
    }),
  )
}

function parseSignedBy(value: string | undefined): SignedBy | undefined {
  if (value === undefined || value.trim() === '') return undefined
  if (!value.includes('-----BEGIN PGP')) return { kind: 'references', values: listed(value) }
  // An empty line of the key is written as ` .` in a field.
  const lines = value.trim().split('\n')
  return {
    kind: 'inline',
    armored: `${lines.map(line => (line === '.' ? '' : line)).join('\n')}\n`,
  }
}

function withoutDisks(source: AptSource): AptSource[] {
  const uris = source.uris.filter(uri => !/^cdrom:/i.test(uri))
  return uris.length === 0 || source.suites.length === 0 ? [] : [{ ...source, uris }]
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter(word => word !== '')
}

function listed(text: string | undefined): string[] {
  return (text ?? '').split(/[\s,]+/).filter(word => word !== '')
}
