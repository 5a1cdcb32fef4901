// Starts a root from nothing. Most packages are unpacked by kauri itself, several at once and while others still come
// down, and dpkg's database is written as dpkg would have; then the image's own dpkg configures them. Where order matters
// before dpkg can run, it is Debian's: base-passwd first, then what is essential, then the rest.

import { existsInRoot, openPlace } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import { type DownloadContext, type DownloadedDeb, downloadDebs } from './apt-download.ts'
import { openDeb, readDebControls } from './deb-archive.ts'
import { splitLanes, unpackMembers } from './deb-members.ts'
import {
  dependencyNames,
  type OpenedDeb,
  startUnpacking,
  type UnpackedDeb,
  type UnpackSession,
} from './deb-unpack.ts'
import { relationNames } from './dpkg-control.ts'
import { writeDatabase } from './dpkg-database.ts'
import type { ResolvedPackage } from './package-manager.ts'
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
  /** Debian names, the native one first. */
  readonly architectures: readonly string[]
  readonly tree: OpenTree
  readonly excludeDocs: boolean
  readonly download: DownloadContext
}

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
  const early = await unpackAll(session, waiting.filter(isEarly), download.work.signal)
  session.settleDirectories()
  const all = [...unpacked, ...early].toSorted((a, b) => a.deb.rank - b.deb.rank)
  const whole = all.filter(({ collides }) => !collides)
  writeDatabase(tree.fd, whole, options.architectures)
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
  for await (const batch of downloadDebs(packages, download)) {
    const debs = await openDownloaded(batch, download.work.signal)
    for (const [index, deb] of debs.entries()) opened.set(deb, batch[index]?.file ?? '')
    const [later, now] = partition(debs, deb => deb.control.files.has('preinst'))
    waiting.push(...later)
    unpacked.push(...(await unpackAll(session, now, download.work.signal)))
  }
  return { opened, unpacked, waiting }
}

/** Unpacks packages in several lanes; when it throws, no lane is under way any more. */
async function unpackAll(
  session: UnpackSession,
  debs: readonly OpenedDeb[],
  signal: AbortSignal | undefined,
): Promise<UnpackedDeb[]> {
  const failure = new AbortController()
  const unpackLane = async (lane: readonly OpenedDeb[]): Promise<UnpackedDeb[]> => {
    const unpacked: UnpackedDeb[] = []
    const tars = unpackMembers(
      lane.map(({ archive }) => archive.data),
      signal,
    )
    try {
      for (const deb of lane) {
        failure.signal.throwIfAborted()
        const { value } = await tars.next()
        if (value !== undefined) unpacked.push(await session.unpack(deb, value))
      }
      return unpacked
    } catch (error) {
      failure.abort(error)
      throw error
    } finally {
      await tars.return(undefined)
    }
  }
  const results = await Promise.allSettled(
    splitLanes(debs, deb => deb.archive.data.sizeBytes).map(unpackLane),
  )
  failure.signal.throwIfAborted()
  return results.flatMap(result => (result.status === 'fulfilled' ? result.value : []))
}

function partition<T>(items: readonly T[], isFirst: (item: T) => boolean): [T[], T[]] {
  return [items.filter(isFirst), items.filter(item => !isFirst(item))]
}

/** Downloaded packages with their control files. */
export async function openDownloaded(
  batch: readonly DownloadedDeb[],
  signal: AbortSignal | undefined,
): Promise<OpenedDeb[]> {
  const archives = batch.map(({ file }) => openDeb(file))
  const controls = await readDebControls(archives, signal)
  return controls.flatMap((control, index) => {
    const [archive, downloaded] = [archives[index], batch[index]]
    if (archive === undefined || downloaded === undefined) return []
    const { wanted, rank } = downloaded
    const { name, architecture, version } = wanted
    return [{ name, architecture, version, archive, control, rank }]
  })
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
