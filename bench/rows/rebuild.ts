// The second build of a description: with nothing changed, and with a change in config.sh.

import { appendFile, cp, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { projectRoot } from '../context.ts'
import { kiwiSeconds } from '../kiwi.ts'
import { medianOfRounds, runCommand } from '../measure.ts'
import type { Row } from '../table.ts'

const rounds = 5
const unchangedAtMostSeconds = 1.5

export const row: Row = {
  summary: 'a second build: nothing changed, config.sh changed',
  measure: async bench => {
    const description = await bench.directory('description')
    await cp(path.join(projectRoot, 'descriptions/debian-bookworm'), description, {
      recursive: true,
    })
    await writeFile(path.join(description, 'config.sh'), '#!/bin/sh\necho built > /etc/motd\n', {
      mode: 0o755,
    })
    const build = async (): Promise<number> => {
      const target = await bench.directory('target')
      const args = ['system', 'build', '--description', description, '--target-dir', target]
      return (await runCommand(bench.kauri(args), bench.signal)).seconds
    }
    await build()
    const unchanged = await medianOfRounds([{ name: 'kauri', measure: build }], rounds)
    const changed = await medianOfRounds(
      [
        {
          name: 'kauri',
          prepare: round => appendFile(path.join(description, 'config.sh'), `\n# round ${round}\n`),
          measure: build,
        },
      ],
      rounds,
    )
    const kiwi = await kiwiSeconds(bench, true)
    return [
      {
        work: 'rebuild, nothing changed',
        unit: 's',
        kauri: unchanged.get('kauri') ?? Number.NaN,
        atMost: unchangedAtMostSeconds,
      },
      {
        work: 'rebuild, config.sh changed',
        unit: 's',
        kauri: changed.get('kauri') ?? Number.NaN,
        ...(kiwi === undefined ? {} : { peer: { name: 'kiwi-ng', value: kiwi }, atMost: 0.03 }),
      },
    ]
  },
}
