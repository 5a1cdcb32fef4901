// The OCI runtime configuration that kauri writes and its runtime understands (runtime-spec v1.2.1 config.md,
// config-linux.md). Keys are spelled as in the JSON; what is about the host's resources stands in runtime-resources.ts.

import type { Resources } from './runtime-resources.ts'

export type { DeviceRule, Resources } from './runtime-resources.ts'

export interface RuntimeMount {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
  /** Of an idmapped bind; both or none (config.md#posix-platform-mounts). */
  readonly uidMappings?: readonly IdMapping[]
  readonly gidMappings?: readonly IdMapping[]
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
  readonly apparmorProfile?: string
  readonly selinuxLabel?: string
  readonly scheduler?: SchedulerConfig
  readonly ioPriority?: { readonly class: IoPriorityClass; readonly priority: number }
  /** Lists such as `0-3,7`, for processes that join a container. */
  readonly execCPUAffinity?: { readonly initial?: string; readonly final?: string }
}

export interface SchedulerConfig {
  readonly policy: string
  readonly nice?: number
  readonly priority?: number
  readonly flags?: readonly string[]
  /** Nanoseconds, as deadline and period. */
  readonly runtime?: number
  readonly deadline?: number
  readonly period?: number
}

export type IoPriorityClass = 'IOPRIO_CLASS_RT' | 'IOPRIO_CLASS_BE' | 'IOPRIO_CLASS_IDLE'

/** `size` ids from `hostID` on are those from `containerID` on inside. */
export interface IdMapping {
  readonly containerID: number
  readonly hostID: number
  readonly size: number
}

/** Names such as CAP_CHOWN. */
export interface CapabilitySets {
  readonly bounding: readonly string[]
  readonly effective: readonly string[]
  readonly permitted: readonly string[]
  readonly inheritable: readonly string[]
  readonly ambient: readonly string[]
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
  /** SECCOMP_FILTER_FLAG_ names. */
  readonly flags?: readonly string[]
  /** The socket of an agent that answers calls with the action SCMP_ACT_NOTIFY. */
  readonly listenerPath?: string
  readonly listenerMetadata?: string
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
  readonly domainname?: string
  readonly process: ProcessConfig
  readonly root: { readonly readonly: boolean }
  readonly mounts: readonly RuntimeMount[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly hooks?: HooksConfig
  readonly linux: {
    readonly namespaces: readonly { readonly type: NamespaceType; readonly path?: string }[]
    readonly uidMappings?: readonly IdMapping[]
    readonly gidMappings?: readonly IdMapping[]
    /** By `monotonic` and `boottime`. */
    readonly timeOffsets?: Readonly<Record<string, TimeOffset>>
    /** `shared`, `slave`, `private` or `unbindable`, also with a leading r. */
    readonly rootfsPropagation?: string
    readonly mountLabel?: string
    readonly personality?: { readonly domain: 'LINUX' | 'LINUX32' }
    readonly memoryPolicy?: MemoryPolicy
    readonly resources?: Resources
    readonly cgroupsPath?: string
    readonly seccomp?: SeccompConfig | DefaultSeccomp
    readonly maskedPaths: readonly string[]
    readonly readonlyPaths: readonly string[]
    readonly sysctl?: Readonly<Record<string, string>>
    readonly devices?: readonly DeviceNode[]
  }
}

/** Programs that are run at points of a container's life (config.md#posix-platform-hooks). */
export interface HooksConfig {
  readonly prestart?: readonly HookConfig[]
  readonly createRuntime?: readonly HookConfig[]
  readonly createContainer?: readonly HookConfig[]
  readonly startContainer?: readonly HookConfig[]
  readonly poststart?: readonly HookConfig[]
  readonly poststop?: readonly HookConfig[]
}

export interface HookConfig {
  readonly path: string
  /** The first is the program's name for itself. */
  readonly args?: readonly string[]
  readonly env?: readonly string[]
  /** Seconds; more than 0. */
  readonly timeout?: number
}

export interface TimeOffset {
  readonly secs?: number
  readonly nanosecs?: number
}

export interface MemoryPolicy {
  /** An MPOL_ name. */
  readonly mode: string
  readonly nodes?: string
  readonly flags?: readonly string[]
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
