// `kauri commit`: an image from what a container changed.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'commit',
  summary: "Make an image from a container's changes",
  details: [
    'What the container changed becomes a layer on top of its image; volumes stay out. The new image starts as the container was started, with the changes of -c. Prints the digest.',
  ],
  operands: 'CONTAINER [NAME[:TAG]]',
  minOperands: 1,
  maxOperands: 2,
  options: [
    { long: 'author', short: 'a', value: 'AUTHOR', summary: 'Author of the image' },
    {
      long: 'change',
      short: 'c',
      value: 'INSTRUCTION',
      repeat: true,
      summary: 'Apply an instruction of Dockerfiles, such as CMD or ENV',
    },
    { long: 'message', short: 'm', value: 'TEXT', summary: 'Comment in the history' },
    {
      long: 'pause',
      short: 'p',
      value: 'BOOLEAN',
      summary: 'Hold the container meanwhile, true by default',
    },
  ],
  async run(input) {
    const { commitCommand } = await import('../commit-command.ts')
    return await commitCommand(input)
  },
}
