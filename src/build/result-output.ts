// The files of one build on their way: begun as soon as it is known that something is new, so that layers pass into the
// archive while they are packed, and the packages are looked through meanwhile.

import type { Emit } from '../core/events.ts'
import { dockerArchive } from '../image/docker-archive.ts'
import { createDockerArchiveFile, type DockerArchiveFile } from '../image/docker-archive-file.ts'
import type { Image } from '../image/image.ts'
import { ociArchive } from '../image/oci-archive.ts'
import { packTree } from '../layer/pack-tree.ts'
import type { Reference } from '../oci/reference.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { BuiltRoot } from './build.ts'
import { byteProgress, tellBytes } from './byte-progress.ts'
import { isLeftOut } from './left-out.ts'
import { compressOuter, type OuterCompression, outerSuffix } from './outer-compression.ts'
import { type PackageReports, type ReportParts, reportPackages } from './package-reports.ts'
import {
  openResultSet,
  type ResultFile,
  type ResultSet,
  writeReports,
  writeStream,
} from './result-files.ts'

/** Which file carries the result: a docker-archive, an OCI archive, or the root as a plain tar. */
export type ResultForm = 'docker' | 'oci' | 'tbz'

/** Where the files go, and how they are named. */
export interface ResultTarget {
  readonly directory: string
  /** `NAME.ARCH-VERSION`. */
  readonly baseName: string
  readonly form: ResultForm
  readonly compression: OuterCompression
}

export interface OutputParts extends Omit<ReportParts, 'signal'> {
  readonly store: DiskStore
}

export interface OutputRequest {
  readonly target: ResultTarget
  readonly built: BuiltRoot
  readonly references: readonly Reference[]
  /** Times of a root archive are not later, in seconds since 1970. */
  readonly epochSeconds: number
  /** Step that the bytes of the image or root are told for. */
  readonly stepId: string
  readonly emit: Emit
  readonly signal?: AbortSignal | undefined
}

/** Disposing it before `finish` removes what was written. */
export interface ResultOutput extends AsyncDisposable {
  /** True once something was written. */
  isStarted(): boolean
  /** The docker-archive that takes layers as they are packed; undefined where the result is no plain docker-archive. */
  openArchive(): Promise<DockerArchiveFile | undefined>
  /** Writes the rest and gives every file its name; without an image, the root itself is the result. */
  finish(image: Image | undefined): Promise<ResultFile[]>
}

const imageSuffix: Readonly<Record<ResultForm, string>> = {
  docker: '.docker.tar',
  oci: '.oci.tar',
  tbz: '.tar',
}

interface Started {
  readonly results: ResultSet
  readonly reports: Promise<PackageReports>
  /** Where the image or root goes. */
  readonly mainFile: string
  readonly archive: DockerArchiveFile | undefined
}

/** Nothing is made before the first call. */
export function resultOutput(request: OutputRequest, parts: OutputParts): ResultOutput {
  let started: Started | undefined
  const start = async (): Promise<Started> => (started ??= await startOutput(request, parts))
  return {
    isStarted: () => started !== undefined,
    openArchive: async () => (await start()).archive,
    async finish(image) {
      const { results, reports, mainFile, archive } = await start()
      const { target, references, signal } = request
      if (archive !== undefined && image !== undefined)
        await archive.finish([{ image, names: references }], signal)
      else {
        using opened = openMainBytes(image, request, parts)
        const bytes = tellBytes(opened.bytes, byteProgress(request.emit, request.stepId))
        await writeStream(compressOuter(bytes, target.compression, signal), mainFile, signal)
      }
      await writeReports(results, target.baseName, await reports)
      return await results.publish()
    },
    async [Symbol.asyncDispose]() {
      if (started === undefined) return
      await started.archive?.[Symbol.asyncDispose]()
      // They have a root and a process of their own to put away.
      await started.reports.catch(() => {})
      started.results[Symbol.dispose]()
    },
  }
}

async function startOutput(request: OutputRequest, parts: OutputParts): Promise<Started> {
  const { target, built, signal } = request
  const { form, baseName, compression } = target
  const results = openResultSet(target.directory)
  const name = `${baseName}${imageSuffix[form]}${outerSuffix[compression]}`
  const mainFile = results.temporaryFor(form === 'tbz' ? 'root_archive' : 'container', name)
  const isPlain = form === 'docker' && compression === 'none'
  const archive = isPlain ? createDockerArchiveFile(parts.store, mainFile) : undefined
  const reports = reportPackages(built.snapshot, { ...parts, signal })
  // Told where they are written; until then a failure must not count as unhandled.
  reports.catch(() => {})
  return { results, reports, mainFile, archive }
}

interface MainBytes extends Disposable {
  readonly bytes: AsyncIterable<Uint8Array>
}

function openMainBytes(
  image: Image | undefined,
  { built, references, epochSeconds, signal, target }: OutputRequest,
  { store, snapshotter }: OutputParts,
): MainBytes {
  if (image === undefined) {
    const tree = snapshotter.open(built.snapshot)
    const bytes = packTree(
      { kind: 'tree', path: tree.path },
      { clampMtime: epochSeconds, exclude: isLeftOut, signal },
    )
    return { bytes, [Symbol.dispose]: () => tree[Symbol.dispose]() }
  }
  const bytes =
    target.form === 'docker'
      ? dockerArchive(store, [{ image, names: references }], signal)
      : ociArchive(store, [{ descriptor: image.descriptor, names: references }])
  return { bytes, [Symbol.dispose]: closeNothing }
}

function closeNothing(): void {}
