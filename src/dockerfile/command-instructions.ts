// RUN, CMD, ENTRYPOINT and SHELL: commands as a JSON list, or as one text for a shell.

import { quoteGo } from './go-values.ts'
import { commonOf } from './instruction-common.ts'
import { readFlags, refused } from './instruction-flags.ts'
import type {
  CmdInstruction,
  CommandLine,
  EntrypointInstruction,
  RunInstruction,
  ShellInstruction,
} from './instructions.ts'
import { parseDevice } from './run-device.ts'
import { checkMountForm } from './run-mount.ts'
import type { InstructionNode } from './syntax-tree.ts'

const networks = ['default', 'none', 'host'] as const
const securities = ['sandbox', 'insecure'] as const

/** @throws DESCRIPTION_INVALID; mounts are read later, when variables are known */
export function readRun(node: InstructionNode): RunInstruction {
  const flags = readFlags(node.flags, {
    mount: 'texts',
    network: 'text',
    security: 'text',
    device: 'texts',
  })
  const mounts = flags.texts('mount')
  const networkText = flags.text('network') ?? 'default'
  const securityText = flags.text('security') ?? 'sandbox'
  const devices = flags.texts('device').map(parseDevice)
  for (const mount of mounts) checkMountForm(mount)
  const network = networks.find(word => word === networkText)
  if (network === undefined) throw refused(`invalid network mode ${quoteGo(networkText)}`)
  const security = securities.find(word => word === securityText)
  if (security === undefined) throw refused(`security ${quoteGo(securityText)} is not valid`)
  const options = { mounts, network, security, devices, flagsUsed: flags.used }
  return { kind: 'run', ...commonOf(node), ...commandLine(node), ...options }
}

/** @throws DESCRIPTION_INVALID for flags, of which it has none */
export function readCmd(node: InstructionNode): CmdInstruction {
  readFlags(node.flags, {})
  return { kind: 'cmd', ...commonOf(node), ...commandLine(node) }
}

/** @throws DESCRIPTION_INVALID for flags, of which it has none */
export function readEntrypoint(node: InstructionNode): EntrypointInstruction {
  readFlags(node.flags, {})
  return { kind: 'entrypoint', ...commonOf(node), ...commandLine(node) }
}

/** @throws DESCRIPTION_INVALID for anything but a JSON list */
export function readShell(node: InstructionNode): ShellInstruction {
  readFlags(node.flags, {})
  if (node.words.length === 0) throw refused('SHELL requires at least one argument')
  if (!node.isJson) throw refused('SHELL requires the arguments to be in JSON form')
  return { kind: 'shell', ...commonOf(node), shell: node.words }
}

function commandLine({ words, isJson, heredocs }: InstructionNode): CommandLine {
  return {
    words,
    isJson,
    heredocs: heredocs.map(({ name, content, chomp, expand, fileDescriptor }) => ({
      name,
      text: content,
      chomp,
      expand,
      fileDescriptor,
    })),
  }
}
