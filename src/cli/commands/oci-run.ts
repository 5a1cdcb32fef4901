// `kauri oci run`: create and start; in the foreground also wait and delete.

import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'
import { createOptions, readCreateRequest } from '../oci-create-options.ts'
import { signalRelay } from '../signal-relay.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci run',
  summary: 'Create and start a container, wait for its end and delete it',
  operands: 'ID',
  minOperands: 1,
  maxOperands: 1,
  options: [
    ...createOptions,
    { long: 'detach', short: 'd', summary: 'Do not wait for the end' },
    { long: 'keep', summary: 'Leave the stopped container' },
  ],
  lendsStreams: true,
  async run({ options, positionals: [id = ''], context, host }) {
    const { runBundle } = await import('../../oci-runtime/run-bundle.ts')
    const stays = !options.flag('detach')
    const request = await readCreateRequest(id, options, stays)
    using signals = signalRelay(context, request.consoleSocket === undefined)
    return await runBundle(
      {
        ...request,
        keep: options.flag('keep'),
        onCreated: ({ pid }) => {
          if (!stays) return
          signals.listen()
          signals.attach({ pid, kill: name => host.runtime.kill(id, name) })
        },
      },
      host,
    )
  },
})
