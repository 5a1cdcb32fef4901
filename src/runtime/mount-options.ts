// Options of a mount as the OCI configuration writes them (runtime-spec v1.2.1 config.md#linux-mount-options, mount(8)),
// sorted into attributes of the mount, treatment by the launcher, and what the file system itself is told.

import { stepFlag } from './plan-writer.ts'

/** MOUNT_ATTR_ bits of linux/mount.h. */
export const mountAttribute = {
  readonly: 0x01,
  nosuid: 0x02,
  nodev: 0x04,
  noexec: 0x08,
  /** How access times are kept is one field; what is none of its values is relatime. */
  accessTimes: 0x70,
  noatime: 0x10,
  strictatime: 0x20,
  nodiratime: 0x80,
  nosymfollow: 0x20_0000,
} as const

/** Keeps the overlay's upper directory in the form that a layer is made of, on every kernel. */
export const overlayMountOptions: readonly string[] = [
  'redirect_dir=off',
  'metacopy=off',
  'index=off',
  'xino=off',
  'nfs_export=off',
]

/** Attributes that a mount gets and loses, of mountAttribute. */
export interface AttributeChange {
  readonly set: number
  readonly clear: number
}

/** Whether mounts below are seen outside and the other way round: MS_ bits of mount(2). */
export interface Propagation {
  readonly kind: number
  readonly recursive: boolean
}

export interface MountOptions {
  /** What the mount gets. */
  readonly attributes: number
  /** What a bind loses though its source has it. */
  readonly cleared: number
  /** The same for every mount below, too. */
  readonly below: AttributeChange
  /** Of stepFlag. */
  readonly flags: number
  /** Undefined: private, or as the flags say. */
  readonly propagation: Propagation | undefined
  readonly isBind: boolean
  /** Changes the mount that is there. */
  readonly isRemount: boolean
  /** Owners of files are mapped: this mount's, or those of all below. */
  readonly idmap: 'no' | 'mount' | 'below'
  /** A tmpfs begins with what its mount point has. */
  readonly copiesUp: boolean
  /** `key` or `key=value` for the file system. */
  readonly data: readonly string[]
  /** Options that this runtime cannot honour. */
  readonly refused: readonly string[]
}

const { accessTimes, noatime, nodev, nodiratime, noexec, nosuid, nosymfollow, strictatime } =
  mountAttribute

/** Each word without its leading r, which means: of all mounts below, too. */
const attributeChanges: Readonly<Record<string, AttributeChange>> = {
  ro: { set: mountAttribute.readonly, clear: 0 },
  rw: { set: 0, clear: mountAttribute.readonly },
  nosuid: { set: nosuid, clear: 0 },
  suid: { set: 0, clear: nosuid },
  nodev: { set: nodev, clear: 0 },
  dev: { set: 0, clear: nodev },
  noexec: { set: noexec, clear: 0 },
  exec: { set: 0, clear: noexec },
  noatime: { set: noatime, clear: accessTimes },
  atime: { set: 0, clear: noatime },
  relatime: { set: 0, clear: accessTimes },
  norelatime: { set: 0, clear: 0 },
  strictatime: { set: strictatime, clear: accessTimes },
  nostrictatime: { set: 0, clear: strictatime },
  nodiratime: { set: nodiratime, clear: 0 },
  diratime: { set: 0, clear: nodiratime },
  nosymfollow: { set: nosymfollow, clear: 0 },
  symfollow: { set: 0, clear: nosymfollow },
}

const unbindable = 1 << 17
const shared = 1 << 20

const propagations: Readonly<Record<string, Propagation>> = {
  shared: { kind: shared, recursive: false },
  rshared: { kind: shared, recursive: true },
  unbindable: { kind: unbindable, recursive: false },
  runbindable: { kind: unbindable, recursive: true },
}

/** Words of the launcher's own flags. */
const flagsByOption: Readonly<Record<string, number>> = {
  bind: 0,
  rbind: stepFlag.recursive,
  private: 0,
  rprivate: 0,
  slave: stepFlag.slave,
  rslave: stepFlag.slave,
  'dest-nofollow': stepFlag.overLink,
}

/** Words that name what is so anyway, or what no kernel of today knows any more. */
const withoutEffect = new Set([
  'defaults',
  'async',
  'iversion',
  'noiversion',
  'loud',
  'silent',
  'mand',
  'nomand',
  'nolazytime',
  'remount',
  'idmap',
  'ridmap',
  'tmpcopyup',
])

/** What every file system takes as a whole, so that a bind, which shares one, cannot have it. */
const ofFilesystem = new Set(['sync', 'dirsync', 'lazytime'])

/** A mount of another place would leave that place. */
const refusedOptions = new Set(['move'])

export function parseMountOptions(options: readonly string[], type = ''): MountOptions {
  const isBind = type === 'bind' || options.includes('bind') || options.includes('rbind')
  const data = options.filter(option => !isKnown(option) && !(isBind && ofFilesystem.has(option)))
  const own = changeOf(options.flatMap(option => attributeChanges[option] ?? []))
  return {
    attributes: own.set,
    cleared: isBind ? own.clear : 0,
    below: changeOf(options.flatMap(option => changeBelow(option) ?? [])),
    flags: options.reduce((flags, option) => flags | (flagsByOption[option] ?? 0), 0),
    propagation: options.flatMap(option => propagations[option] ?? []).at(-1),
    isBind,
    isRemount: options.includes('remount'),
    idmap: options.includes('ridmap') ? 'below' : options.includes('idmap') ? 'mount' : 'no',
    copiesUp: options.includes('tmpcopyup'),
    data: data.filter(option => !refusedOptions.has(option)),
    refused: data.filter(option => refusedOptions.has(option)),
  }
}

function isKnown(option: string): boolean {
  return (
    option in attributeChanges ||
    changeBelow(option) !== undefined ||
    option in propagations ||
    option in flagsByOption ||
    withoutEffect.has(option)
  )
}

/** `rro` and its like. */
function changeBelow(option: string): AttributeChange | undefined {
  return option.startsWith('r') ? attributeChanges[option.slice(1)] : undefined
}

/** The last word about an attribute holds. */
function changeOf(changes: readonly AttributeChange[]): AttributeChange {
  let set = 0
  let clear = 0
  for (const change of changes) {
    set = (set & ~change.clear) | change.set
    clear = (clear & ~change.set) | change.clear
  }
  return { set, clear }
}
