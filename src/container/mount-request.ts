// What a container sees beside its image, as the caller asked for it; pure data that is kept with the container.
// Destinations are absolute paths inside the container, in their shortest form.

/** How mounts inside the container and on the host are seen on the other side; the kernel's words. */
export type MountPropagation = 'rprivate' | 'private' | 'rslave' | 'slave' | 'rshared' | 'shared'

/** Ids of files shifted for one mount: first id in the file system, first id seen, count. */
export interface IdRange {
  readonly containerId: number
  readonly hostId: number
  readonly size: number
}

export interface IdMapping {
  readonly uids: readonly IdRange[]
  readonly gids: readonly IdRange[]
}

/** A file or directory of the host. */
export interface BindMount {
  readonly kind: 'bind'
  /** Absolute path on the host. */
  readonly source: string
  readonly destination: string
  readonly readOnly: boolean
  /** With `readOnly`: what is mounted below the source stays writable. */
  readonly writableBelow?: boolean
  /** False: what is mounted below the source stays out. */
  readonly recursive: boolean
  readonly propagation: MountPropagation
  /** True: a source that is not there becomes a new directory, as `-v` has it. */
  readonly makeSource: boolean
  readonly idMapping?: IdMapping | undefined
}

/** A temporary file system. */
export interface TmpfsMount {
  readonly kind: 'tmpfs'
  readonly destination: string
  /** As mount(8) takes them: `size=64m`, `mode=1777`, `exec`. */
  readonly options: readonly string[]
}

/** A directory that outlives the container. */
export interface VolumeMount {
  readonly kind: 'volume'
  /** Undefined: one of its own, which gets a name when the container is made. */
  readonly name?: string | undefined
  /** True: it goes with the container where that is asked for. */
  readonly anonymous: boolean
  readonly destination: string
  readonly readOnly: boolean
  /** An empty volume is filled with what the image has at the destination. */
  readonly copy: boolean
  /** A directory or file of the volume; empty: all of it. */
  readonly subpath?: string | undefined
  /** For a volume that is made by this mount. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly options?: Readonly<Record<string, string>> | undefined
  readonly idMapping?: IdMapping | undefined
}

export type ContainerMount = BindMount | TmpfsMount | VolumeMount
