// Start-up: the floor of every command.

import path from 'node:path'
import { projectRoot } from '../context.ts'
import { medianByHyperfine } from '../measure.ts'
import type { Row } from '../table.ts'

export const row: Row = {
  summary: 'kauri --version against node -e 0 of the same Node',
  measure: async bench => {
    const node = path.join(projectRoot, 'node_modules/.bin/node')
    const medians = await medianByHyperfine(
      { kauri: bench.kauri(['--version']), node: { argv: [node, '-e', '0'], env: {} } },
      bench.signal,
    )
    if (medians === undefined) return bench.say('   skipped: hyperfine is not installed') ?? []
    const [kauri = Number.NaN, peer = Number.NaN] = [medians.get('kauri'), medians.get('node')]
    return [
      {
        work: '`kauri --version`',
        unit: 'ms',
        kauri: kauri * 1000,
        peer: { name: '`node -e 0`', value: peer * 1000 },
        atMost: 1.5,
      },
    ]
  },
}
