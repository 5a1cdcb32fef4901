// `RUN --mount=type=cache`: a directory that outlives the build.

import type { Digest } from '../../oci/digest.ts'
import { type BuildMount, guestPath, type RunStep } from '../../plan/plan.ts'
import {
  type CacheMountIdentity,
  type CacheMountRequest,
  cacheMountName,
  dataName,
  openCacheMount,
} from '../cache-mounts.ts'
import { copyPath } from '../source-selection.ts'
import type { MountWork, PreparedMount } from './build-mount.ts'
import { digestMountSource } from './mount-source.ts'
import type { StepContext } from './step.ts'

type CacheBuildMount = Extract<BuildMount, { readonly kind: 'cache' }>

/** @throws FILE_NOT_FOUND for a first content that is not there */
export async function prepareCache(
  mount: CacheBuildMount,
  { where }: RunStep,
  context: StepContext,
): Promise<PreparedMount> {
  const base = await digestBase(mount, where, context)
  const { id, mode, uid, gid } = mount
  const identity = { id, mode, uid, gid, base }
  const name = cacheMountName(identity)
  return {
    reads: base ?? null,
    order: name,
    async open(work) {
      const directory =
        work.caches.get(name) ?? (await openCache(mount, identity, { context, work }))
      work.caches.set(name, directory)
      const options = ['bind', mount.writable ? 'rw' : 'ro']
      return {
        mounts: [{ type: 'bind', source: directory, destination: mount.target, options }],
      }
    },
  }
}

/** What the cache starts with; undefined: nothing. */
async function digestBase(
  { from, source: path }: CacheBuildMount,
  where: RunStep['where'],
  context: StepContext,
): Promise<Digest | undefined> {
  return from && (await digestMountSource(context, { from, path, where }))
}

interface CacheWork {
  readonly context: StepContext
  readonly work: MountWork
}

async function openCache(
  mount: CacheBuildMount,
  identity: CacheMountIdentity,
  { context, work: { stack, signal } }: CacheWork,
): Promise<string> {
  const { options, tools } = context
  const message = `waiting for the cache "${mount.id}", which another step uses`
  const cache = await openCacheMount(tools.dataRoot, {
    identity,
    sharing: mount.sharing,
    signal,
    fill: fillFrom(mount, context),
    onWait: () => options.emit({ kind: 'warning', message }),
  })
  return stack.use(cache).directory
}

function fillFrom(
  { from, source: path }: CacheBuildMount,
  context: StepContext,
): CacheMountRequest['fill'] {
  if (from === undefined) return undefined
  return rootFd => copyPath(context, { from, path }, { rootFd, target: guestPath(dataName) })
}
