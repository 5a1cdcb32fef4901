// From plans, one for each platform, to images and everything that is made of them: names in the store, archives,
// directories, registries and caches. What was made before is found by name and not made again.

import type { Image } from '../image/image.ts'
import type { LayerCompression } from '../layer/layer.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Platform } from '../oci/platform.ts'
import type { Reference } from '../oci/reference.ts'
import type { BuildPlan } from '../plan/plan.ts'
import type { Registries } from '../registry/registry.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { BuildOptions, StepRecord } from './build.ts'
import type { ExecutorParts } from './stage-run.ts'

export interface BuildRequest {
  /** One for each platform; several make an index. */
  readonly plans: readonly BuildPlan[]
  readonly options: BuildOptions
  readonly times: ImageTimes
  /** Of new layers. */
  readonly compression: LayerCompression
  /** None: the results stay in the cache. */
  readonly outputs: readonly BuildOutput[]
  readonly cacheFrom: readonly CacheSource[]
  readonly cacheTo: readonly CacheTarget[]
  readonly annotations: readonly ImageAnnotation[]
}

/** Which times an image tells. Those of its base are never touched. */
export interface ImageTimes {
  /** Of the configuration and of new history, in seconds since 1970; undefined: when each step's result was made. */
  readonly createdSeconds?: number | undefined
  /**
   * Of files in new layers. `kept`: as the steps left them. `clamped`: none later than `createdSeconds`. `stamped`: what
   * programs wrote is clamped, and whatever else makes files gives all of them that time.
   */
  readonly layers: 'kept' | 'clamped' | 'stamped'
}

/** Where a result goes. Files and directories appear when they are complete; a destination `-` is standard output. */
export type BuildOutput =
  | { readonly kind: 'store'; readonly names: readonly Reference[] }
  | {
      readonly kind: 'docker-archive' | 'oci-archive'
      readonly destination: string
      readonly names: readonly Reference[]
    }
  | {
      readonly kind: 'oci-directory'
      readonly directory: string
      readonly names: readonly Reference[]
    }
  /** The root file system; of several platforms each in a directory such as `linux_amd64`. */
  | { readonly kind: 'tar'; readonly destination: string }
  | { readonly kind: 'directory'; readonly directory: string }
  | {
      readonly kind: 'registry'
      readonly names: readonly Reference[]
      /** Push without tags. */
      readonly byDigest: boolean
    }

/** Where results of earlier builds are looked for. */
export type CacheSource =
  | {
      readonly kind: 'local'
      readonly directory: string
      /** Of the cache's manifest; undefined: what the tag names. */
      readonly digest?: Digest
      /** By default `latest`. */
      readonly tag?: string
    }
  | { readonly kind: 'registry'; readonly reference: Reference }

/** Where the results of this build are kept for others. */
export type CacheTarget = (
  | { readonly kind: 'local'; readonly directory: string; readonly tag?: string }
  | { readonly kind: 'registry'; readonly reference: Reference }
  /** In the image itself. */
  | { readonly kind: 'inline' }
) & {
  /** `min`: what the result is made of; `max`: every step of every stage. */
  readonly mode: 'min' | 'max'
  /** A failure is a warning. */
  readonly ignoresErrors: boolean
  /** Directories of cache mounts go along. */
  readonly cacheMounts: boolean
  /** Of layers that have to be packed for the cache; undefined: as in the image. */
  readonly compression?: LayerCompression
}

/** An annotation of the image's documents. */
export interface ImageAnnotation {
  readonly on: 'manifest' | 'manifest-descriptor' | 'index' | 'index-descriptor'
  /** Only for this one. */
  readonly platform?: Platform
  readonly key: string
  readonly value: string
}

export interface BuildPlansParts extends ExecutorParts {
  readonly store: DiskStore
  /** Takes what goes to standard output. */
  readonly writeOut?: (bytes: AsyncIterable<Uint8Array>) => Promise<void>
  readonly registries?: () => Promise<Registries>
}

/** What became of a build. */
export interface BuildOutcome {
  /** Of the manifest, or of the index over several platforms. */
  readonly descriptor: Descriptor
  readonly images: readonly BuiltPlatform[]
}

/** The image for one platform. */
export interface BuiltPlatform {
  readonly platform: Platform
  readonly image: Image
  /** Steps of all stages, in the order of the plan. */
  readonly stages: readonly { readonly id: string; readonly steps: readonly StepRecord[] }[]
}
