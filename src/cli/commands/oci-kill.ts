// `kauri oci kill`: a signal for a container.

import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci kill',
  summary: 'Send a signal to a container',
  operands: 'ID [SIGNAL]',
  minOperands: 1,
  maxOperands: 2,
  options: [{ long: 'all', short: 'a', summary: 'Send it to every process of the container' }],
  async run({ options, positionals: [id = '', signal = 'TERM'], host }) {
    const { killContainer } = await import('../../oci-runtime/end-container.ts')
    killContainer({ id, signal, all: options.flag('all') }, host)
    return 0
  },
})
