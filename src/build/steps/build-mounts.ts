// All mounts of one RUN step: files of the front end, `--mount` options and what the host gives to every build container.

import type { Json } from '../../core/canonical-json.ts'
import type { RuntimeMount } from '../../oci/runtime-config.ts'
import type { BuildMount, RunStep } from '../../plan/plan.ts'
import { hostMounts } from '../build-mounts-file.ts'
import { prepareBind } from './bind-mount.ts'
import type { MountWork, OpenedMount, PreparedMount } from './build-mount.ts'
import { prepareCache } from './cache-mount.ts'
import { openSecret } from './secret-mount.ts'
import { openSsh } from './ssh-mount.ts'
import type { StepContext } from './step.ts'
import { readStepMounts } from './transient-mounts.ts'

/** What a step mounts, its part of the key known. */
export interface RunMounts {
  /** Of the front end's files. */
  readonly transientReads: Json
  /** Of what `--mount` reads, in order; null for a mount that reads nothing. */
  readonly buildReads: readonly Json[]
  open(work: Omit<MountWork, 'index' | 'caches'>): Promise<OpenedMount>
}

/** @throws FILE_NOT_FOUND for a source that is not there */
export async function readRunMounts(step: RunStep, context: StepContext): Promise<RunMounts> {
  const transient = await readStepMounts(step, context)
  const prepared: PreparedMount[] = []
  for (const mount of step.buildMounts ?? [])
    prepared.push(await prepareMount(mount, step, context))
  return {
    transientReads: transient.reads,
    buildReads: prepared.map(({ reads }) => reads),
    async open(work) {
      const mounts: RuntimeMount[] = await transient.copyInto(work.directory)
      mounts.push(...hostMounts(context.tools.buildMountsFile, context.options.emit))
      const environment: string[] = []
      const caches = new Map<string, string>()
      for (const [index, mount] of inOrder(prepared).entries()) {
        const opened = await mount.open({ ...work, index, caches })
        mounts.push(...opened.mounts)
        environment.push(...(opened.environment ?? []))
      }
      return { mounts, environment }
    },
  }
}

/** What may have to wait comes last, in one order for all steps. */
function inOrder(mounts: readonly PreparedMount[]): PreparedMount[] {
  const waiting = mounts.flatMap(mount => (mount.order === undefined ? [] : [mount]))
  const others = mounts.filter(mount => mount.order === undefined)
  return [...others, ...waiting.toSorted((a, b) => ((a.order ?? '') < (b.order ?? '') ? -1 : 1))]
}

async function prepareMount(
  mount: BuildMount,
  step: RunStep,
  context: StepContext,
): Promise<PreparedMount> {
  const { where } = step
  const { caller } = context.options
  switch (mount.kind) {
    case 'tmpfs':
      return { reads: null, open: async () => ({ mounts: [temporary(mount)] }) }
    case 'secret':
      return { reads: null, open: async () => openSecret(mount, caller, where) }
    case 'ssh':
      return { reads: null, open: work => openSsh(mount, work, { caller, where }) }
    case 'bind':
      return await prepareBind(mount, step, context)
    case 'cache':
      return await prepareCache(mount, step, context)
    default:
      return mount satisfies never
  }
}

function temporary({
  target,
  sizeBytes,
}: Extract<BuildMount, { readonly kind: 'tmpfs' }>): RuntimeMount {
  const size = sizeBytes === undefined || sizeBytes <= 0 ? [] : [`size=${sizeBytes}`]
  return { type: 'tmpfs', source: 'tmpfs', destination: target, options: ['nosuid', ...size] }
}
