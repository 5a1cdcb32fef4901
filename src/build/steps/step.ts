// How a step is carried out in two halves. Preparing learns what the step reads, which with the step itself is its key;
// where no snapshot has that name, performing changes a tree. Preparing twice gives equal keys while nothing that is
// read has changed.

import type { Json } from '../../core/canonical-json.ts'
import type { Digest } from '../../oci/digest.ts'
import type { BuildPlan, BuildStage, PackageManagerName } from '../../plan/plan.ts'
import type { PackageManager } from '../../rootfs/package-manager.ts'
import type { OpenTree, Rootfs, SnapshotId, Snapshotter } from '../../rootfs/rootfs.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import type { BuildOptions } from '../build.ts'
import type { BuildContexts } from '../build-contexts.ts'
import type { RemoteSources } from '../remote-source.ts'

/** What steps are carried out with. */
export interface StepTools {
  /** Where scratch directories go. */
  readonly dataRoot: string
  readonly runtime: Runtime
  readonly snapshotter: Snapshotter
  /** The host's own mounts for every build container, such as /etc/kauri/build-mounts.conf; undefined: none. */
  readonly buildMountsFile?: string | undefined
  /** What ADD fetches; undefined where nothing may be. */
  readonly remoteSources?: RemoteSources
  /** @throws UNSUPPORTED where kauri has none of that name */
  packageManager(name: PackageManagerName): Promise<PackageManager>
}

/** The roots of other stages, for steps that read from them; what is missing of a root is made first. */
export interface StageRoots {
  /** The root at the end of a stage, read-only. The caller disposes it. */
  openStage(id: string): Promise<OpenTree>
  /** A writable copy of that root which goes with its disposal. */
  prepareStage(id: string): Promise<Rootfs>
  /** The snapshot of that root; undefined for an empty one. */
  stageSnapshot(id: string): Promise<SnapshotId | undefined>
  /**
   * The digest of what `selector` names in that root. It is remembered for the root and the selector, so that a build with
   * nothing changed opens no root; the selector says everything that changes what `compute` returns.
   */
  stageDigest(
    id: string,
    selector: Json,
    compute: (tree: OpenTree) => Promise<Digest>,
  ): Promise<Digest>
}

/** Where a step stands and who watches it. */
export interface StepContext extends StageRoots {
  /** The contexts of the build, shared by all its steps. */
  readonly contexts: BuildContexts
  readonly plan: BuildPlan
  readonly stage: BuildStage
  readonly tools: StepTools
  readonly options: BuildOptions
  /** Id of the step's events. */
  readonly stepId: string
  /** A copy of the tree before the step, undefined where that is empty; makes the tree where it is missing. The caller disposes it. */
  openPrevious(): Promise<Rootfs | undefined>
}

/** What the tree knows that the step changes. */
export interface StepGround {
  readonly root: Rootfs
  /** Newest time that the files of the packages installed so far carry, in seconds since 1970; 0 without packages. */
  readonly newestFileSeconds: number
}

export interface StepOutcome {
  /** Newest time that the files of the packages which the step installed carry. */
  readonly newestFileSeconds: number
}

export const nothingInstalled: StepOutcome = { newestFileSeconds: 0 }

/** A step whose inputs are known. */
export interface PreparedStep {
  /** Joins the step's own words in its key. */
  readonly reads: Json
  /** Changes the tree; a failure leaves it to be thrown away. */
  perform(ground: StepGround): Promise<StepOutcome>
}

/** The time that the image shall be of, in seconds since 1970. */
export function epochOf(options: BuildOptions, { newestFileSeconds }: StepGround): number {
  return options.sourceDateEpoch ?? newestFileSeconds
}
