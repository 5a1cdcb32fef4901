// Which packages an image has, read from the text databases of dpkg and apk. rpm's and pacman's are of other forms: of
// pacman the directories' names say it, of rpm nothing is told.

/** Name, with the architecture where several may stand side by side, to version. */
export type PackageList = Map<string, string>

type Parser = (text: string) => PackageList

const databases: Readonly<Record<string, Parser>> = {
  'var/lib/dpkg/status': parseDpkgStatus,
  'lib/apk/db/installed': parseApkInstalled,
  'usr/lib/apk/db/installed': parseApkInstalled,
}

/** How the database at a path is read; undefined for every other file. */
export function packageDatabase(path: string): Parser | undefined {
  // Images in which each package has a status file of its own.
  if (path.startsWith('var/lib/dpkg/status.d/') && !path.endsWith('.md5sums'))
    return parseDpkgStatus
  return databases[path]
}

/** deb-control(5) paragraphs; those that are not installed are left out. */
export function parseDpkgStatus(text: string): PackageList {
  const packages: PackageList = new Map()
  for (const paragraph of text.split(/\n\n+/)) {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(paragraph)?.[1]
    const [name, version, status] = [field('Package'), field('Version'), field('Status')]
    if (name === undefined || version === undefined) continue
    if (status !== undefined && !status.endsWith(' installed')) continue
    const architecture = field('Multi-Arch') === 'same' ? `:${field('Architecture') ?? ''}` : ''
    packages.set(name + architecture, version)
  }
  return packages
}

/** apk's own form: a letter, a colon and a value on each line. */
export function parseApkInstalled(text: string): PackageList {
  const packages: PackageList = new Map()
  for (const paragraph of text.split(/\n\n+/)) {
    const name = /^P:(.*)$/m.exec(paragraph)?.[1]
    const version = /^V:(.*)$/m.exec(paragraph)?.[1]
    if (name !== undefined && version !== undefined) packages.set(name, version)
  }
  return packages
}
