// What apt-get prints when it is asked what it would do, as data. Pure.

/** A package file that apt would fetch. */
export interface FetchedFile {
  readonly name: string
  readonly version: string
  readonly architecture: string
  readonly url: string
  readonly sizeBytes: number
  /** sha256 in hex, or undefined where the index has none. */
  readonly sha256: string | undefined
}

/** One thing that dpkg must do, in the order that apt found. */
export interface DpkgAction {
  readonly kind: 'unpack' | 'configure' | 'remove' | 'purge'
  /** As apt writes it: with `:arch` where it is not the native one. */
  readonly name: string
}

/** Lines of `apt-get install --print-uris`: `'URL' FILE SIZE HASH`. */
export function parsePrintedUris(stdout: string): FetchedFile[] {
  const files: FetchedFile[] = []
  for (const line of stdout.split('\n')) {
    const match =
      /^'(.*)' (\S+)_([^_\s]*)_([^_\s]*)\.deb (\d+)(?: SHA256:([0-9a-f]{64}))?\s*$/.exec(line)
    if (match === null) continue
    const [, url = '', name = '', version = '', architecture = '', size = '', sha256] = match
    files.push({
      name: unquote(name),
      version: unquote(version),
      architecture: unquote(architecture),
      url,
      sizeBytes: Number(size),
      sha256,
    })
  }
  return files
}

/** Names under the heading that announces removals. */
export function parseRemovedNames(stdout: string): string[] {
  const block = /^The following packages will be REMOVED:\n((?: .*\n)*)/m.exec(stdout)?.[1] ?? ''
  // A star marks what is purged.
  return block.split(/\s+/).flatMap(name => (name === '' ? [] : [name.replace(/\*$/, '')]))
}

/** Virtual names that only one package provides, and that package: apt takes it without a question. */
export function parseSelectedProviders(stdout: string): Map<string, string> {
  const notes = stdout.matchAll(/^Note, selecting '(\S+)' instead of '(\S+)'$/gm)
  return new Map([...notes].map(([, provider = '', virtual = '']) => [virtual, provider]))
}

/** Lines of a simulation (`apt-get -s`). */
export function parseSimulation(stdout: string): DpkgAction[] {
  const lines = stdout.matchAll(/^(Inst|Conf|Remv|Purg) (\S+) /gm)
  return [...lines].flatMap(([, word = '', name = '']) => {
    const kind = actionKinds.get(word)
    return kind === undefined ? [] : [{ kind, name }]
  })
}

const actionKinds: ReadonlyMap<string, DpkgAction['kind']> = new Map([
  ['Inst', 'unpack'],
  ['Conf', 'configure'],
  ['Remv', 'remove'],
  ['Purg', 'purge'],
])

/** apt writes characters of versions that are odd in file names as %xx. */
function unquote(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
}
