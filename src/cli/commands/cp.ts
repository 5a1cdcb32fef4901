// `kauri cp`: files between a container and the host.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'cp',
  summary: 'Copy files between a container and this machine',
  details: [
    'SRC and DEST are paths, one of them as CONTAINER:PATH, or - for a tar. A directory is copied with its name into one that is there, and under the new name where nothing is; SRC/. copies what is in it. The container need not run.',
  ],
  operands: 'SRC DEST',
  minOperands: 2,
  maxOperands: 2,
  options: [
    {
      long: 'archive',
      short: 'a',
      summary: 'Keep owners, devices and set-id bits, also of what is copied out',
    },
    { long: 'follow-link', short: 'L', summary: 'Copy what a link leads to' },
  ],
  async run(input) {
    const { copyCommand } = await import('../cp-command.ts')
    return await copyCommand(input)
  },
}
