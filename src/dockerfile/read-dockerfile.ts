// A Dockerfile's text → stages of typed instructions, with the checks that need no variables on the way.

import { KauriError } from '../core/errors.ts'
import type {
  ArgInstruction,
  DockerfileStage,
  FromInstruction,
  Instruction,
  ParsedDockerfile,
} from './instructions.ts'
import type { Linter } from './linter.ts'
import { parseDockerfile } from './parse-dockerfile.ts'
import { parseInstruction } from './parse-instruction.ts'
import { checkInstruction, checkNode, checkStages } from './syntax-checks.ts'
import type { InstructionNode, SyntaxTree } from './syntax-tree.ts'

/**
 * Reads a whole Dockerfile; `file` names it in positions, findings go to the linter.
 * @throws DESCRIPTION_INVALID with BuildKit's words and the place
 */
export function readDockerfile(text: string, file: string, linter: Linter): ParsedDockerfile {
  if (text === '') throw withoutPlace(file, 'the Dockerfile cannot be empty')
  const tree = parseDockerfile(text, file)
  const dockerfile = readStages(tree, { text, file }, linter)
  if (dockerfile.stages.length === 0)
    throw withoutPlace(file, 'dockerfile contains no stages to build')
  checkStages(dockerfile.stages, linter)
  return dockerfile
}

/** The stages of a syntax tree; there may be none. @throws DESCRIPTION_INVALID */
export function readStages(
  tree: SyntaxTree,
  source: { readonly text: string; readonly file: string },
  linter: Linter,
): ParsedDockerfile {
  const globalArguments: ArgInstruction[] = []
  const stages: OpenStage[] = []
  for (const { line } of tree.emptyContinuations)
    linter.report('NoEmptyContinuation', 'Empty continuation line', {
      startLine: line,
      endLine: line,
    })
  for (const node of tree.nodes) {
    checkNode(node, linter)
    const instruction = typedInstruction(node, source.file)
    checkInstruction(instruction, linter)
    const stage = stages.at(-1)
    if (instruction.kind === 'from') stages.push({ from: instruction, instructions: [] })
    else if (stage !== undefined) stage.instructions.push(instruction)
    else if (instruction.kind === 'arg') globalArguments.push(instruction)
    else throw withoutStage(instruction, source.file)
  }
  return { ...source, escape: tree.escape, globalArguments, stages: stages.map(closeStage) }
}

interface OpenStage {
  readonly from: FromInstruction
  readonly instructions: Instruction[]
}

function closeStage({ from, instructions }: OpenStage): DockerfileStage {
  const { kind: _, ...stage } = from
  return { ...stage, instructions }
}

function typedInstruction(node: InstructionNode, file: string): Instruction | FromInstruction {
  try {
    return parseInstruction(node, file)
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    throw new KauriError(
      error.code,
      `dockerfile parse error on line ${node.startLine}: ${error.message}`,
      { hint: error.hint, where: error.where, cause: error },
    )
  }
}

function withoutStage({ startLine }: Instruction, file: string): KauriError {
  return new KauriError('DESCRIPTION_INVALID', 'no build stage in current context', {
    hint: 'begin with FROM; only ARG may stand before it',
    where: { file, line: startLine, column: 1 },
  })
}

function withoutPlace(file: string, message: string): KauriError {
  return new KauriError('DESCRIPTION_INVALID', message, { where: { file, line: 1, column: 1 } })
}
