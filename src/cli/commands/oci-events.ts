// `kauri oci events`: what a container uses, once or again and again until it ends.

import { setTimeout as delay } from 'node:timers/promises'
import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'
import { parseInteger } from '../option-values.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci events',
  summary: 'Show what a container uses as JSON lines',
  operands: 'ID',
  minOperands: 1,
  maxOperands: 1,
  options: [
    { long: 'stats', summary: 'Once' },
    { long: 'interval', value: 'SECONDS', summary: 'Time between two lines (5)' },
  ],
  async run({ options, positionals: [id = ''], context, host }) {
    const { getContainer } = await import('../../oci-runtime/oci-host.ts')
    const { statisticsEvent } = await import('../../oci-runtime/statistics.ts')
    const seconds = options.text('interval')?.replace(/s$/, '') ?? '5'
    const intervalMs = 1000 * parseInteger('--interval', seconds, { min: 1, max: 86_400 })
    for (let isFirst = true; ; isFirst = false) {
      const { status } = getContainer(host, id)
      if (status.status === 'stopped' && !isFirst) return 0
      context.print(JSON.stringify(statisticsEvent(id, host.runtime.stats(id))))
      if (options.flag('stats')) return 0
      await delay(intervalMs, undefined, { signal: context.signal })
    }
  },
})
