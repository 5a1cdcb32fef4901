// What KIWI tells beside an image: its packages, their changelogs, and which of their files are not as the packages had
// them.

import { randomUUID } from 'node:crypto'
import { closeSync, constants, fstatSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { hasErrno, KauriError } from '../core/errors.ts'
import { oPath } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import type { InstalledPackage, PackageManager } from '../rootfs/package-manager.ts'
import type { OpenTree, SnapshotId, Snapshotter } from '../rootfs/rootfs.ts'
import { buildStepConfig } from '../runtime/build-step-config.ts'
import type { Runtime } from '../runtime/runtime.ts'

/** The contents of the three files. */
export interface PackageReports {
  /** `name|epoch|version|release|arch|disturl|license`, a line for each package. */
  readonly packages: string
  /** `name|`, then the package's changelog. */
  readonly changes: string
  /** A line for each file that differs, as `dpkg --verify` has it. */
  readonly verified: string
}

export interface ReportParts {
  readonly snapshotter: Snapshotter
  readonly runtime: Runtime
  readonly manager: PackageManager
  readonly signal?: AbortSignal | undefined
}

/** Reads them from a snapshot; Debian's package manager is the one there is. */
export async function reportPackages(
  snapshot: SnapshotId,
  parts: ReportParts,
): Promise<PackageReports> {
  const verified = verifyPackages(snapshot, parts)
  try {
    using tree = parts.snapshotter.open(snapshot)
    const packages = await parts.manager.inventory(tree.path)
    return {
      packages: packages.map(packageLine).toSorted().join(''),
      changes: changelogs(tree),
      verified: await verified,
    }
  } finally {
    await verified.catch(() => {})
  }
}

/** KIWI's form, with its filler for what Debian's packages do not have. */
function packageLine({ name, version, architecture }: InstalledPackage): string {
  return `${name}|None|${version}|None|${architecture}|None|None\n`
}

/** A changelog that unpacks to more is left out. */
const maxChangelogBytes = 64 * 1024 * 1024

/** Debian's changelog of each package, where documentation was not left out; native packages have it under the plain name. */
function changelogs(tree: OpenTree): string {
  const texts: string[] = []
  for (const name of listDirectory(tree, '/usr/share/doc')) {
    const packed =
      readFileInTree(tree, `/usr/share/doc/${name}/changelog.Debian.gz`) ??
      readFileInTree(tree, `/usr/share/doc/${name}/changelog.gz`)
    const text = packed === undefined ? undefined : unpackText(packed)
    if (text !== undefined) texts.push(`${name}|\n${text}\n`)
  }
  return texts.join('')
}

function listDirectory(tree: OpenTree, directory: string): readonly string[] {
  const fd = openIfThere(tree, directory, oPath | constants.O_DIRECTORY)
  if (fd === undefined) return []
  try {
    return native().scanDirectory(fd).names
  } finally {
    closeSync(fd)
  }
}

function readFileInTree(tree: OpenTree, file: string): Buffer | undefined {
  const fd = openIfThere(tree, file, constants.O_RDONLY | constants.O_NONBLOCK)
  if (fd === undefined) return undefined
  try {
    const stats = fstatSync(fd)
    return stats.isFile() && stats.size <= maxChangelogBytes ? readFileSync(fd) : undefined
  } finally {
    closeSync(fd)
  }
}

function openIfThere(tree: OpenTree, file: string, flags: number): number | undefined {
  try {
    return native().openInRoot(tree.fd, file, flags)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
    throw error
  }
}

function unpackText(packed: Buffer): string | undefined {
  try {
    return gunzipSync(packed, { maxOutputLength: maxChangelogBytes }).toString('utf8')
  } catch {
    return undefined
  }
}

/** A line of what differs, in dpkg's rpm format; anything else is a complaint of the program's. */
const finding = /^(?:missing {2}|[.?][.?][.?5][.?]{6} )/

/** The image's own dpkg compares in its own root; without one there is nothing to say. */
async function verifyPackages(
  snapshot: SnapshotId,
  { snapshotter, runtime, signal }: ReportParts,
): Promise<string> {
  await using root = await snapshotter.prepare(snapshot)
  const lines: string[] = []
  try {
    await runtime.run(
      {
        id: `kauri-verify-${randomUUID()}`,
        config: buildStepConfig({
          command: ['dpkg', '--verify', '--verify-format', 'rpm'],
          environment: ['LC_ALL=C', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
          directory: '/',
          network: 'none',
        }),
        root: root.mount,
      },
      { io: { kind: 'lines', onLine: line => lines.push(line) }, signal },
    )
  } catch (error) {
    if (!(error instanceof KauriError) || !error.code.startsWith('COMMAND_NOT_')) throw error
  }
  return lines
    .filter(line => finding.test(line))
    .map(line => `${line}\n`)
    .join('')
}
