// `kauri oci resume`: processes of a paused container go on.

import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci resume',
  summary: 'Let the processes of a paused container go on',
  operands: 'ID',
  minOperands: 1,
  maxOperands: 1,
  options: [],
  async run({ positionals: [id = ''], host }) {
    const { getContainer } = await import('../../oci-runtime/oci-host.ts')
    getContainer(host, id)
    await host.runtime.resume(id)
    return 0
  },
})
