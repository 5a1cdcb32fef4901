// `kauri oci exec`: one more process in a running container.

import hostProcess from 'node:process'
import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'
import { processOptions, readExecProcess } from '../oci-process-options.ts'
import { signalRelay } from '../signal-relay.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci exec',
  summary: 'Run a process in a running container',
  operands: 'ID [COMMAND] [ARG...]',
  minOperands: 1,
  stopsAtOperand: true,
  containerExitCodes: true,
  options: [
    ...processOptions,
    { long: 'console-socket', value: 'FILE', summary: 'Unix socket that gets the terminal' },
    { long: 'pid-file', value: 'FILE', summary: 'Write the id of the process to a file' },
    { long: 'detach', short: 'd', summary: 'Do not wait for its end' },
    { long: 'preserve-fds', value: 'N', summary: 'Hand on N descriptors from 3 on' },
  ],
  lendsStreams: true,
  async run({ options, positionals: [id = '', ...args], context, host }) {
    const { getContainer } = await import('../../oci-runtime/oci-host.ts')
    const { execInContainer } = await import('../../oci-runtime/exec-container.ts')
    const { preservedDescriptors } = await import('../../oci-runtime/preserved-descriptors.ts')
    const process = await readExecProcess(options, args, getContainer(host, id).status)
    const detach = options.flag('detach')
    const consoleSocket = options.text('console-socket')
    using signals = signalRelay(context, consoleSocket === undefined && process.terminal === true)
    if (!detach) signals.listen()
    return await execInContainer(
      {
        id,
        process,
        pidFile: options.text('pid-file'),
        consoleSocket,
        detach,
        preserveFds: preservedDescriptors({
          preserved: options.text('preserve-fds'),
          listening: undefined,
          inherited: hostProcess.env['KAURI_INHERITED_FDS'],
        }),
        onStart: program => {
          if (!detach) signals.attach(program)
        },
      },
      host,
    )
  },
})
