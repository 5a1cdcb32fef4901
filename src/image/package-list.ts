// Which packages an image has, read from the databases of dpkg, apk, pacman and rpm.

import { parseRpmDatabase } from './rpm-database.ts'

/** Name, with the architecture where several may stand side by side, to version. */
export type PackageList = Map<string, string>

/** Reads a database's whole content. @throws ARCHIVE_INVALID */
export type PackageParser = (content: Buffer) => PackageList

const ofText =
  (parse: (text: string) => PackageList): PackageParser =>
  content =>
    parse(content.toString('utf8'))

const dpkgStatus = ofText(parseDpkgStatus)
const apkInstalled = ofText(parseApkInstalled)

const rpmDirectories = ['var/lib/rpm', 'usr/lib/sysimage/rpm', 'usr/share/rpm']
const rpmFiles = ['rpmdb.sqlite', 'Packages.db', 'Packages']

const databases: ReadonlyMap<string, PackageParser> = new Map([
  ['var/lib/dpkg/status', dpkgStatus],
  ['lib/apk/db/installed', apkInstalled],
  ['usr/lib/apk/db/installed', apkInstalled],
  ...rpmDirectories.flatMap(directory =>
    rpmFiles.map((name): [string, PackageParser] => [`${directory}/${name}`, parseRpm]),
  ),
])

/** How the database at a path is read; undefined for every other file. */
export function packageDatabase(path: string): PackageParser | undefined {
  // Images in which each package has a status file of its own.
  if (path.startsWith('var/lib/dpkg/status.d/') && !path.endsWith('.md5sums')) return dpkgStatus
  if (/^var\/lib\/pacman\/local\/[^/]+\/desc$/.test(path)) return ofText(parsePacmanDesc)
  return databases.get(path)
}

/** Of several versions side by side, such as those of kernels, all are told. */
function parseRpm(content: Buffer): PackageList {
  const versions = new Map<string, Set<string>>()
  for (const { name, version } of parseRpmDatabase(content))
    versions.set(name, (versions.get(name) ?? new Set()).add(version))
  return new Map([...versions].map(([name, all]) => [name, [...all].toSorted().join(', ')]))
}

/** pacman's own form: a name between percent signs, and its value on the next line. */
export function parsePacmanDesc(text: string): PackageList {
  const name = /^%NAME%\n(.*)$/m.exec(text)?.[1]
  const version = /^%VERSION%\n(.*)$/m.exec(text)?.[1]
  return name === undefined || version === undefined ? new Map() : new Map([[name, version]])
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
