// Adds packages to a root that has a working dpkg, in the order that apt found, which knows what must be unpacked,
// configured or removed before what.

import { readTextIfThere, writeCacheRecord } from '../core/atomic-file.ts'
import { KauriError } from '../core/errors.ts'
import { defaultArchiveLimits } from '../layer/layer.ts'
import { TarReader } from '../layer/tar-reader.ts'
import { type DownloadContext, downloadDebs } from './apt-download.ts'
import type { AptPlan } from './apt-resolve.ts'
import type { DpkgAction } from './apt-solution.ts'
import { type DebArchive, openDeb } from './deb-archive.ts'
import { splitLanes, unpackMembers } from './deb-members.ts'
import type { DpkgContainer } from './dpkg-container.ts'
import type { ResolvedPackage } from './package-manager.ts'

export interface InstallOntoOptions {
  readonly plan: AptPlan
  /** Debian names of architectures that dpkg must accept beside its own. */
  readonly foreignArchitectures: readonly string[]
  readonly download: DownloadContext
  /** What dpkg is always given beside its action. */
  readonly options: readonly string[]
  readonly onConfigure: (name: string) => void
  readonly openContainer: (epochSeconds: number) => Promise<DpkgContainer>
}

/** @throws what downloading throws, PACKAGE_INSTALL_FAILED */
export async function installOnto(
  options: InstallOntoOptions,
): Promise<{ readonly newestFileSeconds: number }> {
  const { plan, download } = options
  const files = new Map<ResolvedPackage, string>()
  let newestFileSeconds = 0
  for await (const batch of downloadDebs(plan.packages, download)) {
    for (const { wanted, file } of batch) files.set(wanted, file)
    const times = await newestFileTimes(
      batch.map(({ file }) => file),
      download.work.signal,
    )
    newestFileSeconds = Math.max(newestFileSeconds, ...times)
  }
  if (plan.actions.length === 0) return { newestFileSeconds }
  const container = await options.openContainer(newestFileSeconds)
  const dpkg = (...args: string[]): Promise<void> =>
    container.dpkg([...options.options, ...args], options.onConfigure)
  for (const name of options.foreignArchitectures) await dpkg('--add-architecture', name)
  for (const { kind, names } of groupActions(plan.actions)) {
    if (kind === 'unpack') {
      const found = names.map(name => fileOf(name, plan, files))
      await dpkg('--auto-deconfigure', '--unpack', ...(await container.offer(found)))
    } else if (kind === 'configure') await dpkg('--configure', ...names)
    // What stays is put right by what comes after it in the order.
    else await dpkg('--force-depends', `--${kind}`, ...names)
  }
  await dpkg('--configure', '--pending')
  return { newestFileSeconds }
}

interface ActionGroup {
  readonly kind: DpkgAction['kind']
  readonly names: string[]
}

/** Neighbours of one kind are one call; the configuring at the end is left to `--configure --pending`. */
export function groupActions(actions: readonly DpkgAction[]): ActionGroup[] {
  const groups: ActionGroup[] = []
  for (const { kind, name } of actions) {
    const last = groups.at(-1)
    if (last?.kind === kind) last.names.push(name)
    else groups.push({ kind, names: [name] })
  }
  return groups.at(-1)?.kind === 'configure' ? groups.slice(0, -1) : groups
}

function fileOf(
  name: string,
  { packages }: AptPlan,
  files: ReadonlyMap<ResolvedPackage, string>,
): string {
  const [plain, architecture] = name.split(':')
  const found = packages.find(
    entry =>
      entry.name === plain && (architecture === undefined || entry.architecture === architecture),
  )
  const file = found === undefined ? undefined : files.get(found)
  if (file !== undefined) return file
  throw new KauriError('INTERNAL', `apt wants to unpack ${name}, which it did not want to fetch`)
}

/** Newest times in packages' archives, seconds since 1970; remembered beside the packages, whose content never changes. */
async function newestFileTimes(
  files: readonly string[],
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const known = new Map<string, number>()
  for (const file of files) {
    const seconds = Number(await readTextIfThere(recordOf(file)))
    if (Number.isSafeInteger(seconds) && seconds > 0) known.set(file, seconds)
  }
  const unknown = files.filter(file => !known.has(file)).map(openDeb)
  const lanes = splitLanes(unknown, ({ data }) => data.sizeBytes)
  const read = await Promise.all(lanes.map(lane => readNewestTimes(lane, signal)))
  return [...known.values(), ...read.flat()]
}

async function readNewestTimes(
  debs: readonly DebArchive[],
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const times: number[] = []
  const tars = unpackMembers(
    debs.map(({ data }) => data),
    signal,
  )
  try {
    for (const { file } of debs) {
      const { value } = await tars.next()
      if (value === undefined) break
      const seconds = await newestEntryTime(file, value)
      times.push(seconds)
      await writeCacheRecord(recordOf(file), String(seconds))
    }
    return times
  } finally {
    await tars.return(undefined)
  }
}

function recordOf(file: string): string {
  return `${file}.newest`
}

async function newestEntryTime(file: string, tar: AsyncIterable<Uint8Array>): Promise<number> {
  let newest = 0
  const reader = new TarReader(
    {
      onEntry: ({ mtimeSeconds }) => {
        newest = Math.max(newest, mtimeSeconds)
      },
      onData: () => {},
      onEntryEnd: () => {},
    },
    { archive: file, limits: defaultArchiveLimits },
  )
  for await (const chunk of tar) reader.write(chunk)
  reader.end()
  return newest
}
