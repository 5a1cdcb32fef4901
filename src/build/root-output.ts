// Writes the root file systems of results out: as one tar, or into a directory. Those of several platforms each go below a
// directory such as `linux_amd64`.

import { closeSync, constants, mkdirSync, openSync } from 'node:fs'
import path from 'node:path'
import { asDiskFull } from '../core/atomic-file.ts'
import { applyTar } from '../layer/apply-tar.ts'
import { packTree } from '../layer/pack-tree.ts'
import { endOfArchive } from '../layer/tar-format.ts'
import { oPath } from '../native/in-root.ts'
import { formatPlatform, type Platform } from '../oci/platform.ts'
import type { OpenTree } from '../rootfs/rootfs.ts'

/** A root and the platform it is for. */
export interface PlatformRoot {
  readonly platform: Platform
  readonly open: () => Promise<OpenTree>
}

export interface RootOutputOptions {
  /** Every file gets this time, in seconds since 1970; undefined: its own. */
  readonly mtimeSeconds?: number | undefined
  /** A root alone, too, has a directory that is named after its platform. */
  readonly alwaysNamed?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** The bytes of one tar with all roots. @throws what packTree throws */
export async function* rootTar(
  roots: readonly PlatformRoot[],
  { mtimeSeconds, alwaysNamed, signal }: RootOutputOptions,
): AsyncGenerator<Uint8Array> {
  const isPlain = roots.length === 1 && alwaysNamed !== true
  for (const { platform, open } of roots) {
    using tree = await open()
    yield* packTree(
      { kind: 'tree', path: tree.path },
      {
        withoutEnd: true,
        ...(isPlain ? {} : { prefix: directoryOf(platform) }),
        ...(mtimeSeconds === undefined ? {} : { setMtime: mtimeSeconds }),
        signal,
      },
    )
  }
  yield endOfArchive
}

/**
 * Writes the roots into a directory, beside what is in it; files of the same names are replaced.
 * @throws ARCHIVE_INVALID where a file stands in a directory's way, DISK_FULL, CANCELLED
 */
export async function writeRoots(
  roots: readonly PlatformRoot[],
  directory: string,
  { mtimeSeconds, alwaysNamed, signal }: RootOutputOptions,
): Promise<void> {
  const isPlain = roots.length === 1 && alwaysNamed !== true
  for (const { platform, open } of roots) {
    const target = isPlain ? directory : path.join(directory, directoryOf(platform))
    mkdirSync(target, { recursive: true })
    const targetFd = openSync(target, oPath | constants.O_DIRECTORY)
    try {
      using tree = await open()
      const tar = packTree(
        { kind: 'tree', path: tree.path },
        // The directory itself is the caller's.
        {
          withoutRoot: true,
          ...(mtimeSeconds === undefined ? {} : { setMtime: mtimeSeconds }),
          signal,
        },
      )
      await applyTar(tar, targetFd, { whiteouts: 'ordinary', ownership: 'archive', signal })
    } catch (error) {
      throw asDiskFull(error, target)
    } finally {
      closeSync(targetFd)
    }
  }
}

/** `linux_arm64_v8`. */
function directoryOf(platform: Platform): string {
  return formatPlatform(platform).replaceAll('/', '_')
}
