// The build checks that see words only: casing, names of stages, comments. Those that need variables, images or the
// context are reported where these are known.

import { checkDetails } from './check-rules.ts'
import type { DockerfileStage, FromInstruction, Instruction } from './instructions.ts'
import type { CheckPlace, Linter } from './linter.ts'
import type { InstructionNode } from './syntax-tree.ts'

/** Checks what is known of an instruction before it is understood. */
export function checkNode(node: InstructionNode, linter: Linter): void {
  const keyword = node.keyword.toLowerCase()
  if (keyword === 'maintainer')
    linter.report('MaintainerDeprecated', checkDetails.maintainerDeprecated(), node)
  if (keyword === 'from') checkFromCasing(node, linter)
}

function checkFromCasing(node: InstructionNode, linter: Linter): void {
  const { keyword, words } = node
  const [, as, name] = words
  if (words.length === 3 && name !== undefined && name !== name.toLowerCase())
    linter.report('StageNameCasing', checkDetails.stageNameCasing(name), node)
  if (as === undefined || words.length < 3 || !isOneCase(keyword)) return
  const expected = isLower(keyword) ? as.toLowerCase() : as.toUpperCase()
  if (as !== expected) linter.report('FromAsCasing', checkDetails.fromAsCasing(keyword, as), node)
}

/** Checks the comment above a stage or an argument. */
export function checkInstruction(instruction: Instruction | FromInstruction, linter: Linter): void {
  if (instruction.kind === 'from' && instruction.name !== '')
    checkDescription('FROM', [instruction.name], instruction, linter)
  if (instruction.kind === 'arg')
    checkDescription(
      'ARG',
      instruction.arguments.map(({ name }) => name),
      instruction,
      linter,
    )
}

function checkDescription(
  keyword: 'FROM' | 'ARG',
  names: readonly string[],
  instruction: CheckPlace,
  linter: Linter,
): void {
  const comment = instruction.comments?.at(-1)
  const [first = ''] = names
  if (comment === undefined || names.includes(comment.split(' ')[0] ?? '')) return
  const example = names.length > 1 ? '<arg_key>' : first
  linter.report(
    'InvalidDefinitionDescription',
    checkDetails.invalidDefinitionDescription(keyword, example),
    instruction,
  )
}

/** Checks what the stages of a file have to do with each other; comments above an instruction skip none of it. */
export function checkStages(stages: readonly DockerfileStage[], linter: Linter): void {
  checkStageNames(stages, linter)
  checkKeywordCasing(stages, linter)
}

const reservedNames = new Set(['context', 'scratch'])

function checkStageNames(stages: readonly DockerfileStage[], linter: Linter): void {
  const seen = new Set<string>()
  for (const { name, startLine, endLine } of stages) {
    if (name === '') continue
    const place = { startLine, endLine }
    if (reservedNames.has(name))
      linter.report('ReservedStageName', checkDetails.reservedStageName(name), place)
    if (seen.has(name))
      linter.report('DuplicateStageName', checkDetails.duplicateStageName(name), place)
    seen.add(name)
  }
}

function checkKeywordCasing(stages: readonly DockerfileStage[], linter: Linter): void {
  const all = stages.flatMap(stage => [stage, ...stage.instructions])
  const settled = all.filter(({ keyword }) => isOneCase(keyword))
  const lower = settled.filter(({ keyword }) => isLower(keyword)).length
  const casing = lower > settled.length - lower ? 'lowercase' : 'uppercase'
  for (const { keyword, startLine, endLine } of all) {
    const wanted = casing === 'lowercase' ? keyword.toLowerCase() : keyword.toUpperCase()
    if (keyword !== wanted)
      linter.report(
        'ConsistentInstructionCasing',
        checkDetails.consistentInstructionCasing(keyword, casing),
        { startLine, endLine },
      )
  }
}

function isLower(word: string): boolean {
  return word === word.toLowerCase()
}

function isOneCase(word: string): boolean {
  return isLower(word) || word === word.toUpperCase()
}
