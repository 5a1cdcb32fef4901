// Which stage uses which: names, numbers, images and named contexts of FROM, COPY --from and RUN --mount=from, before
// anything is looked up. Only what the wanted stage reaches is lowered.

import { KauriError, type SourcePosition } from '../core/errors.ts'
import type { Platform } from '../oci/platform.ts'
import { readCsvFields } from './csv-fields.ts'
import { expandWord } from './expand-word.ts'
import { refused } from './instruction-flags.ts'
import type { DockerfileStage, Instruction } from './instructions.ts'
import type { NamedContext } from './lower-options.ts'
import { suggestWord } from './suggestion.ts'

/** A stage, or an image that instructions only read from. */
export interface StageNode {
  /** Unique in the plan. */
  readonly id: string
  /** Position in the file; images come behind all stages. */
  readonly index: number
  /** Lower case; empty: none. */
  readonly name: string
  /** What FROM says, variables expanded. */
  readonly baseName: string
  /** What --platform says. */
  readonly platform: Platform | undefined
  /** The earlier stage that this one starts from. */
  readonly base: StageNode | undefined
  /** What takes the place of the whole stage, because its name is that of a context. */
  readonly replacement: NamedContext | undefined
  readonly commands: StageCommand[]
  readonly stage: DockerfileStage | undefined
  /** Where it is written: FROM, or the first instruction that reads from it. */
  readonly where: SourcePosition
}

/** An instruction with what it reads from. */
export interface StageCommand {
  readonly instruction: Instruction
  /** Of COPY one, of RUN one for each mount; undefined: the build's context, or nothing. */
  readonly sources: readonly (StageNode | undefined)[]
  /** It came from ONBUILD. */
  readonly isTrigger: boolean
}

/** The stages of a file, linked. */
export interface StageGraph {
  /** In the order of the file, then images. */
  readonly nodes: StageNode[]
  readonly stageCount: number
  findStage(name: string): StageNode | undefined
  /** The node of an image, which is one, however many instructions read from it. */
  imageNode(name: string, where: SourcePosition): StageNode
  /** Instructions with what they read from; images that are new become nodes. @throws DESCRIPTION_INVALID */
  link(instructions: readonly Instruction[], isTrigger: boolean): StageCommand[]
}

/** A stage before it is linked. */
export type StageStart = Omit<StageNode, 'id' | 'commands' | 'index' | 'base'>

const imageStart = {
  name: '',
  platform: undefined,
  base: undefined,
  replacement: undefined,
  stage: undefined,
} as const

/** @throws DESCRIPTION_INVALID for sources that cannot be, and for circles */
export function createStageGraph(
  starts: readonly StageStart[],
  source: { readonly file: string; readonly escape: '\\' | '`' },
): StageGraph {
  const nodes: StageNode[] = []
  const byName = new Map<string, StageNode>()
  const ids = new Map<string, number>()
  const images = new Map<string, StageNode>()
  for (const [index, start] of starts.entries()) {
    const base = start.replacement === undefined ? byName.get(start.baseName) : undefined
    const id = uniqueId(start.name || `stage-${index}`, ids)
    const node: StageNode = { ...start, id, index, base, commands: [] }
    nodes.push(node)
    if (node.name !== '') byName.set(node.name, node)
  }
  const graph: StageGraph = {
    nodes,
    stageCount: nodes.length,
    findStage: name => byName.get(name.toLowerCase()),
    imageNode: (name, where) => {
      const known = images.get(name)
      if (known !== undefined) return known
      const id = uniqueId(name, ids)
      const node: StageNode = {
        ...imageStart,
        id,
        index: nodes.length,
        baseName: name,
        where,
        commands: [],
      }
      images.set(name, node)
      nodes.push(node)
      return node
    },
    link: (instructions, isTrigger) =>
      instructions.map(instruction => ({
        instruction,
        isTrigger,
        sources: sourceNames(instruction).map(name =>
          name === undefined ? undefined : sourceNode(graph, name, { instruction, ...source }),
        ),
      })),
  }
  for (const node of nodes.slice(0, graph.stageCount))
    if (node.replacement === undefined && node.stage !== undefined)
      for (const command of graph.link(node.stage.instructions, false)) node.commands.push(command)
  refuseCircles(graph.nodes)
  return graph
}

