// `kauri info`: where state is, and what this machine offers for builds and runs.

import { existsSync } from 'node:fs'
import { access, constants, readFile, statfs } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { hasErrno } from '../../core/errors.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { openTrees } from '../open-trees.ts'
import { formatBytes } from '../renderers/step-text.ts'
import { kauriVersion } from './version.ts'

/** Programs of the host that features call, and what for. */
const hostPrograms = {
  'apt-get': 'builds of Debian and Ubuntu images',
  dpkg: 'builds of Debian and Ubuntu images',
  cc: 'compiling the launcher at first use',
  xz: 'xz archives',
  bzip2: 'bzip2 archives',
} as const

export const command: CommandSpec = {
  name: 'info',
  summary: 'Show the state directory and what this machine offers',
  options: [],
  run: async ({ context }) => {
    const info = {
      version: await kauriVersion(),
      node: process.versions.node,
      dataRoot: context.dataRoot,
      runRoot: context.runRoot,
      freeBytes: await freeBytes(context.dataRoot),
      processors: availableParallelism(),
      cgroups: await cgroupVersion(),
      snapshots: await describeSnapshots(context),
      programs: await findPrograms(Object.keys(hostPrograms)),
    }
    context.print(`kauri       ${info.version} on node ${info.node}`)
    context.print(`state       ${info.dataRoot} (${formatBytes(info.freeBytes)} free)`)
    context.print(`run time    ${info.runRoot}`)
    context.print(`processors  ${info.processors}`)
    context.print(`cgroups     ${info.cgroups}`)
    context.print(`snapshots   ${info.snapshots}`)
    for (const [name, purpose] of Object.entries(hostPrograms))
      context.print(`${name.padEnd(11)} ${info.programs[name] ?? `missing, needed for ${purpose}`}`)
    context.printJson(info)
    return 0
  },
}

/** How trees are kept, and why so; tried out where there is state already, as looking at it makes none. */
async function describeSnapshots(context: CommandContext): Promise<string> {
  if (!existsSync(context.dataRoot)) return 'tried out at first use'
  const { name, reason } = await openTrees(context)
  return `${name} (${reason})`
}

/** Free space for this user where the directory is, or will be made. */
async function freeBytes(directory: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(directory)
    return bavail * bsize
  } catch (error) {
    if (hasErrno(error, 'ENOENT') && directory !== '/')
      return await freeBytes(path.dirname(directory))
    throw error
  }
}

/** `v2`, `v1`, or `none`, by what is mounted below /sys/fs/cgroup. */
async function cgroupVersion(): Promise<'v2' | 'v1' | 'none'> {
  const mounts = await readFile('/proc/self/mounts', 'utf8')
  const types = mounts.split('\n').map(line => line.split(' '))
  if (types.some(([, target, type]) => target === '/sys/fs/cgroup' && type === 'cgroup2'))
    return 'v2'
  return types.some(([, , type]) => type === 'cgroup') ? 'v1' : 'none'
}

async function findPrograms(names: readonly string[]): Promise<Record<string, string | undefined>> {
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin']
  const found: Record<string, string | undefined> = {}
  for (const name of names) {
    for (const directory of directories.filter(path.isAbsolute)) {
      const file = path.join(directory, name)
      if (found[name] === undefined && (await isExecutable(file))) found[name] = file
    }
  }
  return found
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
