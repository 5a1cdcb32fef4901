// What all kinds of `RUN --mount` have in common: a part of the step's key that is learnt beforehand, and something that
// is made when the step really runs and goes when it has ended.

import type { Json } from '../../core/canonical-json.ts'
import type { RuntimeMount } from '../../oci/runtime-config.ts'

/** Where a step's mounts put what they need on the host, and what undoes it. */
export interface MountWork {
  /** A scratch directory of the step. */
  readonly directory: string
  /** Different for each mount of the step. */
  readonly index: number
  /** Directories of cache mounts that the step holds already, by name. */
  readonly caches: Map<string, string>
  /** Disposed when the step has ended. */
  readonly stack: AsyncDisposableStack
  readonly signal: AbortSignal | undefined
}

/** What one mount adds to the container. */
export interface OpenedMount {
  readonly mounts: readonly RuntimeMount[]
  /** NAME=value lines that only the running program gets to see. */
  readonly environment?: readonly string[]
}

/** A mount whose part of the key is known. */
export interface PreparedMount {
  /** What it reads; what it is stands in the step's own words. */
  readonly reads: Json
  /** Mounts for which a step may have to wait are opened in this order, so that no two steps wait for each other. */
  readonly order?: string
  open(work: MountWork): Promise<OpenedMount>
}
