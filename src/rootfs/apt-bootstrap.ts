// Starts a root from nothing. Most packages are unpacked by kauri itself, several at once and while others still come
// down, and dpkg's database is written as dpkg would have; then the image's own dpkg configures them. Where order matters
// before dpkg can run, it is Debian's: base-passwd first, then what is essential, then the rest.

import { existsInRoot, openPlace } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import { type DownloadContext, type DownloadedDeb, downloadDebs } from './apt-download.ts'
import { openDeb, readDebControl } from './deb-archive.ts'
import {
  dependencyNames,
  type OpenedDeb,
  startUnpacking,
  type UnpackedDeb,
  type UnpackSession,
} from './deb-unpack.ts'
import { relationNames } from './dpkg-control.ts'
import { writeDatabase } from './dpkg-database.ts'
import type { PackageWork, ResolvedPackage } from './package-manager.ts'
import type { OpenTree } from './rootfs.ts'

/** What is on the root after unpacking, before anything was run in it. */
export interface BootstrappedRoot {
  /** In dpkg's database as unpacked. */
  readonly unpacked: readonly UnpackedDeb[]
  /** Must go through the image's own dpkg, which decides about paths that two packages bring. */
  readonly colliding: readonly UnpackedDeb[]
  /** Have a preinst that expects a working system; nothing of them is there yet. */
  readonly deferred: readonly OpenedDeb[]
  /** Essential packages and all they depend on: what works before the rest is touched. */
  readonly base: ReadonlySet<OpenedDeb>
  readonly files: ReadonlyMap<OpenedDeb, string>
  readonly newestFileSeconds: number
}

export interface BootstrapOptions {
  readonly packages: readonly ResolvedPackage[]
  readonly tree: OpenTree
  readonly excludeDocs: boolean
  readonly download: DownloadContext
}

/** Each costs one decompressor; more than the processors only wait for one another. */
const unpackLanes = 3

/** Fills an empty tree. @throws what downloading and unpacking throw */
export async function unpackBootstrap(options: BootstrapOptions): Promise<BootstrappedRoot> {
  const { packages, tree, excludeDocs, download } = options
  const session = startUnpacking({
    rootFd: tree.fd,
    excludeDocs,
    mergedUsr: packages.some(({ name }) => name === 'usr-is-merged' || name === 'usrmerge'),
    signal: download.work.signal,
  })
  const { opened, unpacked, waiting } = await unpackAsTheyCome(session, options)
  const base = essentialClosure([...opened.keys()])
  const isEarly = (deb: OpenedDeb): boolean => base.has(deb)
  const early = await unpackAll(session, waiting.filter(isEarly))
  session.settleDirectories()
  const all = [...unpacked, ...early].toSorted((a, b) => a.deb.rank - b.deb.rank)
  const whole = all.filter(({ collides }) => !collides)
  writeDatabase(tree.fd, whole)
  ensureShell(tree.fd)
  return {
    unpacked: whole,
    colliding: all.filter(({ collides }) => collides),
    deferred: waiting.filter(deb => !isEarly(deb)).toSorted((a, b) => a.rank - b.rank),
    base,
    files: opened,
    newestFileSeconds: Math.max(0, ...all.map(({ newestMtimeSeconds }) => newestMtimeSeconds)),
  }
}

interface UnpackedSoFar {
  readonly opened: ReadonlyMap<OpenedDeb, string>
  readonly unpacked: readonly UnpackedDeb[]
  /** Have a preinst: whether it may run early is known when all packages are. */
  readonly waiting: readonly OpenedDeb[]
}

async function unpackAsTheyCome(
  session: UnpackSession,
  { packages, download }: BootstrapOptions,
): Promise<UnpackedSoFar> {
  const opened = new Map<OpenedDeb, string>()
  const unpacked: UnpackedDeb[] = []
  const waiting: OpenedDeb[] = []
  const coming = downloadDebs(packages, download)
  const lane = async (): Promise<void> => {
    // One generator serves all lanes; its calls queue up.
    for (;;) {
      const { done, value } = await coming.next()
      if (done) return
      const deb = await openDownloaded(value, download.work)
      opened.set(deb, value.file)
      if (deb.control.files.has('preinst')) waiting.push(deb)
      else unpacked.push(await session.unpack(deb))
    }
  }
  await allOrFirstFailure(Array.from({ length: unpackLanes }, lane), () => coming.return(undefined))
  return { opened, unpacked, waiting }
}

/** Waits for all lanes to end, whatever happens, so that nobody writes to a tree that is given up. */
async function allOrFirstFailure(
  lanes: readonly Promise<void>[],
  stop: () => Promise<unknown>,
): Promise<void> {
  const results = await Promise.allSettled(
    lanes.map(lane =>
      lane.catch(async error => {
        await stop()
        throw error
      }),
    ),
  )
  const failed = results.find(result => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

async function unpackAll(
  session: UnpackSession,
  debs: readonly OpenedDeb[],
): Promise<UnpackedDeb[]> {
  const unpacked: UnpackedDeb[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    for (let deb = debs[next++]; deb !== undefined; deb = debs[next++])
      unpacked.push(await session.unpack(deb))
  }
  await allOrFirstFailure(Array.from({ length: unpackLanes }, lane), async () => {
    next = debs.length
  })
  return unpacked
}

/** A downloaded package with its control files. */
export async function openDownloaded(
  { wanted, file, rank }: DownloadedDeb,
  work: PackageWork,
): Promise<OpenedDeb> {
  const archive = openDeb(file)
  const control = await readDebControl(archive, work.signal)
  const { name, architecture, version } = wanted
  return { name, architecture, version, archive, control, rank }
}

/** Essential packages and all that they need. */
export function essentialClosure(debs: readonly OpenedDeb[]): Set<OpenedDeb> {
  const essential = debs.filter(({ control }) => control.stanza.get('Essential') === 'yes')
  return dependencyClosure(
    essential.map(({ name }) => name),
    debs,
  )
}

/** What the names stand for and all that it needs; who provides a name counts, and every alternative that is there. */
export function dependencyClosure(
  names: readonly string[],
  debs: readonly OpenedDeb[],
): Set<OpenedDeb> {
  const byName = Map.groupBy(
    debs.flatMap(deb =>
      [deb.name, ...relationNames(deb.control.stanza.get('Provides'))].map(name => ({ name, deb })),
    ),
    ({ name }) => name,
  )
  const closure = new Set<OpenedDeb>()
  const queue = [...names]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    for (const { deb } of byName.get(name) ?? []) {
      if (closure.has(deb)) continue
      closure.add(deb)
      queue.push(...dependencyNames(deb))
    }
  }
  return closure
}

/** Scripts need /bin/sh before the package that owns the link was configured. */
function ensureShell(rootFd: number): void {
  if (existsInRoot(rootFd, '/bin/sh')) return
  const shell = ['dash', 'bash', 'busybox'].find(name => existsInRoot(rootFd, `/bin/${name}`))
  if (shell === undefined) return
  using place = openPlace(rootFd, '/bin/sh')
  native().makeSymlinkAt(shell, place.directoryFd, place.name)
}
