// Can overlayfs write here, and does its upper directory then say what changed? Tried on a tree of two entries, as root
// file systems of containers and network mounts refuse it in ways that no list of file systems knows.

import {
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { release } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { whileLocked } from '../native/file-lock.ts'
import { native } from '../native/native.ts'
import { openRootMount } from './open-tree.ts'

/** Why overlay does not work below `root`, or undefined where it does. Tried once for each kernel and device. */
export async function findOverlayObstacle(root: string): Promise<string | undefined> {
  const remembered = readResult(root)
  if (remembered !== undefined) return remembered.obstacle
  mkdirSync(root, { recursive: true, mode: 0o700 })
  return await whileLocked(path.join(root, '.probe.lock'), () => {
    const obstacle = tryOverlay(path.join(root, '.probe'))
    writeFileSync(resultFile(root), JSON.stringify({ machine: machineOf(root), obstacle }))
    return obstacle
  })
}

interface ProbeResult {
  readonly obstacle: string | undefined
}

function resultFile(root: string): string {
  return path.join(root, 'overlay-probe.json')
}

/** What the answer depends on. */
function machineOf(root: string): string {
  return `${release()} ${statSync(root).dev} ${process.getuid?.() ?? ''}`
}

function readResult(root: string): ProbeResult | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(resultFile(root), 'utf8'))
    if (typeof value !== 'object' || value === null) return undefined
    if (!('machine' in value) || value.machine !== machineOf(root)) return undefined
    return { obstacle: 'obstacle' in value ? String(value.obstacle) : undefined }
  } catch {
    // missing or cut short: try again
    return undefined
  }
}

function tryOverlay(place: string): string | undefined {
  const lower = path.join(place, 'lower')
  const upper = path.join(place, 'upper')
  const work = path.join(place, 'work')
  try {
    rmSync(place, { recursive: true, force: true })
    for (const directory of [path.join(lower, 'directory'), upper, work])
      mkdirSync(directory, { recursive: true })
    writeFileSync(path.join(lower, 'file'), '')
    using tree = openRootMount({ kind: 'overlay', lower: [lower], upper, work }, 'read-write')
    changeBoth(tree.path)
    return unexpectedUpper(upper)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

function changeBoth(merged: string): void {
  unlinkSync(path.join(merged, 'file'))
  rmdirSync(path.join(merged, 'directory'))
  mkdirSync(path.join(merged, 'directory'))
}

function unexpectedUpper(upper: string): string | undefined {
  const whiteout = statSync(path.join(upper, 'file'))
  if (!whiteout.isCharacterDevice() || whiteout.rdev !== 0)
    return 'a removed file leaves no whiteout'
  const opaque = native().getXattr(path.join(upper, 'directory'), 'trusted.overlay.opaque')
  return opaque.toString() === 'y' ? undefined : 'a replaced directory is not marked opaque'
}
