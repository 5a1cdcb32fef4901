// RUN steps on a small root, carried out by the real runtime in a state directory of the test's own.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { BuildOptions, BuiltRoot, CallerOptions } from '../../src/build/build.ts'
import { planExecutor } from '../../src/build/execute-plan.ts'
import type { ExecutorParts } from '../../src/build/stage-run.ts'
import type { BuildEvent } from '../../src/core/events.ts'
import {
  type BuildMount,
  type BuildPlan,
  type BuildStage,
  type BuildStep,
  type GuestPath,
  guestPath,
  type PlanContext,
  type RunStep,
} from '../../src/plan/plan.ts'
import { openSnapshotter } from '../../src/rootfs/open-snapshotter.ts'
import type { SnapshotId } from '../../src/rootfs/rootfs.ts'
import { createBuiltinRuntime } from '../../src/runtime/builtin-runtime.ts'
import { makeSmallRoot } from './small-root.ts'

export interface RunTrial extends Disposable {
  readonly dataRoot: string
  readonly parts: ExecutorParts
  /** A directory for contexts, secrets and whatever else the test needs. */
  at(...names: readonly string[]): string
  /** Runs steps on the small root. */
  build(
    steps: readonly BuildStep[],
    more?: Partial<BuildOptions> & {
      readonly stages?: readonly BuildStage[]
      readonly contexts?: Readonly<Record<string, PlanContext>>
      readonly scratch?: boolean
      readonly parts?: ExecutorParts
      readonly onLine?: (line: string) => void
      readonly onWarning?: (message: string) => void
    },
  ): Promise<TrialResult>
  /** Names of everything that a snapshot changed, sorted. */
  changes(snapshot: SnapshotId): string[]
  /** A file of a snapshot. */
  read(snapshot: SnapshotId, file: string): string
}

export interface TrialResult extends BuiltRoot {
  readonly lines: readonly string[]
  readonly events: readonly BuildEvent[]
}

export const noCaller: CallerOptions = {
  secrets: new Map(),
  ssh: new Map(),
  proxyEnvironment: [],
  allow: new Set(),
  limits: {},
}

/** `using trial = await openRunTrial()` */
export async function openRunTrial(choice: 'auto' | 'copy' = 'auto'): Promise<RunTrial> {
  const directory = mkdtempSync(path.join(tmpdir(), 'kauri-run-'))
  const at = (...names: readonly string[]): string => path.join(directory, ...names)
  mkdirSync(at('small'))
  makeSmallRoot(at('small'))
  const dataRoot = at('data')
  const parts: ExecutorParts = {
    dataRoot,
    runtime: createBuiltinRuntime({ runRoot: at('run'), cacheRoot: at('cache') }),
    snapshotter: await openSnapshotter({ root: path.join(dataRoot, 'snapshots'), choice }),
    packageManager: () => Promise.reject(new Error('no packages here')),
  }
  return {
    dataRoot,
    parts,
    at,
    async build(steps, more = {}) {
      const {
        stages = [],
        contexts = {},
        scratch = false,
        parts: own = parts,
        onLine,
        onWarning,
        ...options
      } = more
      const events: BuildEvent[] = []
      const plan: BuildPlan = {
        contexts: { small: { directory: at('small') }, ...contexts },
        stages: [baseStage, ...stages, mainStage(steps, scratch)],
      }
      const built = await planExecutor(own)(plan, {
        useCache: true,
        offline: true,
        caller: noCaller,
        ...options,
        emit(event) {
          events.push(event)
          if (event.kind === 'step-output') onLine?.(event.line)
          if (event.kind === 'warning') onWarning?.(event.message)
        },
      })
      const lines = events.flatMap(event => (event.kind === 'step-output' ? [event.line] : []))
      return { ...built, lines, events }
    },
    changes(snapshot) {
      const { path: root } = parts.snapshotter.changes(snapshot)
      return readdirSync(root, { recursive: true }).map(String).toSorted()
    },
    read(snapshot, file) {
      using tree = parts.snapshotter.open(snapshot)
      return readFileSync(tree.path + file, 'utf8')
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  }
}

const stageFacts = {
  platform: { os: 'linux', architecture: 'amd64' },
  config: {},
  history: { kind: 'instructions', lines: [] },
} as const

/** The small root, for stages to stand on. */
const baseStage: BuildStage = {
  ...stageFacts,
  id: 'base',
  base: { kind: 'scratch' },
  steps: [
    {
      kind: 'copy',
      title: 'COPY . /',
      phase: 'instruction',
      source: { context: 'small', path: '.' },
      target: guestPath('/'),
      as: 'tree',
    },
  ],
}

function mainStage(steps: readonly BuildStep[], scratch: boolean): BuildStage {
  return stageOf('main', steps, scratch ? { kind: 'scratch' } : { kind: 'stage', stage: 'base' })
}

/** A stage on the small root. */
export function stageOf(
  id: string,
  steps: readonly BuildStep[],
  base: BuildStage['base'] = { kind: 'stage', stage: 'base' },
): BuildStage {
  return { ...stageFacts, id, base, steps }
}

/** `RUN text` of a Dockerfile. */
export function instruction(text: string, more: Partial<RunStep> = {}): RunStep {
  return {
    kind: 'run',
    showsEpoch: false,
    title: `RUN ${text}`,
    phase: 'instruction',
    command: ['/bin/sh', '-c', text],
    environment: ['PATH=/usr/bin:/bin'],
    directory: guestPath('/'),
    user: '',
    network: 'none',
    mounts: [],
    where: { file: 'Dockerfile', line: 3, column: 1 },
    ...more,
  }
}

/** A step with one `--mount`. */
export function mounting(mount: BuildMount, text: string, more: Partial<RunStep> = {}): RunStep {
  return instruction(text, { buildMounts: [mount], ...more })
}

type Looks = { readonly mode: number; readonly uid: number; readonly gid: number }

export const rootOwned: Looks = { mode: 0o755, uid: 0, gid: 0 }

export function cacheMount(
  id: string,
  target: string,
  more: Partial<Extract<BuildMount, { kind: 'cache' }>> = {},
): BuildMount {
  const place: GuestPath = guestPath(target)
  return {
    kind: 'cache',
    id,
    target: place,
    sharing: 'shared',
    writable: true,
    source: guestPath('/'),
    ...rootOwned,
    ...more,
  }
}

export function secretMount(
  id: string,
  more: Partial<Extract<BuildMount, { kind: 'secret' }>> = {},
): BuildMount {
  return {
    kind: 'secret',
    id,
    target: guestPath(`/run/secrets/${id}`),
    required: false,
    mode: 0o400,
    uid: 0,
    gid: 0,
    ...more,
  }
}
