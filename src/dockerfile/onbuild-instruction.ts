// ONBUILD: an instruction for those who build on the image, kept as text.

import { commonOf } from './instruction-common.ts'
import { readFlags, refused } from './instruction-flags.ts'
import type { OnbuildInstruction } from './instructions.ts'
import type { InstructionNode } from './syntax-tree.ts'

/** @throws DESCRIPTION_INVALID */
export function readOnbuild(node: InstructionNode): OnbuildInstruction {
  if (node.trigger === undefined) throw refused('ONBUILD requires at least one argument')
  readFlags(node.flags, {})
  const trigger = node.trigger.keyword.trim().toUpperCase()
  if (trigger === 'ONBUILD') throw refused("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
  if (trigger === 'MAINTAINER' || trigger === 'FROM')
    throw refused(`${trigger} isn't allowed as an ONBUILD trigger`)
  const line = node.original.replace(/^\s*ONBUILD\s*/i, '')
  const heredocs = node.heredocs.map(({ content, name }) => `\n${content}${name}`)
  return { kind: 'onbuild', ...commonOf(node), expression: line + heredocs.join('') }
}
