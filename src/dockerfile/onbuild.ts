// ONBUILD: what a base image or a base stage left to be done comes right after FROM, once.

import { KauriError } from '../core/errors.ts'
import type { Instruction } from './instructions.ts'
import { parseTrigger } from './parse-instruction.ts'
import type { StageGraph, StageNode } from './stage-graph.ts'
import { positioned } from './stage-work.ts'

/**
 * Puts triggers before the stage's own instructions.
 * @throws DESCRIPTION_INVALID at the place of FROM, whatever file the trigger was written in
 */
export function addTriggers(graph: StageGraph, node: StageNode, triggers: readonly string[]): void {
  if (triggers.length === 0) return
  try {
    const place = {
      file: node.where.file,
      startLine: node.where.line,
      endLine: node.stage?.endLine ?? node.where.line,
    }
    const instructions = triggers.map(text => parseTrigger(text, place))
    const own = node.commands.splice(0)
    for (const command of [...graph.link(instructions, true), ...own]) node.commands.push(command)
  } catch (error) {
    if (error instanceof KauriError) throw positioned(error, node.where)
    throw error
  }
}

/** Triggers that a stage of this file holds, for stages on top of it. */
export function triggersOf(node: StageNode): string[] {
  return node.commands
    .map(({ instruction }): Instruction => instruction)
    .filter(instruction => instruction.kind === 'onbuild')
    .map(({ expression }) => expression)
}
