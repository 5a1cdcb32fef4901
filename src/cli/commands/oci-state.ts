// `kauri oci state`: what is known of a container, as the specification has it.

import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci state',
  summary: 'Show the state of a container as JSON',
  operands: 'ID',
  minOperands: 1,
  maxOperands: 1,
  options: [],
  async run({ positionals: [id = ''], context, host }) {
    const { getContainer, stateOf } = await import('../../oci-runtime/oci-host.ts')
    const state = stateOf(getContainer(host, id))
    context.printJson(state)
    for (const line of JSON.stringify(state, undefined, 2).split('\n')) context.print(line)
    return 0
  },
})
