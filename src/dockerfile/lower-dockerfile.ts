// A Dockerfile as a plan, the way BuildKit's dockerfile2llb understands it: which stages are needed, what each starts
// from, its steps, configuration and history.

import { automaticArguments, globalArguments } from './automatic-arguments.ts'
import { checkDiagnostics } from './check-diagnostics.ts'
import type { ParsedDockerfile } from './instructions.ts'
import { ignoredSources } from './lower-checks.ts'
import type { ImageResolver, LoweredDockerfile, LowerOptions } from './lower-options.ts'
import { addDirectory, lowerInstructions, openStage, originOf } from './lower-stage.ts'
import { type LoweredStage, planOf, stageOf } from './lowered-plan.ts'
import { findSourceEpoch } from './source-epoch.ts'
import { findFoundations, type StageChoice, wantedNodes } from './stage-bases.ts'
import {
  createStageGraph,
  findTarget,
  hasSteps,
  type StageGraph,
  type StageNode,
} from './stage-graph.ts'
import { readStageStarts } from './stage-starts.ts'
import { type LowerGround, positionOf, type StageWork, withPosition } from './stage-work.ts'
import type { VariableScope } from './variable-scope.ts'

/**
 * Lowers what the wanted stage needs.
 * @throws DESCRIPTION_INVALID with BuildKit's words and the place, PERMISSION_DENIED for what the caller does not allow,
 * UNSUPPORTED, and what the resolver throws
 */
export async function lowerDockerfile(
  dockerfile: ParsedDockerfile,
  options: LowerOptions,
  resolver: ImageResolver,
): Promise<LoweredDockerfile> {
  const { ground, graph, seconds } = await openDockerfile(dockerfile, options, resolver)
  const target = findTarget(graph, options.target)
  const stages = await lowerStages(ground, graph, { target }, resolver)
  options.linter.throwIfFailed(dockerfile.file)
  return {
    plan: planOf(options, stages, target),
    warnings: checkDiagnostics(options.linter.findings, dockerfile),
    unusedBuildArgs: unusedArguments(ground, graph),
    ...(seconds === undefined ? {} : { sourceDateEpoch: seconds }),
  }
}

/**
 * Runs every build check of all stages, or of those that `options.target` needs.
 * @throws what lowering throws, the linter's own refusal last
 */
export async function lowerForCheck(
  dockerfile: ParsedDockerfile,
  options: LowerOptions,
  resolver: ImageResolver,
): Promise<void> {
  const timeless = { ...resolver, findTime: () => Promise.resolve(undefined) }
  const { ground, graph } = await openDockerfile(dockerfile, options, timeless)
  const choice =
    options.target === undefined ? 'all' : { target: findTarget(graph, options.target) }
  await lowerStages(ground, graph, choice, resolver)
  options.linter.throwIfFailed(dockerfile.file)
}

interface OpenDockerfile {
  readonly ground: LowerGround
  readonly graph: StageGraph
  /** Seconds since 1970 that SOURCE_DATE_EPOCH stands for. */
  readonly seconds: number | undefined
}

async function openDockerfile(
  dockerfile: ParsedDockerfile,
  options: LowerOptions,
  resolver: ImageResolver,
): Promise<OpenDockerfile> {
  const { file, escape, stages } = dockerfile
  const automatic = automaticArguments(options.buildPlatform, options.platform, {
    buildArgs: options.buildArgs,
    targetStage: options.target || (stages.at(-1)?.name ?? ''),
  })
  const globals = readGlobals(dockerfile, options, automatic)
  const { seconds, buildArgs } = await findSourceEpoch(dockerfile, globals.scope, options, resolver)
  const ground: LowerGround = {
    file,
    escape,
    options,
    buildArgs,
    globals,
    isIgnored: ignoredSources(options.contexts[options.mainContext]?.ignore),
    finished: new Set(),
  }
  const starts = readStageStarts(dockerfile, ground, automatic)
  return { ground, graph: createStageGraph(starts, { file, escape }), seconds }
}

function readGlobals(
  { file, escape, globalArguments: instructions }: ParsedDockerfile,
  { buildArgs }: LowerOptions,
  automatic: VariableScope,
): LowerGround['globals'] {
  return globalArguments(automatic, instructions, {
    escape,
    buildArgs,
    at: (instruction, run) => withPosition(positionOf({ file }, instruction), run),
  })
}

/** Every wanted stage, each after those it uses. */
async function lowerStages(
  ground: LowerGround,
  graph: StageGraph,
  choice: StageChoice,
  resolver: ImageResolver,
): Promise<readonly LoweredStage[]> {
  const isAlone = graph.nodes.length === 1 && !hasMounts(graph)
  const foundations = await findFoundations(ground, graph, choice, resolver)
  // Images and contexts first: they need nothing, and every stage may read from them.
  const order = wantedNodes(graph, choice).toSorted(
    (a, b) => Number(hasSteps(a)) - Number(hasSteps(b)),
  )
  const lastUses = new Map(order.map(node => [node.base, node]))
  const works = new Map<StageNode, StageWork>()
  const lowered: LoweredStage[] = []
  for (const node of order) {
    const base = node.base === undefined ? undefined : works.get(node.base)
    const foundation = foundations.get(node)
    const name = isAlone ? '' : titleName(node)
    const work = openStage(ground, node, originOf(foundation, base, node), name)
    addDirectory(work, foundation)
    lowerInstructions(ground, work)
    ground.finished.add(node)
    const isDirectory = foundation?.kind === 'directory' && !hasSteps(node)
    lowered.push({ node, stage: stageOf(work, foundation), isDirectory })
    // A stage's variables are kept while others may still start from it.
    if (lastUses.has(node)) works.set(node, work)
    if (node.base !== undefined && lastUses.get(node.base) === node) works.delete(node.base)
  }
  return lowered
}

/** BuildKit names the only stage of a file in titles as soon as a mount makes it look for other roots. */
function hasMounts(graph: StageGraph): boolean {
  return graph.nodes.some(({ commands }) =>
    commands.some(({ instruction }) => instruction.kind === 'run' && instruction.mounts.length > 0),
  )
}

/** Images that are only read from have no place in titles. */
function titleName(node: StageNode): string {
  return node.stage === undefined ? '' : node.name || `stage-${node.index}`
}

const knownByItself =
  /^(?:BUILDKIT_\w+|SOURCE_DATE_EPOCH|(?:BUILD|TARGET)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT)|TARGETSTAGE|(?:https?|ftp|no|all)_proxy)$/i

/** Arguments that were given and that no ARG takes, also in stages that are not wanted; to BuildKit that is no error. */
function unusedArguments({ options, globals }: LowerGround, { nodes }: StageGraph): string[] {
  const taken = new Set(
    nodes.flatMap(({ commands, stage }) =>
      [...commands.map(({ instruction }) => instruction), ...(stage?.instructions ?? [])].flatMap(
        instruction =>
          instruction.kind === 'arg' ? instruction.arguments.map(({ name }) => name) : [],
      ),
    ),
  )
  return [...options.buildArgs.keys()].filter(
    name => !taken.has(name) && !globals.declared.has(name) && !knownByItself.test(name),
  )
}
