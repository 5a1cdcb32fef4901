// Devices of the host that a container gets: those that the caller names, or, for privileged ones, all.

import { lstatSync, readdirSync, type Stats, statSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import type { DeviceNode } from '../oci/runtime-config.ts'
import type { DeviceRequest } from './container.ts'

/** A node for the container, and what may be done with it. */
export interface FoundDevice {
  readonly node: DeviceNode
  readonly access: string
}

/** The device, or all devices of the directory. @throws USAGE where there is none */
export function findDevices({ source, destination, access }: DeviceRequest): FoundDevice[] {
  const stats = statSync(source, { throwIfNoEntry: false })
  const node = stats === undefined ? undefined : nodeOf(destination, stats)
  if (node !== undefined) return [{ node, access }]
  const nodes = stats?.isDirectory() ? devicesBelow(source, destination) : []
  if (nodes.length > 0) return nodes.map(found => ({ node: found, access }))
  const why = stats === undefined ? 'no such file or directory' : 'not a device node'
  throw new KauriError(
    'USAGE',
    `error gathering device information while adding custom device "${source}": ${why}`,
    { hint: 'name a device of the host, such as /dev/fuse' },
  )
}

/** Every device of the host's /dev, but for terminals, which a container has its own of. */
export function hostDevices(): DeviceNode[] {
  return devicesBelow('/dev', '/dev')
}

/** What /dev has that is no device of the host's: other file systems, links to descriptors. */
const leftOut = new Set(['pts', 'shm', 'fd', 'mqueue'])

/** 5:1 is the host's own terminal, 5:2 makes terminals; a container has its own of both. */
const terminalMajor = 5

function devicesBelow(source: string, destination: string): DeviceNode[] {
  return readdirSync(source).flatMap(name => {
    if (leftOut.has(name)) return []
    const from = path.join(source, name)
    const to = path.join(destination, name)
    const stats = lstatSync(from, { throwIfNoEntry: false })
    if (stats === undefined) return []
    if (stats.isDirectory()) return devicesBelow(from, to)
    const node = nodeOf(to, stats)
    return node === undefined || node.major === terminalMajor ? [] : [node]
  })
}

function nodeOf(destination: string, stats: Stats): DeviceNode | undefined {
  if (!stats.isCharacterDevice() && !stats.isBlockDevice()) return undefined
  const { rdev, mode, uid, gid } = stats
  return {
    path: destination,
    type: stats.isBlockDevice() ? 'b' : 'c',
    // The kernel's encoding of device numbers in 32 bits.
    major: (rdev >>> 8) & 0xfff,
    minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00),
    fileMode: mode & 0o7777,
    uid,
    gid,
  }
}
