// Runs a plan: for each step a key of what it does and reads, a look in the cache, and where that misses a writable
// tree, the step, and a snapshot. A hit and a miss give the same snapshot name and the same bytes.

import type { Emit } from '../core/events.ts'
import type { LayerCompression } from '../layer/layer.ts'
import type { Digest } from '../oci/digest.ts'
import type { Resources, Rlimit } from '../oci/runtime-config.ts'
import type { BuildPlan } from '../plan/plan.ts'
import type { SnapshotId } from '../rootfs/rootfs.ts'

export interface BuildOptions {
  readonly useCache: boolean
  /** Ids of stages whose steps are carried out all the same, and with them the stages that stand on those. */
  readonly noCacheStages?: ReadonlySet<string>
  readonly offline: boolean
  /**
   * The time that scripts and account files get to see, in seconds since 1970, part of the keys of steps that do;
   * undefined: the newest time that the installed packages' files carry.
   */
  readonly sourceDateEpoch?: number | undefined
  /** What RUN instructions get from the caller. */
  readonly caller?: CallerOptions
  readonly signal?: AbortSignal | undefined
  readonly emit: Emit
}

/** What the caller of a build hands in; none of it is part of a key, a layer or the history. */
export interface CallerOptions {
  /** Values for secret mounts, by id. */
  readonly secrets: ReadonlyMap<string, SecretSource>
  /** Agents and keys for ssh mounts, by id. */
  readonly ssh: ReadonlyMap<string, SshSource>
  /** `http_proxy=…` and its like, in either case. */
  readonly proxyEnvironment: readonly string[]
  /** What instructions may ask for beyond the sandbox. */
  readonly allow: ReadonlySet<'network.host' | 'security.insecure'>
  readonly limits: RunLimits
}

export type SecretSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'variable'; readonly name: string }

export type SshSource =
  | { readonly kind: 'agent'; readonly socket: string }
  | { readonly kind: 'keys'; readonly paths: readonly string[] }

/** What bounds the containers of RUN instructions; docker's build options of the same names. */
export interface RunLimits {
  /** `NAME:ADDRESS` lines for /etc/hosts. */
  readonly extraHosts?: readonly string[]
  readonly shmSizeBytes?: number
  readonly rlimits?: readonly Rlimit[]
  readonly resources?: Omit<Resources, 'devices'>
}

/** What became of one step. */
export interface StepRecord {
  readonly title: string
  readonly kind: string
  readonly phase: string
  /** Digest of what the step does and reads. */
  readonly key: Digest
  readonly snapshot: SnapshotId
  readonly cached: boolean
  readonly seconds: number
  /** When the result was made (RFC 3339); undefined for results of kauri's first versions. */
  readonly created?: string | undefined
}

/** A root file system at the end of a plan; layers and images are made from it. */
export interface BuiltRoot {
  readonly snapshot: SnapshotId
  readonly steps: readonly StepRecord[]
  /** Newest time that the files of the installed packages carry, seconds since 1970; 0 without packages. */
  readonly newestFileSeconds: number
}

/** How the root becomes layers. */
export interface CommitOptions {
  readonly layers: 'single' | 'phases'
  readonly compression: LayerCompression
  /** Seconds since 1970; undefined: the newest time that the installed packages' files carry. */
  readonly sourceDateEpoch?: number
}

/** Executes plans. */
export type ExecutePlan = (plan: BuildPlan, options: BuildOptions) => Promise<BuiltRoot>
