// The launcher's plan for a driver's program: the container's root on a directory, kauri's own kinds of mounts beside it,
// and the container's network where kauri makes that (launcher/rooted.c).

import path from 'node:path'
import type { RuntimeMount } from '../../oci/runtime-config.ts'
import { overlayMountOptions } from '../../runtime/mount-options.ts'
import { type PlanRecord, planTag, stepFlag } from '../../runtime/plan-writer.ts'
import type { Bundle, RootMount } from '../../runtime/runtime.ts'
import type { DriverCommand, DriverGround } from './driver.ts'

export interface RootedPlan {
  readonly bundle: Bundle
  readonly ground: DriverGround
  readonly command: DriverCommand
  /** A directory with mount points that the root lacks. */
  readonly mountPoints: string | undefined
}

const newNetwork = 0x40000000
const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export function rootedPlan({ bundle, ground, command, mountPoints }: RootedPlan): PlanRecord[] {
  const { network } = bundle
  const environment = Object.entries(command.environment ?? {})
  return [
    rootRecord(bundle.root, mountPoints),
    ...bundle.config.mounts.flatMap((mount, index) => {
      const source = ground.config.mounts[index]?.source
      return source === undefined ? [] : ownMount(mount, source)
    }),
    // The guard has a pid namespace of its own, and programs look for their processes in /proc.
    filesystem('/proc', 'proc'),
    ...(command.hidden ?? []).map(target => filesystem(target, 'tmpfs')),
    ...networkRecords(bundle, network !== undefined || command.joinsNetwork === true),
    [planTag.user, 0, 0, 0o022, 0],
    [planTag.directory, ground.rootfs],
    ...command.args.map((argument): PlanRecord => [planTag.argument, argument]),
    [planTag.environment, defaultPath],
    ...environment.map(([name, value]): PlanRecord => [planTag.environment, `${name}=${value}`]),
  ]
}

function networkRecords({ config, network }: Bundle, isMade: boolean): PlanRecord[] {
  const own = config.linux.namespaces.find(({ type }) => type === 'network')
  if (!isMade || own === undefined || own.path !== undefined) return []
  const settings = Object.entries(config.linux.sysctl ?? {}).filter(([name]) =>
    name.startsWith('net.'),
  )
  return [
    [planTag.namespaces, newNetwork],
    [planTag.loopback],
    ...settings.map(
      ([name, value]): PlanRecord => [planTag.sysctl, name.replaceAll('.', '/'), value],
    ),
    ...(network === undefined
      ? []
      : [
          [planTag.netlinkOutside, network.outside] as const,
          [planTag.netlinkInside, network.inside] as const,
        ]),
  ]
}

function filesystem(target: string, type: 'proc' | 'tmpfs'): PlanRecord {
  const flags = stepFlag.onKernelFs | stepFlag.noLinks
  return [planTag.filesystem, target, type, 0, flags, [`source=${type}`]]
}

function rootRecord(root: RootMount, mountPoints: string | undefined): PlanRecord {
  if (root.kind === 'directory') return [planTag.rootDirectory, 0, root.path]
  const lower = [...root.lower, ...(mountPoints === undefined ? [] : [mountPoints])]
  const options = [
    'source=overlay',
    ...overlayMountOptions,
    ...(root.volatile === true ? ['volatile'] : []),
  ]
  return [planTag.rootOverlay, 0, root.upper ?? '', root.work ?? '', options, lower]
}

/** Mounts that only the launcher can make, at the place on the host that the driver binds. */
function ownMount({ tree, file, source }: RuntimeMount, place: string): PlanRecord[] {
  const flags = stepFlag.keep
  if (file !== undefined)
    return [[planTag.file, place, 0, flags, file.mode, file.uid, file.gid, file.content]]
  if (tree === undefined) return []
  const { lower, upper = '', work = '' } = tree
  const isOverlay = lower.length > 1 || upper !== ''
  const options = isOverlay ? [...overlayMountOptions, ...(upper === '' ? [] : ['volatile'])] : []
  return [[planTag.tree, path.resolve(place), source, 0, flags, 0, upper, work, options, lower]]
}
