// `kauri events`: what happens to containers.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'events',
  summary: 'Show what happens to containers',
  details: [
    'Goes on until it is stopped, or until the time of --until. Filters: container, event, image, label, type.',
  ],
  options: [
    { long: 'filter', short: 'f', value: 'KEY=VALUE', repeat: true, summary: 'Only what fits' },
    { long: 'format', value: 'FORMAT', summary: 'json, or a Go template' },
    { long: 'since', value: 'TIME', summary: 'Also what happened since then' },
    { long: 'until', value: 'TIME', summary: 'End at that time' },
  ],
  async run(input) {
    const { eventsCommand } = await import('../events-command.ts')
    return await eventsCommand(input)
  },
}
