// RUN --mount as the plan's mounts: defaults, targets below the working directory, and what each one reads from.

import { type BuildMount, type GuestPath, guestPath, type SourceRoot } from '../plan/plan.ts'
import { quoteGo } from './go-values.ts'
import { refused } from './instruction-flags.ts'
import type { RunInstruction } from './instructions.ts'
import { sourceRoot } from './lower-sources.ts'
import { type MountOptions, parseMount } from './run-mount.ts'
import type { StageCommand, StageNode } from './stage-graph.ts'
import { createExpander, type LowerGround, type StageWork } from './stage-work.ts'

/** What the mounts of one instruction are lowered with. */
interface MountPlace {
  readonly ground: LowerGround
  readonly work: StageWork
  /** How many ssh mounts stand before. */
  sshCount: number
}

/** @throws DESCRIPTION_INVALID with BuildKit's words */
export function lowerMounts(
  ground: LowerGround,
  work: StageWork,
  command: StageCommand & { readonly instruction: RunInstruction },
): readonly BuildMount[] {
  const expand = createExpander(ground, work, command.instruction)
  const place: MountPlace = { ground, work, sshCount: 0 }
  return command.instruction.mounts.map((text, index) => {
    const mount = parseMount(text, word => expand(word).word)
    return lowerMount(place, mount, command.sources[index])
  })
}

function lowerMount(
  place: MountPlace,
  mount: MountOptions,
  source: StageNode | undefined,
): BuildMount {
  const { type } = mount
  switch (type) {
    case 'bind':
      return lowerBind(place, mount, source)
    case 'cache':
      return lowerCache(place, mount, source)
    case 'tmpfs':
      return {
        kind: 'tmpfs',
        target: mountTarget(place, mount),
        ...(mount.sizeBytes === undefined ? {} : { sizeBytes: mount.sizeBytes }),
      }
    case 'secret':
      return lowerSecret(place, mount)
    case 'ssh':
      return lowerSsh(place, mount)
    default:
      return type satisfies never
  }
}

function mountTarget({ work }: MountPlace, { target }: MountOptions): GuestPath {
  const path = placeInStage(work, target)
  if (path === '/') throw refused(`invalid mount target ${quoteGo(path)}`)
  return path
}

/** A path as it is below the stage's working directory; it cannot leave the root. */
function placeInStage(work: StageWork, path: string): GuestPath {
  return guestPath(path.startsWith('/') ? path : `${work.draft.plain.WorkingDir ?? '/'}/${path}`)
}

function lowerBind(
  place: MountPlace,
  mount: MountOptions,
  source: StageNode | undefined,
): BuildMount {
  return {
    kind: 'bind',
    target: mountTarget(place, mount),
    from: mountRoot(place, mount, source),
    source: guestPath(mount.source),
    writable: !mount.readOnly,
  }
}

function mountRoot(
  { ground }: MountPlace,
  { from, target }: MountOptions,
  source: StageNode | undefined,
): SourceRoot {
  if (source === undefined) return { kind: 'context', context: ground.options.mainContext }
  const root = sourceRoot(ground, source)
  if (root === undefined)
    throw refused(
      `cannot mount from stage ${quoteGo(from)} to ${quoteGo(target)}, stage needs to be defined before current command`,
    )
  return root
}

/** The name keeps what the user wrote; that it is no path is up to who makes the directory. */
function lowerCache(
  place: MountPlace,
  mount: MountOptions,
  source: StageNode | undefined,
): BuildMount {
  const namespace = place.ground.buildArgs.get('BUILDKIT_CACHE_MOUNT_NS') ?? ''
  return {
    kind: 'cache',
    target: mountTarget(place, mount),
    id: `${namespace}/${mount.id || cleanTarget(mount.target)}`,
    sharing: mount.sharing ?? 'shared',
    writable: !mount.readOnly,
    ...(source === undefined ? {} : { from: mountRoot(place, mount, source) }),
    source: guestPath(mount.source),
    ...attributes(mount, 0o755),
  }
}

/** Go's path.Clean, which leaves relative targets relative. */
function cleanTarget(target: string): string {
  const path = guestPath(target)
  return target.startsWith('/') ? path : path.slice(1) || '.'
}

function attributes(
  { mode, uid = 0, gid = 0 }: MountOptions,
  defaultMode: number,
): { readonly mode: number; readonly uid: number; readonly gid: number } {
  return { mode: mode ?? defaultMode, uid, gid }
}

function lowerSecret({ work }: MountPlace, mount: MountOptions): BuildMount {
  const id = mount.source || mount.id || baseName(mount.target)
  const isFile = mount.target !== '' || mount.variable === undefined
  const target = mount.target || `/run/secrets/${baseName(id)}`
  return {
    kind: 'secret',
    id,
    ...(isFile ? { target: placeInStage(work, target) } : {}),
    ...(mount.variable === undefined ? {} : { variable: mount.variable || id }),
    required: mount.required,
    ...attributes(mount, 0o400),
  }
}

function baseName(path: string): string {
  return path.replace(/\/+$/, '').replace(/^.*\//s, '') || '/'
}

function lowerSsh(place: MountPlace, mount: MountOptions): BuildMount {
  if (mount.source !== '') throw refused('ssh does not support source')
  const target = mount.target || `/run/buildkit/ssh_agent.${place.sshCount}`
  place.sshCount++
  return {
    kind: 'ssh',
    id: mount.id || 'default',
    target: placeInStage(place.work, target),
    required: mount.required,
    ...attributes(mount, 0o600),
  }
}
