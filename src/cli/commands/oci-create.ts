// `kauri oci create`: a container of a bundle, without its program.

import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'
import { createOptions, readCreateRequest } from '../oci-create-options.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci create',
  summary: 'Create a container from a bundle, without starting its program',
  operands: 'ID',
  minOperands: 1,
  maxOperands: 1,
  options: createOptions,
  lendsStreams: true,
  async run({ options, positionals: [id = ''], host }) {
    const { createContainer } = await import('../../oci-runtime/create-container.ts')
    await createContainer(await readCreateRequest(id, options, false), host)
    return 0
  },
})
