// `kauri oci pause`: all processes of a container stop where they are.

import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci pause',
  summary: 'Stop all processes of a container where they are',
  operands: 'ID',
  minOperands: 1,
  maxOperands: 1,
  options: [],
  async run({ positionals: [id = ''], host }) {
    const { getContainer } = await import('../../oci-runtime/oci-host.ts')
    getContainer(host, id)
    await host.runtime.pause(id)
    return 0
  },
})
