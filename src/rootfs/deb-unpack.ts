// Puts the files of packages onto a root by dpkg's rules, several packages at once: configuration files wait as
// NAME.dpkg-new, a directory belongs to who comes first, a path belongs to one package. dpkg's database is written by
// dpkg-database.ts from what this tells.

import { applyTar } from '../layer/apply-tar.ts'
import type { TarEntry } from '../layer/tar-entry.ts'
import { openPlace } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import type { DebArchive, DebControl } from './deb-archive.ts'
import { relationNames } from './dpkg-control.ts'
import { isDocumentation } from './dpkg-filters.ts'

/** A package file with what its control archive says. */
export interface OpenedDeb {
  readonly name: string
  readonly architecture: string
  readonly version: string
  readonly archive: DebArchive
  readonly control: DebControl
  /** Place in apt's list of the set, for what must not depend on which download ends first. */
  readonly rank: number
}

export interface UnpackedDeb {
  readonly deb: OpenedDeb
  /** Every path of the archive, from `/` on, in its order; the root is `/.`. */
  readonly paths: readonly string[]
  /** Files of the archive that dpkg treats as configuration. */
  readonly conffiles: readonly string[]
  /** Regular files that were written, configuration among them, by their names in the archive. */
  readonly files: readonly string[]
  readonly newestMtimeSeconds: number
  /** It brings a path that another package of the set brought, too: only dpkg knows who wins. */
  readonly collides: boolean
}

export interface UnpackTarget {
  readonly rootFd: number
  readonly excludeDocs: boolean
  /** Top-level bin, sbin and lib* are links into /usr, and are made so where a package brings them. */
  readonly mergedUsr: boolean
  readonly signal?: AbortSignal | undefined
}

/** What several packages that are unpacked at once must know of one another. */
export interface UnpackSession {
  /** Several calls may be under way at once. */
  unpack(deb: OpenedDeb, data: AsyncIterable<Uint8Array>): Promise<UnpackedDeb>
  /**
   * Gives every directory the owner, mode and time that the first package which brings it gives: which of them was
   * unpacked first, and what came into it when, does not show. To be called when all are unpacked.
   */
  settleDirectories(): void
}

interface DirectoryClaim {
  readonly rank: number
  readonly entry: TarEntry
}

/** Starts unpacking onto an empty root. */
export function startUnpacking(target: UnpackTarget): UnpackSession {
  const claims = startClaims(target.mergedUsr)
  const links = startUsrLinks(target)
  return {
    async unpack(deb, data) {
      const placed = startPlacing(deb, { target, claims })
      const { newestMtimeSeconds } = await applyTar(data, target.rootFd, {
        name: `package ${deb.name}`,
        whiteouts: 'ordinary',
        ownership: 'archive',
        directories: 'keep',
        rename(entry) {
          links.before(entry)
          return placed.place(entry)
        },
        signal: target.signal,
      })
      return { ...placed.result(), newestMtimeSeconds }
    },
    settleDirectories() {
      for (const [path, entry] of claims.directories()) setDirectory(target.rootFd, path, entry)
    },
  }
}

interface PlacingContext {
  readonly target: UnpackTarget
  readonly claims: Claims
}

interface Placing {
  /** Where an entry goes; undefined: nowhere. */
  place(entry: TarEntry): string | undefined
  result(): Omit<UnpackedDeb, 'newestMtimeSeconds'>
}

/** Decides entry by entry what becomes of one package. */
function startPlacing(deb: OpenedDeb, { target, claims }: PlacingContext): Placing {
  const isConffile = conffilesOf(deb.control)
  const paths: string[] = []
  const conffiles: string[] = []
  const files: string[] = []
  let collides = false
  return {
    place(entry) {
      const path = entry.path === '.' ? '/.' : `/${entry.path}`
      paths.push(path)
      if (target.excludeDocs && isDocumentation(path, entry.type)) return undefined
      if (entry.type === 'directory') {
        claims.directory(deb, entry)
        return entry.path
      }
      if (!claims.file(deb, entry)) {
        collides = true
        return undefined
      }
      if (entry.type === 'file' || entry.type === 'link') files.push(path)
      if (!isConffile.has(path)) return entry.path
      conffiles.push(path)
      return `${entry.path}.dpkg-new`
    },
    result: () => ({ deb, paths, conffiles, files, collides }),
  }
}

