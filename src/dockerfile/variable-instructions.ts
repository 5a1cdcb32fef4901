// ENV, LABEL and ARG: names and values.

import { commonOf, descriptionOf, requireArguments } from './instruction-common.ts'
import { readFlags, refused } from './instruction-flags.ts'
import type {
  ArgInstruction,
  BuildArgument,
  EnvInstruction,
  LabelInstruction,
  NamedValue,
} from './instructions.ts'
import type { InstructionNode } from './syntax-tree.ts'

/** @throws DESCRIPTION_INVALID */
export function readEnv(node: InstructionNode): EnvInstruction {
  return { kind: 'env', ...commonOf(node), pairs: readPairs(node) }
}

/** @throws DESCRIPTION_INVALID */
export function readLabel(node: InstructionNode): LabelInstruction {
  return { kind: 'label', ...commonOf(node), pairs: readPairs(node) }
}

function readPairs(node: InstructionNode): NamedValue[] {
  readFlags(node.flags, {})
  requireArguments(node)
  const pairs: NamedValue[] = []
  for (let at = 0; at < node.words.length; at += 3) {
    const [name = '', value = '', delimiter = ''] = node.words.slice(at, at + 3)
    if (name === '') throw blankName(node)
    pairs.push({ name, value, isLegacy: delimiter === '' })
  }
  return pairs
}

/** Flags of ARG mean nothing and are no error, as in BuildKit. @throws DESCRIPTION_INVALID */
export function readArg(node: InstructionNode): ArgInstruction {
  requireArguments(node)
  return {
    kind: 'arg',
    ...commonOf(node),
    arguments: node.words.map(word => argumentOf(word, node)),
  }
}

function argumentOf(word: string, node: InstructionNode): BuildArgument {
  const equals = word.indexOf('=')
  const name = equals < 0 ? word : word.slice(0, equals)
  if (equals === 0) throw blankName(node)
  const description = descriptionOf(node.comments, name)
  return equals < 0 ? { name, description } : { name, value: word.slice(equals + 1), description }
}

function blankName(node: InstructionNode): Error {
  return refused(`${node.keyword.toUpperCase()} names can not be blank`)
}
