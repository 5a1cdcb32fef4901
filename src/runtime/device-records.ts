// /dev of a container: nodes and links (runtime-spec v1.2.1 config-linux.md#devices, #default-devices).

import type { DeviceNode, RuntimeConfig } from '../oci/runtime-config.ts'
import { parseMountOptions } from './mount-options.ts'
import { type PlanRecord, planTag, stepFlag } from './plan-writer.ts'

/** Nodes that every container has (config-linux.md#default-devices). */
const defaultNodes: readonly DeviceNode[] = (
  [
    ['/dev/null', 1, 3],
    ['/dev/zero', 1, 5],
    ['/dev/full', 1, 7],
    ['/dev/random', 1, 8],
    ['/dev/urandom', 1, 9],
    ['/dev/tty', 5, 0],
  ] as const
).map(([file, major, minor]) => ({ path: file, type: 'c', major, minor, fileMode: 0o666 }))

/** Links that every program may expect in /dev. */
const deviceLinks: readonly (readonly [target: string, content: string])[] = [
  ['/dev/fd', '/proc/self/fd'],
  ['/dev/stdin', '/proc/self/fd/0'],
  ['/dev/stdout', '/proc/self/fd/1'],
  ['/dev/stderr', '/proc/self/fd/2'],
  ['/dev/core', '/proc/kcore'],
  ['/dev/ptmx', 'pts/ptmx'],
]

/** Nodes are made in what is mounted on /dev, before anything is mounted below it. A /dev of the host has them already. */
export function withDevices(
  records: readonly PlanRecord[],
  config: RuntimeConfig,
  limitsDevices: boolean,
): readonly PlanRecord[] {
  const mount = config.mounts.findLast(({ destination }) => destination === '/dev')
  const isHosts = mount !== undefined && parseMountOptions(mount.options, mount.type).isBind
  const made = deviceRecords(nodesOf(config, isHosts), limitsDevices)
  const devices = isHosts ? made : [...made, ...linkRecords]
  const at = records.findLastIndex(([, target]) => target === '/dev')
  if (at < 0 || isHosts) return [...records, ...devices]
  const after = records[at + 1]?.[0] === planTag.mountDetails ? at + 2 : at + 1
  return [...records.slice(0, after), ...devices, ...records.slice(after)]
}

function nodesOf(
  { linux: { devices = [] } }: RuntimeConfig,
  isHosts: boolean,
): readonly DeviceNode[] {
  if (isHosts) return devices.filter(({ path }) => !path.startsWith('/dev/'))
  const missing = defaultNodes.filter(node => devices.every(({ path }) => path !== node.path))
  return [...devices, ...missing]
}

function deviceRecords(devices: readonly DeviceNode[], limitsDevices: boolean): PlanRecord[] {
  const flags = limitsDevices ? 0 : stepFlag.bindDevice
  return devices.map((device): PlanRecord => {
    const { major = 0, minor = 0, uid = 0, gid = 0, fileMode = 0o666 } = device
    const mode = deviceTypes[device.type] | (fileMode & 0o7777)
    return [planTag.device, device.path, mode, major, minor, uid, gid, flags]
  })
}

const linkRecords = deviceLinks.map(
  ([target, content]): PlanRecord => [planTag.symlink, target, content],
)

/** S_IFBLK, S_IFCHR, S_IFIFO. */
const deviceTypes = { b: 0o060000, c: 0o020000, p: 0o010000 } as const
