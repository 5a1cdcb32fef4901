// Can overlayfs write here, and does its upper directory then say by itself what changed? Tried on a tree of a few entries, as
// root file systems of containers and network mounts refuse it in ways that no list of file systems knows.

import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { release } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { hasErrno } from '../core/errors.ts'
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

/** Raised when other things are tried. */
const questions = 2

/** What the answer depends on. */
function machineOf(root: string): string {
  return `${questions} ${release()} ${statSync(root).dev} ${process.getuid?.() ?? ''}`
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
    for (const directory of [path.join(lower, 'directory'), path.join(lower, 'moved'), upper, work])
      mkdirSync(directory, { recursive: true })
    for (const name of ['file', 'kept']) writeFileSync(path.join(lower, name), content)
    using tree = openRootMount({ kind: 'overlay', lower: [lower], upper, work }, 'read-write')
    const isRedirected = changeAll(tree.path)
    if (isRedirected) return 'a renamed directory is redirected'
    return unexpectedUpper(upper)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

const content = 'content'

/** True where a directory of the lower tree can be renamed: the upper one then holds a redirect, and not what is in it. */
function changeAll(merged: string): boolean {
  const at = (name: string): string => path.join(merged, name)
  unlinkSync(at('file'))
  rmdirSync(at('directory'))
  mkdirSync(at('directory'))
  // Kernels before 4.4 took the mark of the directory for that of what is made in it.
  mkdirSync(at('directory/inner'))
  chmodSync(at('kept'), 0o600)
  try {
    renameSync(at('moved'), at('renamed'))
    return true
  } catch (error) {
    if (hasErrno(error, 'EXDEV')) return false
    throw error
  }
}

function unexpectedUpper(upper: string): string | undefined {
  const at = (name: string): string => path.join(upper, name)
  const whiteout = statSync(at('file'))
  if (!whiteout.isCharacterDevice() || whiteout.rdev !== 0)
    return 'a removed file leaves no whiteout'
  if (!isOpaque(at('directory'))) return 'a replaced directory is not marked opaque'
  if (isOpaque(at('directory/inner'))) return 'a directory in an opaque one is marked opaque, too'
  const isCopied = readFileSync(at('kept'), 'utf8') === content
  const isMeta = native().listXattrs(at('kept')).includes('trusted.overlay.metacopy')
  return isCopied && !isMeta ? undefined : 'a file of another mode is copied without its content'
}

function isOpaque(directory: string): boolean {
  const mark = 'trusted.overlay.opaque'
  const calls = native()
  return (
    calls.listXattrs(directory).includes(mark) && calls.getXattr(directory, mark).toString() === 'y'
  )
}
