// What lowering a Dockerfile is given, and what comes out of it.

import type { Diagnostic, SourcePosition } from '../core/errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { ImageConfig } from '../oci/image-config.ts'
import type { Platform } from '../oci/platform.ts'
import type { BuildPlan, FileSource, PlanContext } from '../plan/plan.ts'
import type { Linter } from './linter.ts'

/** What a build's caller chose. */
export interface LowerOptions {
  /** Stage to build, by name, in any case; undefined: the last one. */
  readonly target?: string | undefined
  /** `--build-arg` values, those that steer the builder (`BUILDKIT_…`) among them. */
  readonly buildArgs: ReadonlyMap<string, string>
  /** Platform of the result. */
  readonly platform: Platform
  /** Platform of this machine. */
  readonly buildPlatform: Platform
  /** Name of the build's own context among `contexts`. */
  readonly mainContext: string
  /** Every directory that may be read from; those that are used get into the plan. */
  readonly contexts: Readonly<Record<string, PlanContext>>
  /** By name, or by `name::platform`. */
  readonly namedContexts: ReadonlyMap<string, NamedContext>
  /** Labels that the result gets last, whatever its instructions say. */
  readonly labels: ReadonlyMap<string, string>
  /** Network of RUN instructions that choose none. */
  readonly network: 'none' | 'host' | 'bridge'
  /** What instructions may ask for beyond the sandbox. */
  readonly allow: ReadonlySet<'network.host' | 'security.insecure'>
  /** Put the platform into titles, because the plan is one of several. */
  readonly showsPlatform?: boolean
  /** The caller chose `platform`, so the result says it is for that, whatever its stage runs on. */
  readonly platformIsExplicit?: boolean
  /** Takes what the build checks find. */
  readonly linter: Linter
}

/** Something that a name of `--build-context` stands for. */
export type NamedContext =
  /** A directory; `context` is its name among the plan's contexts. */
  | { readonly kind: 'directory'; readonly context: string }
  /** An image; `scratch` is nothing at all. */
  | { readonly kind: 'image'; readonly reference: string }
  /** An image in an OCI layout, under the name that the resolver knows it by. */
  | { readonly kind: 'oci-layout'; readonly reference: string }

/** An image that a stage starts from. */
export interface ResolvedImage {
  /** Full name. */
  readonly reference: string
  readonly manifest: Digest
  readonly config: ImageConfig
}

/** Something whose time a build may take for its own: one of the plan's contexts, or what ADD would fetch. */
export type TimedSource =
  | { readonly kind: 'context'; readonly context: string }
  | Extract<FileSource, { readonly kind: 'git' | 'http' }>

/** Looks up what a Dockerfile only names. */
export interface ImageResolver {
  /** @throws KauriError where there is no such image */
  findImage(reference: string, platform: Platform, where: SourcePosition): Promise<ResolvedImage>
  /**
   * Seconds since 1970: of a git repository the time of the commit, of a file the server's Last-Modified; undefined for
   * what has no such time, as a directory.
   */
  findTime?(source: TimedSource, where: SourcePosition): Promise<number | undefined>
}

/** A Dockerfile as a plan. */
export interface LoweredDockerfile {
  /** Stages in an order in which each stands after those it uses; the last one is the result. */
  readonly plan: BuildPlan
  /** What the build checks found and others warn of. */
  readonly warnings: readonly Diagnostic[]
  /** Build arguments that no ARG instruction of the file takes and nothing knows by itself. */
  readonly unusedBuildArgs: readonly string[]
  /** Seconds since 1970, where the build argument SOURCE_DATE_EPOCH says so. */
  readonly sourceDateEpoch?: number
}