/** The id that is wanted, or one like it that nothing has; it is taken from then on. */
function uniqueId(wanted: string, ids: Map<string, number>): string {
  const count = (ids.get(wanted) ?? 0) + 1
  ids.set(wanted, count)
  return count === 1 ? wanted : uniqueId(`${wanted}#${count}`, ids)
}

/** Names as written, one for each thing that an instruction reads from. */
function sourceNames(instruction: Instruction): readonly (string | undefined)[] {
  if (instruction.kind === 'copy') return [instruction.from || undefined]
  if (instruction.kind === 'run') return instruction.mounts.map(mountSource)
  return []
}

/** The last `from` counts; it was checked to hold no variable. */
function mountSource(text: string): string | undefined {
  const values = readCsvFields(text, 'mounts').map(field => /^from=([^]*)$/i.exec(field)?.[1])
  return values.findLast(value => value !== undefined) || undefined
}

interface Reader {
  readonly instruction: Instruction
  readonly file: string
  readonly escape: '\\' | '`'
}

function sourceNode(graph: StageGraph, name: string, reader: Reader): StageNode {
  const { instruction, escape } = reader
  if (instruction.kind === 'copy') {
    if (expandWord(name, { lookUp: () => undefined, escape }).word !== name)
      throw refusedAt(
        reader,
        'variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround',
      )
    if (/^[+-]?\d+$/.test(name)) return stageByNumber(graph, Number(name), reader)
  }
  return graph.findStage(name) ?? graph.imageNode(name, positionOf(reader))
}

function stageByNumber(graph: StageGraph, index: number, reader: Reader): StageNode {
  const node = graph.nodes[index]
  if (node === undefined || index >= graph.stageCount)
    throw refusedAt(reader, `invalid stage index ${index}`)
  return node
}

function positionOf({ file, instruction }: Reader): SourcePosition {
  return { file, line: Math.max(1, instruction.startLine), column: 1 }
}

function refusedAt(reader: Reader, message: string): KauriError {
  return new KauriError('DESCRIPTION_INVALID', message, { where: positionOf(reader) })
}

/** True for a stage of the file that is built; false for images and for what a context takes the place of. */
export function hasSteps(node: StageNode): boolean {
  return node.stage !== undefined && node.replacement === undefined
}

/** What a stage needs: its base, and what its instructions read from. */
function neededNodes(node: StageNode): StageNode[] {
  const sources = node.commands.flatMap(command => command.sources)
  return [node.base, ...sources].filter(one => one !== undefined)
}

/** The stage and everything it needs. */
export function reachableNodes(target: StageNode): Set<StageNode> {
  const reached = new Set([target])
  for (const node of reached) for (const needed of neededNodes(node)) reached.add(needed)
  return reached
}

/** @throws DESCRIPTION_INVALID where stages wait for each other */
function refuseCircles(nodes: readonly StageNode[]): void {
  const done = new Set<StageNode>()
  const open = new Set<StageNode>()
  const visit = (node: StageNode): SourcePosition | undefined => {
    if (done.has(node)) return undefined
    done.add(node)
    open.add(node)
    for (const { instruction, sources } of node.commands)
      for (const source of sources) {
        if (source === undefined) continue
        const { file } = node.where
        if (open.has(source)) return { file, line: instruction.startLine, column: 1 }
        const found = visit(source)
        if (found !== undefined) return found
      }
    open.delete(node)
    return undefined
  }
  for (const node of nodes) {
    const where = visit(node)
    if (where !== undefined)
      throw new KauriError(
        'DESCRIPTION_INVALID',
        `circular dependency detected on stage: ${node.id}`,
        { where },
      )
  }
}

/** The stage that is wanted; without a name the last one. @throws DESCRIPTION_INVALID */
export function findTarget(graph: StageGraph, name: string | undefined): StageNode {
  const stages = graph.nodes.slice(0, graph.stageCount)
  const found = name === undefined || name === '' ? stages.at(-1) : graph.findStage(name)
  if (found !== undefined) return found
  const wanted = name ?? ''
  const suggestion = suggestWord(
    wanted,
    stages.map(({ id }) => id),
  )
  const near = suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`
  throw refused(`target stage ${JSON.stringify(wanted)} could not be found${near}`)
}
