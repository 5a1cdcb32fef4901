// Which cgroup hierarchies this machine has and where this process is in them: version 1 with a mount for each
// controller, version 2, or both at once (man 7 cgroups).

import { readFileSync } from 'node:fs'
import path from 'node:path'

/** One mounted hierarchy. */
export interface CgroupHierarchy {
  readonly version: 1 | 2
  /** Version 1: as mounted, such as `cpu` and `cpuacct`. Version 2: those that can be switched on. */
  readonly controllers: readonly string[]
  /** Version 1 without controllers, such as `systemd`'s. */
  readonly name?: string
  readonly mountPoint: string
  /** The directory of this process's own cgroup. */
  readonly ownDirectory: string
}

export interface CgroupLayout {
  readonly hierarchies: readonly CgroupHierarchy[]
}

/** Names of mount options that are no controllers. */
const mountWords = new Set(['rw', 'ro', 'xattr', 'clone_children', 'noprefix', 'nsdelegate'])

/** @param procSelf for tests: a directory with `cgroup` and `mountinfo` */
export function readCgroupLayout(procSelf = '/proc/self'): CgroupLayout {
  const own = parseOwnPaths(readFileSync(path.join(procSelf, 'cgroup'), 'utf8'))
  const mounts = parseCgroupMounts(readFileSync(path.join(procSelf, 'mountinfo'), 'utf8'))
  const hierarchies: CgroupHierarchy[] = []
  for (const mount of mounts) {
    const key = mount.version === 2 ? '' : mount.words.join(',')
    const ownPath = own.get(key)
    if (ownPath === undefined || hierarchies.some(known => known.mountPoint === mount.mountPoint))
      continue
    hierarchies.push(hierarchyOf(mount, ownPath))
  }
  return { hierarchies }
}

function hierarchyOf(mount: CgroupMount, ownPath: string): CgroupHierarchy {
  // In a container without a cgroup namespace only a part of the hierarchy is mounted.
  const below = path.relative(mount.root, ownPath)
  const ownDirectory = below.startsWith('..')
    ? mount.mountPoint
    : path.join(mount.mountPoint, below)
  const name = mount.words.find(word => word.startsWith('name='))?.slice('name='.length)
  return {
    version: mount.version,
    controllers:
      mount.version === 2
        ? readControllers(mount.mountPoint)
        : mount.words.filter(word => !word.includes('=')),
    ...(name === undefined ? {} : { name }),
    mountPoint: mount.mountPoint,
    ownDirectory,
  }
}

function readControllers(mountPoint: string): readonly string[] {
  return readFileSync(path.join(mountPoint, 'cgroup.controllers'), 'utf8')
    .split(/\s+/)
    .filter(Boolean)
}

/** `5:cpu,cpuacct:/path` → sorted controllers → path; version 2 has none and is the empty key. */
function parseOwnPaths(text: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, words, ownPath] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (words !== undefined && ownPath !== undefined)
      paths.set(words.split(',').toSorted().join(','), ownPath)
  }
  return paths
}

interface CgroupMount {
  readonly version: 1 | 2
  readonly root: string
  readonly mountPoint: string
  /** Controllers and `name=…`, sorted. */
  readonly words: readonly string[]
}

function parseCgroupMounts(text: string): CgroupMount[] {
  const mounts: CgroupMount[] = []
  for (const line of text.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const [type, , options = ''] = after.split(' ')
    if (type !== 'cgroup' && type !== 'cgroup2') continue
    const [, , , root = '/', mountPoint = ''] = before.split(' ').map(unescapeMountPath)
    const words = options
      .split(',')
      .filter(word => !mountWords.has(word) && !word.startsWith('release_agent='))
    mounts.push({ version: type === 'cgroup2' ? 2 : 1, root, mountPoint, words: words.toSorted() })
  }
  return mounts
}

/** mountinfo writes white space and backslashes as octal numbers. */
function unescapeMountPath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(parseInt(digits, 8)),
  )
}
