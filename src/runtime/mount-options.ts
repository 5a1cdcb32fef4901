// Options of a mount as the OCI configuration writes them (runtime-spec v1.2.1 config.md#mounts, mount(8)), sorted into
// attributes of the mount, treatment by the launcher, and what the file system itself is told.

import { stepFlag } from './plan-writer.ts'

/** MOUNT_ATTR_ bits of linux/mount.h. */
export const mountAttribute = {
  readonly: 0x01,
  nosuid: 0x02,
  nodev: 0x04,
  noexec: 0x08,
  noatime: 0x10,
  strictatime: 0x20,
  nodiratime: 0x80,
} as const

/** Keeps the overlay's upper directory in the form that a layer is made of, on every kernel. */
export const overlayMountOptions: readonly string[] = [
  'redirect_dir=off',
  'metacopy=off',
  'index=off',
  'xino=off',
  'nfs_export=off',
]

export interface MountOptions {
  readonly attributes: number
  /** Of stepFlag. */
  readonly flags: number
  readonly isBind: boolean
  /** `key` or `key=value` for the file system. */
  readonly data: readonly string[]
  /** Options that this runtime cannot honour. */
  readonly refused: readonly string[]
}

const attributesByOption: Readonly<Record<string, { set?: number; clear?: number }>> = {
  ro: { set: mountAttribute.readonly },
  rw: { clear: mountAttribute.readonly },
  nosuid: { set: mountAttribute.nosuid },
  suid: { clear: mountAttribute.nosuid },
  nodev: { set: mountAttribute.nodev },
  dev: { clear: mountAttribute.nodev },
  noexec: { set: mountAttribute.noexec },
  exec: { clear: mountAttribute.noexec },
  noatime: { set: mountAttribute.noatime },
  atime: { clear: mountAttribute.noatime },
  relatime: { clear: mountAttribute.noatime | mountAttribute.strictatime },
  strictatime: { set: mountAttribute.strictatime, clear: mountAttribute.noatime },
  nodiratime: { set: mountAttribute.nodiratime },
  diratime: { clear: mountAttribute.nodiratime },
  defaults: {},
  rro: { set: mountAttribute.readonly },
  rnosuid: { set: mountAttribute.nosuid },
  rnodev: { set: mountAttribute.nodev },
  rnoexec: { set: mountAttribute.noexec },
}

const flagsByOption: Readonly<Record<string, number>> = {
  bind: 0,
  rbind: stepFlag.recursive,
  private: 0,
  rprivate: 0,
  slave: stepFlag.slave,
  rslave: stepFlag.slave,
  'dest-nofollow': stepFlag.overLink,
  rro: stepFlag.recursiveAttributes,
  rnosuid: stepFlag.recursiveAttributes,
  rnodev: stepFlag.recursiveAttributes,
  rnoexec: stepFlag.recursiveAttributes,
}

/** Mounts inside the container that would appear on the host, or nowhere. */
const refusedOptions = new Set([
  'shared',
  'rshared',
  'unbindable',
  'runbindable',
  'remount',
  'move',
])

export function parseMountOptions(options: readonly string[]): MountOptions {
  let attributes = 0
  let flags = 0
  const data: string[] = []
  for (const option of options) {
    const change = attributesByOption[option]
    if (change !== undefined) attributes = (attributes & ~(change.clear ?? 0)) | (change.set ?? 0)
    flags |= flagsByOption[option] ?? 0
    if (change === undefined && flagsByOption[option] === undefined) data.push(option)
  }
  return {
    attributes,
    flags,
    isBind: options.includes('bind') || options.includes('rbind'),
    data: data.filter(option => !refusedOptions.has(option)),
    refused: data.filter(option => refusedOptions.has(option)),
  }
}
