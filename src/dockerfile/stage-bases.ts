// What the wanted stages start from: images are asked for once they are known to be needed, because a base image's
// ONBUILD may need more of them.

import { mapConcurrent } from '../core/concurrency.ts'
import { KauriError } from '../core/errors.ts'
import { defaultPath, type ImageConfig } from '../oci/image-config.ts'
import { definedMembers } from '../oci/json-shape.ts'
import type { Platform } from '../oci/platform.ts'
import { parseReference } from '../oci/reference.ts'
import { quoteGo } from './go-values.ts'
import { checkBasePlatform, isImageName } from './lower-checks.ts'
import type { ImageResolver, NamedContext, ResolvedImage } from './lower-options.ts'
import { namedContextOf } from './named-contexts.ts'
import { addTriggers, triggersOf } from './onbuild.ts'
import { reachableNodes, type StageGraph, type StageNode } from './stage-graph.ts'
import { normalPlatform } from './stage-platform.ts'
import { type LowerGround, positioned } from './stage-work.ts'
import { suggestWord } from './suggestion.ts'

/** What a node stands on that stands on no other stage. */
export type StageFoundation =
  | { readonly kind: 'scratch'; readonly platform: Platform; readonly config: BaseConfig }
  | {
      readonly kind: 'directory'
      readonly platform: Platform
      readonly config: BaseConfig
      /** Name of the plan's context, and what the caller called it. */
      readonly context: string
      readonly name: string
    }
  | {
      readonly kind: 'image'
      readonly platform: Platform
      readonly config: BaseConfig
      readonly image: ResolvedImage
    }

type BaseConfig = Pick<ImageConfig, 'config' | 'author'>

/** What nothing at all starts with. */
const emptyConfig: BaseConfig = { config: { Env: [`PATH=${defaultPath}`], WorkingDir: '/' } }

/** Images that are asked for at one time. */
const maxLookUps = 4

/** Which stages are lowered. */
export type StageChoice = { readonly target: StageNode } | 'all'

/**
 * Finds the foundations of all stages that are needed, and puts the triggers of bases into them.
 * @throws DESCRIPTION_INVALID for names that are none, and whatever the resolver throws, with the place
 */
export async function findFoundations(
  ground: LowerGround,
  graph: StageGraph,
  choice: StageChoice,
  resolver: ImageResolver,
): Promise<ReadonlyMap<StageNode, StageFoundation>> {
  const found = new Map<StageNode, StageFoundation>()
  const triggered = new Set<StageNode>()
  for (;;) {
    refuseOddNames(ground, graph)
    const wanted = wantedNodes(graph, choice)
    const missing = wanted.filter(node => node.base === undefined && !found.has(node))
    const foundations = await mapConcurrent(missing, maxLookUps, node =>
      findOne(ground, graph, node, resolver),
    )
    for (const [index, node] of missing.entries()) {
      const foundation = foundations[index]
      if (foundation !== undefined) found.set(node, foundation)
    }
    const fresh = wanted.filter(node => !triggered.has(node))
    if (fresh.length === 0) return found
    for (const node of fresh) {
      triggered.add(node)
      if (node.stage !== undefined && node.replacement === undefined)
        addTriggers(graph, node, inheritedTriggers(node, found.get(node)))
    }
  }
}

/** Stages in the order of the file, then images. */
export function wantedNodes(graph: StageGraph, choice: StageChoice): StageNode[] {
  if (choice === 'all') return [...graph.nodes]
  const reached = reachableNodes(choice.target)
  return graph.nodes.filter(node => reached.has(node))
}

function inheritedTriggers(
  node: StageNode,
  foundation: StageFoundation | undefined,
): readonly string[] {
  return node.base === undefined
    ? (foundation?.config.config?.OnBuild ?? [])
    : triggersOf(node.base)
}

/** Every name must be one, also where its stage is not needed. */
function refuseOddNames(ground: LowerGround, graph: StageGraph): void {
  for (const node of graph.nodes) {
    const { baseName, base, replacement, where } = node
    if (base !== undefined || replacement !== undefined || baseName === 'scratch') continue
    if (contextOf(ground, node) !== undefined || isImageName(baseName)) continue
    throw new KauriError(
      'DESCRIPTION_INVALID',
      `failed to parse stage name ${quoteGo(baseName)}: invalid reference format${caseDetail(baseName)}`,
      { where },
    )
  }
}

/** Where only capitals are wrong, that is said with the path in the registry. */
function caseDetail(baseName: string): string {
  const lower = baseName.toLowerCase()
  if (!isImageName(lower)) return ''
  const { repository } = parseReference(lower)
  const at = lower.indexOf(repository)
  const path =
    at < 0
      ? `library/${baseName.replace(/[:@].*$/s, '')}`
      : baseName.slice(at, at + repository.length)
  return `: repository name (${path}) must be lowercase`
}

function contextOf(ground: LowerGround, node: StageNode): NamedContext | undefined {
  return (
    node.replacement ??
    namedContextOf(ground.options, node.baseName, node.platform ?? ground.options.platform)
  )
}

async function findOne(
  ground: LowerGround,
  graph: StageGraph,
  node: StageNode,
  resolver: ImageResolver,
): Promise<StageFoundation> {
  const target = normalPlatform(ground.options.platform)
  const platform = normalPlatform(node.platform ?? target)
  const context = contextOf(ground, node)
  if (context === undefined && node.baseName === 'scratch')
    return { kind: 'scratch', platform: target, config: emptyConfig }
  if (context?.kind === 'directory')
    return { ...context, platform, config: emptyConfig, name: node.name || node.baseName }
  const reference = context?.reference ?? node.baseName
  if (context?.kind === 'image' && reference === 'scratch')
    return { kind: 'scratch', platform, config: emptyConfig }
  const image = await findImage(graph, node, () =>
    resolver.findImage(reference, platform, node.where),
  )
  if (context === undefined) checkImagePlatform(ground, node, [platform, image.config])
  const isChosen = node.platform !== undefined || ground.options.platformIsExplicit === true
  const own = isChosen ? platform : platformOf(image.config)
  return { kind: 'image', platform: own, config: image.config, image }
}

function checkImagePlatform(
  { options }: LowerGround,
  { baseName, where, stage }: StageNode,
  platforms: readonly [Platform, Platform],
): void {
  const place = { startLine: where.line, endLine: stage?.endLine ?? where.line }
  checkBasePlatform(options.linter, baseName, platforms, place)
}

/** What an image says it is for. */
function platformOf({ os, architecture, variant, 'os.version': version }: Platform): Platform {
  return normalPlatform({ os, architecture, ...definedMembers({ variant, 'os.version': version }) })
}

/** Waits for an image, and adds to the error what the Dockerfile knows of it. */
async function findImage(
  graph: StageGraph,
  node: StageNode,
  find: () => Promise<ResolvedImage>,
): Promise<ResolvedImage> {
  try {
    return await find()
  } catch (error) {
    throw withStageHint(positioned(error, node.where), node, graph)
  }
}

/** A name that no image has may be that of a stage, written wrong. */
function withStageHint(error: unknown, node: StageNode, graph: StageGraph): unknown {
  if (!(error instanceof KauriError) || error.code !== 'IMAGE_NOT_FOUND') return error
  const names = graph.nodes.filter(({ name }) => name !== '').map(({ name }) => name)
  const near = suggestWord(node.baseName, names)
  if (near === undefined) return error
  const { message, where, cause } = error
  return new KauriError(error.code, message, { hint: `is the stage ${near} meant?`, where, cause })
}
