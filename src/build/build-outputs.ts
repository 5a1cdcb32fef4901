// Writes what a build was asked for: names in the store, archives, directories, registries. Loaded only by builds that
// have something to write.

import { KauriError } from '../core/errors.ts'
import { inStep } from '../core/events.ts'
import { writeArchive } from '../image/archive-output.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Reference } from '../oci/reference.ts'
import type { BuildOutcome, BuildOutput, BuildPlansParts, BuildRequest } from './build-plans.ts'
import { byteProgress, tellBytes } from './byte-progress.ts'
import type { PlanRun } from './plan-run.ts'
import type { PlatformRoot, RootOutputOptions } from './root-output.ts'

export interface OutputWork {
  readonly outcome: BuildOutcome
  readonly runs: readonly PlanRun[]
  readonly parts: BuildPlansParts
}

/** Writes every output, in order. @throws DISK_FULL, CANCELLED, USAGE for a directory that holds something else */
export async function writeOutputs(request: BuildRequest, work: OutputWork): Promise<void> {
  for (const [index, output] of request.outputs.entries())
    await writeOutput(output, { id: `output-${index + 1}`, request, work })
}

interface OutputContext {
  /** Of the output's events. */
  readonly id: string
  readonly request: BuildRequest
  readonly work: OutputWork
}

async function writeOutput(output: BuildOutput, context: OutputContext): Promise<void> {
  const { request, work } = context
  const { signal, emit } = request.options
  const { outcome, parts } = work
  const told = <T>(title: string, write: () => Promise<T>): Promise<T> =>
    inStep(emit, { id: context.id, title }, write)
  switch (output.kind) {
    case 'store':
      return await nameInStore(imageOf(outcome), output.names, parts)
    case 'docker-archive':
      return await told(exportTitle('image', output.destination), async () => {
        const { dockerArchive } = await import('../image/docker-archive.ts')
        const images = outcome.images.flatMap(({ image }) =>
          image === undefined ? [] : [{ image, names: output.names }],
        )
        await writeBytes(dockerArchive(parts.store, images, signal), output.destination, context)
      })
    case 'oci-archive':
      return await told(exportTitle('image', output.destination), async () => {
        const { ociArchive } = await import('../image/oci-archive.ts')
        const roots = [{ descriptor: imageOf(outcome), names: output.names }]
        await writeBytes(ociArchive(parts.store, roots), output.destination, context)
      })
    case 'oci-directory':
      return await told(exportTitle('image', output.directory), async () => {
        const { addToOciDirectory } = await import('../image/oci-directory.ts')
        const roots = [{ descriptor: imageOf(outcome), names: output.names }]
        await addToOciDirectory(parts.store, roots, { directory: output.directory, signal })
      })
    case 'tar':
      return await told(exportTitle('root file system', output.destination), async () => {
        const { rootTar } = await import('./root-output.ts')
        const bytes = rootTar(rootsOf(work), rootOptions(request))
        await writeBytes(bytes, output.destination, context)
      })
    case 'directory':
      return await told(exportTitle('root file system', output.directory), async () => {
        const { writeRoots } = await import('./root-output.ts')
        await writeRoots(rootsOf(work), output.directory, rootOptions(request))
      })
    case 'registry':
      return await push(output, context)
    default:
      return output satisfies never
  }
}

function exportTitle(what: string, destination: string): string {
  return `export the ${what} to ${destination === '-' ? 'standard output' : destination}`
}

function imageOf({ descriptor }: BuildOutcome): Descriptor {
  if (descriptor === undefined) throw new KauriError('INTERNAL', 'an output without an image')
  return descriptor
}

/** Names that say this already are left alone, so that a build with nothing changed writes nothing. */
async function nameInStore(
  descriptor: Descriptor,
  names: readonly Reference[],
  { store }: BuildPlansParts,
): Promise<void> {
  if (names.length === 0) await store.keepImage(descriptor)
  for (const name of names)
    if ((await store.findImage(name))?.digest !== descriptor.digest)
      await store.tagImage(name, descriptor)
}

function rootsOf({ outcome, runs }: OutputWork): PlatformRoot[] {
  return runs.flatMap((run, index) => {
    const platform = outcome.images[index]?.platform
    return platform === undefined ? [] : [{ platform, open: () => run.openRoot(run.result) }]
  })
}

function rootOptions({ times, alwaysIndex, options }: BuildRequest): RootOutputOptions {
  return {
    mtimeSeconds: times.createdSeconds,
    alwaysNamed: alwaysIndex,
    signal: options.signal,
  }
}

async function writeBytes(
  bytes: AsyncIterable<Uint8Array>,
  destination: string,
  { id, request, work }: OutputContext,
): Promise<void> {
  const { emit, signal } = request.options
  const told = tellBytes(bytes, byteProgress(emit, id))
  if (destination !== '-') return await writeArchive(destination, told, signal)
  if (work.parts.writeOut === undefined)
    throw new KauriError('INTERNAL', 'nobody takes what goes to standard output')
  await work.parts.writeOut(told)
}

async function push(
  { names, byDigest }: Extract<BuildOutput, { readonly kind: 'registry' }>,
  { request, work }: OutputContext,
): Promise<void> {
  const { outcome, parts } = work
  const { signal, emit } = request.options
  if (parts.registries === undefined) throw new KauriError('INTERNAL', 'no registries to push to')
  const { pushImage } = await import('../registry/push-image.ts')
  await using registries = await parts.registries()
  for (const name of names)
    await pushImage(parts.store, imageOf(outcome), name, { registries, emit, signal, byDigest })
}
