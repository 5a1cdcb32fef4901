// COPY, ADD and WORKDIR carried out over a real snapshotter, and trees written and read as lines such as
// `/etc/motd file 0644 0:0 hello`.

import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import type { BuildOptions, BuiltRoot } from '../../src/build/build.ts'
import { planExecutor } from '../../src/build/execute-plan.ts'
import type { RemoteSources } from '../../src/build/remote-source.ts'
import { type BuildEvent, ignoreEvents } from '../../src/core/events.ts'
import {
  type AddStep,
  type BuildPlan,
  type BuildStage,
  type BuildStep,
  type FileSource,
  guestPath,
  type MakeDirectoryStep,
} from '../../src/plan/plan.ts'
import { makeDoubles } from './build-doubles.ts'
import { makeScratch } from './scratch.ts'

/** What to make of a name: text is a file; see `written`. */
export type TreeWords = Readonly<Record<string, string | Made>>

export interface Made {
  /** A file's text. */
  readonly text?: string
  readonly directory?: true
  readonly link?: string
  /** Another name of a file that was made before. */
  readonly same?: string
  readonly mode?: number
  readonly owner?: readonly [number, number]
}

/** The time that everything made by `makeTree` has. */
export const madeSeconds = 1_500_000_000

/** Fills a directory; directories that are only named in paths are made, mode 0755. */
export function makeTree(root: string, words: TreeWords): void {
  mkdirSync(root, { recursive: true })
  for (const [name, word] of Object.entries(words)) {
    const made: Made = typeof word === 'string' ? { text: word } : word
    const file = path.join(root, name)
    mkdirSync(path.dirname(file), { recursive: true })
    if (made.directory) mkdirSync(file, { recursive: true })
    else if (made.link !== undefined) symlinkSync(made.link, file)
    else if (made.same !== undefined) linkSync(path.join(root, made.same), file)
    else writeFileSync(file, made.text ?? '')
    if (made.owner !== undefined) chownSync(file, ...made.owner)
    if (made.link === undefined && made.same === undefined)
      chmodSync(file, made.mode ?? (made.directory ? 0o755 : 0o644))
  }
  setTimes(root)
}

function setTimes(file: string): void {
  const stat = lstatSync(file)
  if (stat.isDirectory()) for (const name of readdirSync(file)) setTimes(path.join(file, name))
  if (stat.isSymbolicLink()) lutimesSync(file, madeSeconds, madeSeconds)
  else utimesSync(file, madeSeconds, madeSeconds)
}

export interface AddTrial extends Disposable {
  readonly context: string
  readonly dataRoot: string
  readonly events: BuildEvent[]
  /** Carries out steps on an empty root, or on the stages before. */
  build(steps: readonly BuildStep[], more?: TrialPlan): Promise<BuiltRoot>
  /** Lines for all that is in a result, sorted. */
  list(built: BuiltRoot): string[]
  /** A path in a result, while `look` runs. */
  inside<T>(built: BuiltRoot, look: (root: string) => T): T
  at(...names: readonly string[]): string
}

export interface TrialPlan {
  readonly ignore?: readonly string[]
  readonly stages?: readonly BuildStage[]
  readonly options?: Partial<BuildOptions>
  readonly remoteSources?: RemoteSources
}

/** `using trial = await openAddTrial({ 'a.txt': 'a' })` */
export async function openAddTrial(words: TreeWords = {}): Promise<AddTrial> {
  const scratch = makeScratch()
  const context = scratch.at('context')
  makeTree(context, words)
  const dataRoot = scratch.at('data')
  const { parts } = await makeDoubles(dataRoot)
  const events: BuildEvent[] = []
  const inside = <T>(built: BuiltRoot, look: (root: string) => T): T => {
    using tree = parts.snapshotter.open(built.snapshot)
    return look(tree.path)
  }
  return {
    context,
    dataRoot,
    events,
    inside,
    at: (...names) => scratch.at(...names),
    list: built => inside(built, root => listTree(root)),
    async build(steps, { ignore = [], stages = [], options, remoteSources } = {}) {
      const plan: BuildPlan = {
        contexts: { main: { directory: context, ignore } },
        stages: [...stages, stageOf('result', steps)],
      }
      const emit: BuildOptions['emit'] = event => {
        ignoreEvents(event)
        events.push(event)
      }
      const all = remoteSources === undefined ? parts : { ...parts, remoteSources }
      return await planExecutor(all)(plan, { useCache: true, offline: false, emit, ...options })
    },
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  }
}

/** A stage from nothing. */
export function stageOf(id: string, steps: readonly BuildStep[]): BuildStage {
  return {
    id,
    platform: { os: 'linux', architecture: 'amd64' },
    base: { kind: 'scratch' },
    steps,
    config: {},
    history: { kind: 'instructions', lines: steps.map((_, step) => ({ created_by: 'a', step })) },
  }
}

/** A step that copies patterns to a target, which is a directory where it ends with a slash. */
export function addOf(
  sources: string | readonly (string | FileSource)[],
  target: string,
  more: Partial<AddStep> = {},
): AddStep {
  return {
    kind: 'add',
    title: `COPY ${target}`,
    phase: 'instruction',
    from: { kind: 'context', context: 'main' },
    sources: [sources]
      .flat()
      .map(source => (typeof source === 'string' ? { kind: 'pattern', pattern: source } : source)),
    target: guestPath(target),
    targetIsDirectory: target.endsWith('/') || target.endsWith('/.'),
    parents: false,
    excludes: [],
    link: false,
    unpack: 'none',
    ...more,
  }
}

/** A WORKDIR. */
export function directoryOf(target: string, owner = '0:0'): MakeDirectoryStep {
  return {
    kind: 'make-directory',
    title: `WORKDIR ${target}`,
    phase: 'instruction',
    target: guestPath(target),
    owner,
  }
}

function listTree(root: string, directory = ''): string[] {
  return readdirSync(path.join(root, directory))
    .toSorted()
    .flatMap(name => {
      const entry = path.posix.join('/', directory, name)
      const stat = lstatSync(path.join(root, entry))
      const looks = `${(stat.mode & 0o7777).toString(8).padStart(4, '0')} ${stat.uid}:${stat.gid}`
      if (stat.isSymbolicLink()) return [`${entry} -> ${readlinkSync(path.join(root, entry))}`]
      if (stat.isDirectory()) return [`${entry}/ ${looks}`, ...listTree(root, entry)]
      const text = stat.isFile() ? readFileSync(path.join(root, entry), 'utf8') : '(special)'
      return [`${entry} ${looks} ${text}`]
    })
}
