// From plans, one for each platform, to images and everything that is made of them: names in the store, archives,
// directories, registries and caches. What was made before is found by name and not made again.

import { mapConcurrent } from '../core/concurrency.ts'
import { KauriError } from '../core/errors.ts'
import { emptyIndex, storeIndex } from '../image/edit-index.ts'
import type { Image } from '../image/image.ts'
import type { LayerCompression } from '../layer/layer.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { formatPlatform, type Platform } from '../oci/platform.ts'
import type { Reference } from '../oci/reference.ts'
import type { BuildPlan } from '../plan/plan.ts'
import type { Registries } from '../registry/registry.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { BuildOptions, StepRecord } from './build.ts'
import type { OpenImports } from './cache-imports.ts'
import { type CommittedImage, commitInstructions } from './commit-instructions.ts'
import { explainFullDisk } from './disk-full.ts'
import { resultStage } from './execute-plan.ts'
import { annotationsFor } from './image-annotations.ts'
import { knownLayers } from './known-layers.ts'
import { openPlanRun, type PlanRun } from './plan-run.ts'
import { settleNew, settleOld } from './settle-results.ts'
import { withCurrentKeys } from './stage-contents.ts'
import type { ExecutorParts } from './stage-run.ts'

export interface BuildRequest {
  /** One for each platform; several make an index. */
  readonly plans: readonly BuildPlan[]
  /** One platform makes an index, and a directory of its own, as well. */
  readonly alwaysIndex?: boolean
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
  /** Of the manifest, or of the index over several platforms; undefined where no output is an image. */
  readonly descriptor: Descriptor | undefined
  readonly images: readonly BuiltPlatform[]
}

/** The image for one platform. */
export interface BuiltPlatform {
  readonly platform: Platform
  /** Undefined where no output is an image. */
  readonly image: Image | undefined
  /** Steps of all stages, in the order of the plan. */
  readonly stages: readonly { readonly id: string; readonly steps: readonly StepRecord[] }[]
}

/** Builds and writes every output. @throws what the steps throw; USAGE for outputs that do not fit; DISK_FULL, CANCELLED */
export async function buildPlans(
  request: BuildRequest,
  parts: BuildPlansParts,
): Promise<BuildOutcome> {
  checkRequest(request)
  try {
    return await withCurrentKeys(() => buildAll(request, parts))
  } catch (error) {
    throw await explainFullDisk(error, parts.dataRoot)
  }
}

function checkRequest({ plans, outputs, times, cacheTo }: BuildRequest): void {
  if (times.layers !== 'kept' && times.createdSeconds === undefined)
    throw new KauriError('USAGE', 'no time to give to the files of new layers', {
      hint: 'add --source-date-epoch N, or --build-arg SOURCE_DATE_EPOCH=N',
    })
  if (cacheTo.some(({ kind }) => kind === 'inline') && !outputs.some(isImageOutput))
    throw new KauriError('USAGE', 'a cache in the image needs an image among the outputs', {
      hint: 'write --cache-to type=local,dest=DIR',
    })
  if (plans.length > 1 && outputs.some(({ kind }) => kind === 'docker-archive'))
    throw new KauriError('USAGE', 'a docker-archive holds the image of one platform', {
      hint: 'write --output type=oci,dest=FILE, or build one platform',
    })
}

const platformsAtOnce = 2

async function buildAll(request: BuildRequest, parts: BuildPlansParts): Promise<BuildOutcome> {
  await using imports = await openCaches(request, parts)
  await using runs = new AsyncDisposableStack()
  using batch = parts.store.openBatch()
  const { store, dataRoot } = parts
  const { compression, options } = request
  const { signal, emit } = options
  const layers = knownLayers({ dataRoot, store, compression, imports, signal, emit })
  const open = (plan: BuildPlan): PlanRun =>
    openPlanRun({ options, parts, layers, imports, idPrefix: idPrefixOf(plan, request) }, plan)
  const opened = request.plans.map(plan => runs.use(open(plan)))
  const needsImage = request.outputs.some(isImageOutput)
  const built = await mapConcurrent(opened, platformsAtOnce, async run => {
    await run.learnKeys()
    if (needsImage) return await commitInstructions(run, request, { ...parts, batch, layers })
    await run.reach(run.result)
    return undefined
  })
  const hasWorked = opened.some(run => run.stages.some(stage => stage.hasWorked()))
  await using _ = (hasWorked ? settleNew : settleOld)(dataRoot, parts.snapshotter)
  const images = built.filter(image => image !== undefined)
  await batch.commit({ signal })
  for (const { remember } of images) await remember()
  const descriptor = await describe(images, request, parts)
  const outcome = { descriptor, images: opened.map((run, index) => platformOf(run, built[index])) }
  if (request.outputs.length > 0) {
    const { writeOutputs } = await import('./build-outputs.ts')
    await writeOutputs(request, { outcome, runs: opened, parts })
  }
  if (request.cacheTo.length > 0) {
    const { writeCaches } = await import('./cache-exports.ts')
    await writeCaches(request, { runs: opened, parts })
  }
  return outcome
}

async function openCaches(
  { cacheFrom, plans, options: { emit, signal } }: BuildRequest,
  parts: BuildPlansParts,
): Promise<OpenImports | undefined> {
  if (cacheFrom.length === 0) return undefined
  const { openImports } = await import('./cache-imports.ts')
  const { cacheMountIds } = await import('./cache-mount-exchange.ts')
  const mountIds = cacheMountIds(plans.flatMap(({ stages }) => stages))
  return await openImports(cacheFrom, { parts, mountIds, emit, signal })
}

function idPrefixOf(plan: BuildPlan, { plans }: BuildRequest): string {
  return plans.length === 1 ? '' : `${formatPlatform(resultStage(plan).platform)}-`
}

function isImageOutput({ kind }: BuildOutput): boolean {
  return kind !== 'tar' && kind !== 'directory'
}

/** The manifest, or an index over those of several platforms. */
async function describe(
  images: readonly CommittedImage[],
  { plans, alwaysIndex, annotations }: BuildRequest,
  { store }: BuildPlansParts,
): Promise<Descriptor | undefined> {
  const [first] = images
  if (plans.length === 1 && alwaysIndex !== true) return first?.image.descriptor
  if (first === undefined) return undefined
  const manifests = images.map(({ image, platform }) => {
    const notes = annotationsFor(annotations, 'manifest-descriptor', platform)
    return { ...image.descriptor, platform, ...notes }
  })
  const notes = annotationsFor(annotations, 'index', undefined)
  return await storeIndex(store, { ...emptyIndex, manifests, ...notes })
}

function platformOf(run: PlanRun, committed: CommittedImage | undefined): BuiltPlatform {
  return {
    platform: run.result.stage.imagePlatform ?? run.result.stage.platform,
    image: committed?.image,
    stages: run.stages.map(stage => ({ id: stage.stage.id, steps: stage.records() })),
  }
}
