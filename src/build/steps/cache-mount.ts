// `RUN --mount=type=cache`: a directory that outlives the build.

import { KauriError } from '../../core/errors.ts'
import { type BuildMount, guestPath, type RunStep } from '../../plan/plan.ts'
import {
  type CacheMountIdentity,
  cacheMountName,
  dataName,
  openCacheMount,
} from '../cache-mounts.ts'
import type { MountWork, PreparedMount } from './build-mount.ts'
import { type MountSource, readMountSource } from './mount-source.ts'
import type { StepContext } from './step.ts'

type CacheBuildMount = Extract<BuildMount, { readonly kind: 'cache' }>

/** @throws FILE_NOT_FOUND for a first content that is not there */
export async function prepareCache(
  mount: CacheBuildMount,
  { where }: RunStep,
  context: StepContext,
): Promise<PreparedMount> {
  const { from, source } = mount
  const base = from && (await readMountSource(context, { from, source, where }))
  if (base?.isDirectory === false)
    throw new KauriError('FILE_NOT_FOUND', `the source ${source} of a cache is no directory`, {
      where,
    })
  const { id, mode, uid, gid } = mount
  const identity = { id, mode, uid, gid, base: base?.digest }
  const name = cacheMountName(identity)
  return {
    reads: base?.digest ?? null,
    order: name,
    async open(work) {
      const held = work.caches.get(name)
      const directory = held ?? (await openCache({ mount, identity, base }, context, work))
      work.caches.set(name, directory)
      const options = ['bind', mount.writable ? 'rw' : 'ro']
      return {
        mounts: [{ type: 'bind', source: directory, destination: mount.target, options }],
      }
    },
  }
}

interface NamedCache {
  readonly mount: CacheBuildMount
  readonly identity: CacheMountIdentity
  readonly base: MountSource | undefined
}

async function openCache(
  { mount: { id, sharing }, identity, base }: NamedCache,
  { options, tools }: StepContext,
  { stack, signal }: MountWork,
): Promise<string> {
  const message = `waiting for the cache "${id}", which another step uses`
  const cache = await openCacheMount(tools.dataRoot, {
    identity,
    sharing,
    signal,
    onWait: () => options.emit({ kind: 'warning', message }),
    ...(base === undefined
      ? {}
      : { fill: directoryFd => base.copyTo(directoryFd, guestPath(dataName)) }),
  })
  return stack.use(cache).directory
}