interface Claims {
  /** False where another package has the path already. */
  file(deb: OpenedDeb, entry: TarEntry): boolean
  directory(deb: OpenedDeb, entry: TarEntry): void
  /** All directories, as the first package has them. */
  directories(): [string, TarEntry][]
}

function startClaims(mergedUsr: boolean): Claims {
  const owners = new Map<string, OpenedDeb>()
  const directories = new Map<string, DirectoryClaim>()
  // Both ways to a place in a merged /usr are one path.
  const realPath = (path: string): string =>
    mergedUsr ? path.replace(/^(s?bin|lib[^/]*)(?=\/|$)/, 'usr/$1') : path
  return {
    file(deb, entry) {
      const path = realPath(entry.path)
      const owner = owners.get(path)
      if (owner !== undefined && !mayShare(owner, deb)) return false
      owners.set(path, deb)
      return true
    },
    directory(deb, entry) {
      const path = realPath(entry.path)
      const known = directories.get(path)
      const rank = deb.name === 'base-files' ? -1 : deb.rank
      if (known === undefined || rank < known.rank) directories.set(path, { rank, entry })
    },
    directories: () => [...directories].map(([path, { entry }]) => [path, entry]),
  }
}

/** Paths that the package lists as configuration and wants kept, not removed, on upgrades. */
export function conffilesOf({ files }: DebControl): Set<string> {
  const text = files.get('conffiles')?.content.toString() ?? ''
  return new Set(text.split('\n').flatMap(line => (line.startsWith('/') ? [line.trim()] : [])))
}

/** Two architectures of one package may bring the same file; a package that replaces another needs dpkg's judgement. */
function mayShare(one: OpenedDeb, other: OpenedDeb): boolean {
  return one.name === other.name && one.control.stanza.get('Multi-Arch') === 'same'
}

/** Makes the top-level links of a merged /usr: the ever-present ones at once, others such as lib64 when a package needs them. */
function startUsrLinks({ rootFd, mergedUsr }: UnpackTarget): { before(entry: TarEntry): void } {
  const linked = new Set<string>()
  const link = (name: string): void => {
    linked.add(name)
    linkIntoUsr(rootFd, name)
  }
  if (mergedUsr) for (const name of ['bin', 'sbin', 'lib']) link(name)
  return {
    before({ path, type }) {
      if (!mergedUsr) return
      const [name = ''] = path.split('/', 1)
      const isNeeded = path !== name || type === 'directory'
      if (isNeeded && /^lib[a-z0-9]+$/.test(name) && !linked.has(name)) link(name)
    },
  }
}

function linkIntoUsr(rootFd: number, name: string): void {
  const calls = native()
  using usr = openPlace(rootFd, '/usr')
  if (calls.statAt(usr.directoryFd, 'usr') === undefined) makeDirectory(usr.directoryFd, 'usr')
  using inner = openPlace(rootFd, `/usr/${name}`)
  if (calls.statAt(inner.directoryFd, name) === undefined) makeDirectory(inner.directoryFd, name)
  if (calls.statAt(usr.directoryFd, name) === undefined)
    calls.makeSymlinkAt(`usr/${name}`, usr.directoryFd, name)
}

function makeDirectory(directoryFd: number, name: string): void {
  native().makeDirectoryAt(directoryFd, name, 0o755)
  native().setModeAt(directoryFd, name, 0o755)
}

function setDirectory(rootFd: number, path: string, entry: TarEntry): void {
  if (path === '.') return
  const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds } = entry
  using place = openPlace(rootFd, path)
  // A link to a directory is somebody else's directory.
  const stat = native().statAt(place.directoryFd, place.name)
  if (stat === undefined || (stat.mode & 0o170000) !== 0o040000) return
  native().setOwnerAt(place.directoryFd, place.name, uid, gid)
  native().setModeAt(place.directoryFd, place.name, mode)
  native().setTimesAt(place.directoryFd, place.name, mtimeSeconds, mtimeNanoseconds)
}

/** Names that a package's relations mention, of the fields that must hold before it can be configured. */
export function dependencyNames({ control: { stanza } }: OpenedDeb): string[] {
  return [...relationNames(stanza.get('Pre-Depends')), ...relationNames(stanza.get('Depends'))]
}
