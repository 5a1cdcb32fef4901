// FROM: what a stage starts from, and its name.

import { quoteGo } from './go-values.ts'
import { commonOf, descriptionOf } from './instruction-common.ts'
import { readFlags, refused } from './instruction-flags.ts'
import type { FromInstruction } from './instructions.ts'
import type { InstructionNode } from './syntax-tree.ts'

const stageNameForm = /^[a-z][a-z0-9\-_.]*$/

/** @throws DESCRIPTION_INVALID */
export function readFrom(node: InstructionNode): FromInstruction {
  const name = stageNameOf(node.words)
  const flags = readFlags(node.flags, { platform: 'text' })
  return {
    kind: 'from',
    ...commonOf(node),
    name,
    baseName: node.words[0] ?? '',
    platform: flags.text('platform') ?? '',
    description: descriptionOf(node.comments, name),
  }
}

function stageNameOf(words: readonly string[]): string {
  const [, as = '', written = ''] = words
  if (words.length === 1) return ''
  if (words.length !== 3 || as.toLowerCase() !== 'as')
    throw refused('FROM requires either one or three arguments')
  const name = written.toLowerCase()
  if (!stageNameForm.test(name))
    throw refused(
      `invalid name for build stage: ${quoteGo(written)}, name can't start with a number or contain symbols`,
    )
  return name
}
