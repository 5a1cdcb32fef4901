// The part of the OCI runtime configuration that kauri writes and its runtime understands (runtime-spec v1.2.1
// config.md, config-linux.md). Keys are spelled as in the JSON.

export interface RuntimeMount {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
  /** kauri's own: `source` is a path inside this tree, which is mounted for that alone. */
  readonly tree?: MountedTree
  /** kauri's own: a file that is in memory only. */
  readonly file?: MemoryFile
}

/** A directory of the host or an overlay, which no mount table but the container's shows. */
export interface MountedTree {
  /** What the source is, so that its mount point is made as that. */
  readonly kind: 'file' | 'directory'
  /** Topmost first; a single directory without `upper` is itself the tree. */
  readonly lower: readonly string[]
  /** Undefined: nothing can be written, and `work` is undefined, too. */
  readonly upper?: string
  readonly work?: string
}

/** Content and looks of a file that never reaches a disk. */
export interface MemoryFile {
  readonly content: Uint8Array
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

export interface Rlimit {
  readonly type: string
  readonly soft: number
  readonly hard: number
}

export interface ProcessConfig {
  readonly terminal?: boolean
  readonly consoleSize?: { readonly height: number; readonly width: number }
  readonly user: {
    readonly uid: number
    readonly gid: number
    readonly additionalGids?: readonly number[]
    readonly umask?: number
  }
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
  readonly capabilities: CapabilitySets
  readonly rlimits?: readonly Rlimit[]
  readonly noNewPrivileges: boolean
  readonly oomScoreAdj?: number
}

/** Names such as CAP_CHOWN. */
export interface CapabilitySets {
  readonly bounding: readonly string[]
  readonly effective: readonly string[]
  readonly permitted: readonly string[]
  readonly inheritable: readonly string[]
  readonly ambient: readonly string[]
}

export interface Resources {
  readonly memory?: {
    /** Bytes. */
    readonly limit?: number
    readonly reservation?: number
    /** Memory plus swap, bytes; -1 unlimited. */
    readonly swap?: number
  }
  readonly cpu?: {
    readonly shares?: number
    /** Microseconds of CPU time in each period. */
    readonly quota?: number
    readonly period?: number
    readonly cpus?: string
    readonly mems?: string
  }
  readonly pids?: { readonly limit: number }
  readonly devices?: readonly DeviceRule[]
}

export interface DeviceRule {
  readonly allow: boolean
  readonly type?: 'a' | 'b' | 'c'
  readonly major?: number
  readonly minor?: number
  readonly access?: string
}

export type NamespaceType = 'pid' | 'mount' | 'uts' | 'ipc' | 'network' | 'cgroup' | 'user' | 'time'

/** Docker's default filter for the process's bounding set: kauri's own short form of a profile. */
export interface DefaultSeccomp {
  readonly kind: 'default'
  /** Answer fsync and its like with success, without doing it: for trees that are synced, or thrown away, as a whole. */
  readonly fakeSync?: boolean
}

/** Seccomp filter as a profile; the runtime compiles it (config-linux.md#seccomp). */
export interface SeccompConfig {
  readonly defaultAction: string
  readonly defaultErrnoRet?: number
  readonly architectures?: readonly string[]
  readonly syscalls: readonly SeccompRule[]
}

export interface SeccompRule {
  readonly names: readonly string[]
  readonly action: string
  readonly errnoRet?: number
  readonly args?: readonly {
    readonly index: number
    readonly value: number | bigint
    readonly valueTwo?: number | bigint
    readonly op: string
  }[]
}

export interface RuntimeConfig {
  readonly ociVersion: string
  readonly hostname?: string
  readonly process: ProcessConfig
  readonly root: { readonly readonly: boolean }
  readonly mounts: readonly RuntimeMount[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly linux: {
    readonly namespaces: readonly { readonly type: NamespaceType; readonly path?: string }[]
    readonly resources?: Resources
    readonly cgroupsPath?: string
    readonly seccomp?: SeccompConfig | DefaultSeccomp
    readonly maskedPaths: readonly string[]
    readonly readonlyPaths: readonly string[]
    readonly sysctl?: Readonly<Record<string, string>>
    readonly devices?: readonly DeviceNode[]
  }
}

export interface DeviceNode {
  readonly path: string
  readonly type: 'b' | 'c' | 'p'
  readonly major?: number
  readonly minor?: number
  readonly fileMode?: number
  readonly uid?: number
  readonly gid?: number
}
