// Instructions that set one thing of the image's configuration: EXPOSE, USER, WORKDIR, VOLUME, STOPSIGNAL, HEALTHCHECK,
// and MAINTAINER.

import { parseHealthcheck } from './healthcheck.ts'
import { commonOf, oneArgument, requireArguments } from './instruction-common.ts'
import { readFlags, refused } from './instruction-flags.ts'
import type {
  ExposeInstruction,
  HealthcheckInstruction,
  MaintainerInstruction,
  StopsignalInstruction,
  UserInstruction,
  VolumeInstruction,
  WorkdirInstruction,
} from './instructions.ts'
import type { InstructionNode } from './syntax-tree.ts'

/** @throws DESCRIPTION_INVALID */
export function readExpose(node: InstructionNode): ExposeInstruction {
  requireArguments(node)
  readFlags(node.flags, {})
  const ports = node.words.toSorted()
  return { kind: 'expose', ...commonOf(node), ports }
}

/** @throws DESCRIPTION_INVALID */
export function readUser(node: InstructionNode): UserInstruction {
  const user = oneArgument(node)
  readFlags(node.flags, {})
  return { kind: 'user', ...commonOf(node), user }
}

/** @throws DESCRIPTION_INVALID */
export function readWorkdir(node: InstructionNode): WorkdirInstruction {
  const path = oneArgument(node)
  readFlags(node.flags, {})
  return { kind: 'workdir', ...commonOf(node), path }
}

/** Flags of STOPSIGNAL mean nothing and are no error, as in BuildKit. @throws DESCRIPTION_INVALID */
export function readStopsignal(node: InstructionNode): StopsignalInstruction {
  return { kind: 'stopsignal', ...commonOf(node), signal: oneArgument(node) }
}

/** @throws DESCRIPTION_INVALID */
export function readMaintainer(node: InstructionNode): MaintainerInstruction {
  const name = oneArgument(node)
  readFlags(node.flags, {})
  return { kind: 'maintainer', ...commonOf(node), name }
}

/** @throws DESCRIPTION_INVALID */
export function readVolume(node: InstructionNode): VolumeInstruction {
  requireArguments(node)
  readFlags(node.flags, {})
  const paths = node.words.map(word => word.trim())
  if (paths.includes('')) throw refused('VOLUME specified can not be an empty string')
  return { kind: 'volume', ...commonOf(node), paths }
}

/** @throws DESCRIPTION_INVALID */
export function readHealthcheck(node: InstructionNode): HealthcheckInstruction {
  return { kind: 'healthcheck', ...commonOf(node), healthcheck: parseHealthcheck(node) }
}
