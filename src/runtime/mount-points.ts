// Mount points that a root lacks. An overlay gets them from one more layer at the very bottom, so that its upper
// directory, which becomes a layer of an image, holds nothing but what the container wrote. A plain directory gets them
// in place, and loses them again.

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { hasErrno } from '../core/errors.ts'
import { native } from '../native/native.ts'
import type { RuntimeConfig, RuntimeMount } from '../oci/runtime-config.ts'
import { parseMountOptions } from './mount-options.ts'
import type { RootMount } from './runtime.ts'

const suffix = '.mounts'

const nsPerSecond = 1_000_000_000n

/** A mount point and what it has to be. */
interface MountPoint {
  /** Relative to the root. */
  readonly path: string
  readonly kind: 'directory' | 'file'
}

export interface MountPointLayer {
  readonly directory: string
  readonly missing: readonly MountPoint[]
}

/** True for directories that planMountPoints names: the only ones that a sweep may remove. */
export function isMountPointDirectory(directory: string): boolean {
  return path.isAbsolute(directory) && directory.endsWith(suffix)
}

/** The layer that an overlay needs, if any; nothing is made yet. It lies beside the work directory, or as `spare` names it. */
export function planMountPoints(
  config: RuntimeConfig,
  root: RootMount,
  spare: string,
): MountPointLayer | undefined {
  if (root.kind !== 'overlay') return undefined
  const layers = root.upper === undefined ? root.lower : [root.upper, ...root.lower]
  const missing = mountPointsOf(config).filter(point => !layers.some(layer => has(layer, point)))
  return missing.length === 0 ? undefined : { directory: `${root.work ?? spare}${suffix}`, missing }
}

/** Makes the layer; the caller removes it when the container has ended. */
export function makeMountPoints({ directory, missing }: MountPointLayer): void {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  for (const point of missing) {
    const place = path.join(directory, point.path)
    mkdirSync(point.kind === 'directory' ? place : path.dirname(place), {
      recursive: true,
      mode: 0o755,
    })
    if (point.kind === 'file') writeFileSync(place, '', { mode: 0o644 })
  }
}

/** Mount points on the root itself; what lies below another mount is made there by the launcher. */
function mountPointsOf({ mounts }: RuntimeConfig): readonly MountPoint[] {
  const points: MountPoint[] = []
  for (const mount of mounts) {
    const { destination } = mount
    if (points.some(({ path: outer }) => destination.startsWith(`/${outer}/`))) continue
    const isFile = needsFile(mount)
    points.push({ path: destination.slice(1), kind: isFile ? 'file' : 'directory' })
  }
  return points
}

function needsFile({ file, tree, options, source }: RuntimeMount): boolean {
  if (file !== undefined || tree !== undefined) return tree?.kind !== 'directory'
  return parseMountOptions(options).isBind && !isDirectory(source)
}

function isDirectory(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? true
}

/**
 * A guess that may err in both directions: links and whiteouts are not followed. Where it says yes wrongly the launcher
 * makes the mount point in the root, where it says no wrongly the layer below hides behind what is there.
 */
function has(layer: string, point: MountPoint): boolean {
  const parents = path.dirname(point.path).split('/')
  let place = layer
  // One name at a time: a link that the container left would lead to the host's files.
  for (const name of parents) {
    place = path.join(place, name)
    if (lstatSync(place, { throwIfNoEntry: false })?.isDirectory() !== true) return false
  }
  const found = lstatSync(path.join(layer, point.path), { throwIfNoEntry: false })
  return found !== undefined && !(found.isCharacterDevice() && found.rdev === 0)
}

/** One entry that the launcher reports to have made. */
export interface MadeEntry {
  readonly kind: 'directory' | 'file'
  /** Absolute inside the root. */
  readonly path: string
}

/**
 * Takes entries that the launcher made out of a root again, last first; what the container has filled stays. The
 * directories they were in keep their times. Paths are resolved inside the root, whatever the container left there.
 */
export function removeMadeEntries(rootDirectory: string, made: readonly MadeEntry[]): void {
  if (made.length === 0) return
  const rootFd = openSync(rootDirectory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    for (const entry of made.toReversed()) removeMadeEntry(rootFd, entry)
  } finally {
    closeSync(rootFd)
  }
}

function removeMadeEntry(rootFd: number, entry: MadeEntry): void {
  const { O_RDONLY, O_DIRECTORY } = constants
  let parentFd: number
  try {
    parentFd = native().openInRoot(rootFd, path.posix.dirname(entry.path), O_RDONLY | O_DIRECTORY)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return
    throw error
  }
  try {
    const { mtimeNs } = fstatSync(parentFd, { bigint: true })
    const parent = `/proc/self/fd/${parentFd}`
    if (!removeIfUntouched(`${parent}/${path.posix.basename(entry.path)}`, entry.kind)) return
    native().setTimes(`${parent}/.`, Number(mtimeNs / nsPerSecond), Number(mtimeNs % nsPerSecond))
  } finally {
    closeSync(parentFd)
  }
}

function removeIfUntouched(place: string, kind: MadeEntry['kind']): boolean {
  const found = lstatSync(place, { throwIfNoEntry: false })
  if (found === undefined) return false
  try {
    if (kind === 'directory') rmdirSync(place)
    else if (found.isFile() && found.size === 0) unlinkSync(place)
    return true
  } catch (error) {
    if (hasErrno(error, 'ENOTEMPTY', 'ENOTDIR')) return false
    throw error
  }
}
