// What `kauri commit` does.

import { statSync } from 'node:fs'
import type { ContainerState } from '../container/container.ts'
import { openContainerChange } from '../container/container-change.ts'
import { tellEvent } from '../container/container-events.ts'
import { getRequest } from '../container/container-records.ts'
import { containerRunConfig } from '../container/run-config.ts'
import { KauriError } from '../core/errors.ts'
import { changeConfig } from '../dockerfile/config-change.ts'
import { createImage } from '../image/create-image.ts'
import { appendLayer, partsOf } from '../image/edit-image.ts'
import type { Image } from '../image/image.ts'
import { openImage } from '../image/open-image.ts'
import { storeLayerTar } from '../image/store-layer.ts'
import { packTree } from '../layer/pack-tree.ts'
import { parseDigest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { parseReference } from '../oci/reference.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { CommandContext, CommandInput, ParsedOptions } from './command.ts'
import { type Containers, openContainers } from './container-host.ts'
import { creationTime } from './creation-time.ts'
import { openStore } from './open-store.ts'
import { parseBoolean } from './option-values.ts'

/** Prints the digest of the new image. */
export async function commitCommand({
  options,
  positionals: [name = '', target],
  context,
}: CommandInput): Promise<number> {
  const reference = target === undefined ? undefined : parseReference(target)
  const holds = parseBoolean('--pause', options.text('pause') ?? 'true')
  const containers = await openContainers(context)
  const state = containers.get(name)
  const request = getRequest(containers.root, state)
  const config = changeConfig(containerRunConfig(request), options.texts('change'))
  const store = openStore(context)
  const base = await openBase(state, store)
  // Open, so that garbage collection leaves layer and documents alone until they have a name.
  using batch = store.openBatch()
  const layer = await whilePaused(state, holds, containers, async () =>
    packChange(state, { store, batch, containers, context }),
  )
  const parts = appendLayer(partsOf(base), layer, lineOf(state, options))
  const author = options.text('author')
  const { descriptor } = await createImage(store, {
    ...parts,
    config: { ...parts.config, config, ...(author === undefined ? {} : { author }) },
  })
  if (reference === undefined) await store.keepImage(descriptor)
  else await store.tagImage(reference, descriptor)
  tellEvent(context.runRoot, state, 'commit', { imageID: descriptor.digest })
  context.print(descriptor.digest)
  context.printJson({ digest: descriptor.digest, name: target ?? null })
  return 0
}

/** The container's image may have no name any more; its documents are enough. */
async function openBase(
  { imageDigest, imageName }: ContainerState,
  store: DiskStore,
): Promise<Image> {
  const digest = parseDigest(imageDigest)
  const file = statSync(store.blobPath(digest), { throwIfNoEntry: false })
  if (file === undefined)
    throw new KauriError('IMAGE_NOT_FOUND', `the image ${imageName} of the container is gone`, {
      hint: `pull or import ${imageName} again; kauri export works without it`,
    })
  return await openImage(store, { mediaType: mediaTypes.manifest, digest, size: file.size })
}

interface Packing {
  readonly store: DiskStore
  readonly batch: ReturnType<DiskStore['openBatch']>
  readonly containers: Containers
  readonly context: CommandContext
}

async function packChange(
  { id, name }: ContainerState,
  { store, batch, containers, context: { signal, emit } }: Packing,
): Promise<Parameters<typeof appendLayer>[1]> {
  using change = await openContainerChange(id, await containers.trees())
  const bytes = packTree(change.source, { signal, emit })
  const record = await storeLayerTar(
    batch,
    { bytes, name: `the changes of ${name}` },
    { signal, emit },
  )
  await batch.commit({ signal })
  await store.rememberLayer(record)
  const { diffId, mediaType, digest, size } = record
  return { descriptor: { mediaType, digest, size }, diffId }
}

/** What runs must not change what is packed; it goes on whatever happens. */
async function whilePaused<T>(
  { id, status }: ContainerState,
  holds: boolean,
  { host: { runtime } }: Containers,
  work: () => Promise<T>,
): Promise<T> {
  if (status !== 'running' || !holds) return await work()
  await runtime.pause(id)
  try {
    return await work()
  } finally {
    await runtime.resume(id)
  }
}

function lineOf(
  { command }: ContainerState,
  options: ParsedOptions,
): {
  readonly created: string
  readonly createdBy: string
  readonly comment: string | undefined
} {
  return {
    created: creationTime().toISOString(),
    createdBy: command.join(' '),
    comment: options.text('message'),
  }
}
