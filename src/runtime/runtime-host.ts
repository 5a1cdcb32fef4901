// Where the runtime keeps things on this machine, and small steps that all its ways of starting share.

import { existsSync, rmSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { KauriError } from '../core/errors.ts'
import type { CgroupLayout } from './cgroup-layout.ts'
import type { MountPointLayer } from './mount-points.ts'
import type { RootMount } from './runtime.ts'

export interface BuiltinRuntimeOptions {
  /** Run-time state, such as /run/kauri; made when needed. */
  readonly runRoot: string
  /** Where compiled seccomp filters are kept; undefined: compiled each time. */
  readonly cacheRoot?: string | undefined
}

export interface RuntimeHost extends BuiltinRuntimeOptions {
  readonly layout: CgroupLayout
}

/** @throws NOT_ROOT */
export function requireRoot(): void {
  if (process.geteuid?.() !== 0)
    throw new KauriError('NOT_ROOT', 'running a container needs root', { hint: 'use sudo' })
}

export function filterDirectory({ cacheRoot }: BuiltinRuntimeOptions): string | undefined {
  return cacheRoot === undefined ? undefined : path.join(cacheRoot, 'seccomp')
}

/** Names the directory of mount points where the root has no work directory beside which it could be. */
export function sparePlace({ runRoot }: BuiltinRuntimeOptions, id: string): string {
  return path.join(runRoot, id)
}

export function removeMountPoints(mountPoints: MountPointLayer | undefined): void {
  if (mountPoints !== undefined) rmSync(mountPoints.directory, { recursive: true, force: true })
}

/** The kernel marks a volatile overlay so that nobody trusts it after a crash; here whoever needs it whole has synced it. */
export function clearVolatileMark(root: RootMount): void {
  if (root.kind !== 'overlay' || root.work === undefined) return
  const mark = path.join(root.work, 'work', 'incompat')
  if (existsSync(mark)) rmSync(mark, { recursive: true, force: true })
}

/** Where the container's changes land; undefined where it can make none. */
export function rootDirectoryOf(root: RootMount): string | undefined {
  return root.kind === 'directory' ? root.path : root.upper
}
