// From a plan to an image in the store and files in a directory. Everything that was made before is found by name and
// left alone, down to the files in the target directory.

import { inStep } from '../core/events.ts'
import type { Image } from '../image/image.ts'
import { formatReference, type Reference } from '../oci/reference.ts'
import type { BuildPlan } from '../plan/plan.ts'
import type { PackageManager } from '../rootfs/package-manager.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { BuildOptions, BuiltRoot, CommitOptions } from './build.ts'
import { commitImage } from './commit-image.ts'
import { explainFullDisk } from './disk-full.ts'
import { planExecutor, resultStage } from './execute-plan.ts'
import { imageEpoch } from './image-layers.ts'
import { makeResultDirectory, type ResultFile } from './result-files.ts'
import { type ResultTarget, resultOutput } from './result-output.ts'
import { resultRecords } from './result-records.ts'
import type { ExecutorParts } from './stage-run.ts'

export interface ImageRequest {
  readonly plan: BuildPlan
  readonly options: BuildOptions
  readonly commit: CommitOptions
  /** Names that the image gets. */
  readonly references: readonly Reference[]
  readonly results: ResultTarget
}

export interface ImageParts extends ExecutorParts {
  readonly store: DiskStore
  /** Tells which packages the root has. */
  readonly inventory: PackageManager
}

export interface BuiltImage {
  /** Undefined for a plain root archive, which is no image. */
  readonly image: Image | undefined
  readonly built: BuiltRoot
  readonly files: readonly ResultFile[]
}

/** Builds, stores and writes. @throws what the steps throw; DISK_FULL, CANCELLED */
export async function buildImage(request: ImageRequest, parts: ImageParts): Promise<BuiltImage> {
  await makeResultDirectory(request.results.directory)
  try {
    return await buildAndWrite(request, parts)
  } catch (error) {
    throw await explainFullDisk(error, parts.dataRoot)
  }
}

async function buildAndWrite(request: ImageRequest, parts: ImageParts): Promise<BuiltImage> {
  const { plan, options } = request
  const built = await planExecutor(parts)(plan, options)
  // The disk takes the snapshots while layers are packed.
  const settled = parts.snapshotter.settle(options.signal)
  settled.catch(() => {})
  const made = await makeResults(request, parts, built)
  await settled
  return { ...made, built }
}

const resultStep = { id: 'results', title: 'write the result files' } as const

async function makeResults(
  request: ImageRequest,
  parts: ImageParts,
  built: BuiltRoot,
): Promise<Pick<BuiltImage, 'image' | 'files'>> {
  const { references, results: target, options } = request
  const { signal, emit } = options
  const epochSeconds = imageEpoch(built, request.commit)
  await using output = resultOutput(
    { target, built, references, epochSeconds, stepId: resultStep.id, emit, signal },
    { ...parts, manager: parts.inventory },
  )
  using batch = parts.store.openBatch()
  const image =
    target.form === 'tbz'
      ? undefined
      : await commitImage(resultStage(request.plan), built, {
          options: request.commit,
          references,
          work: { ...parts, batch, signal, emit, openArchive: () => output.openArchive() },
        })
  const records = resultRecords(parts.dataRoot, target.directory, target.baseName)
  const inputs = {
    root: built.snapshot,
    image: image?.descriptor.digest,
    epochSeconds,
    form: target.form,
    compression: target.compression,
    names: references.map(reference => formatReference(reference)),
  }
  const there = output.isStarted() ? undefined : await records.find(inputs)
  if (there !== undefined) return { image, files: there }
  const files = await inStep(emit, resultStep, () => output.finish(image))
  await records.remember(inputs, files)
  return { image, files }
}
