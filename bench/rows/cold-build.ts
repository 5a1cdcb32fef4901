// A Debian base image from nothing, downloads included: kauri makes an image, mmdebstrap only a directory, kiwi-ng an image.

import path from 'node:path'
import { type Bench, projectRoot } from '../context.ts'
import { kiwiSeconds } from '../kiwi.ts'
import { type Contender, findProgram, medianOfRounds, runCommand } from '../measure.ts'
import type { Line, Row } from '../table.ts'

const rounds = 5
const work = 'Debian base image from a description, cold'

export const row: Row = {
  summary: 'a Debian base image, cold: kauri, mmdebstrap, kiwi-ng',
  measure: async bench => {
    const medians = await medianOfRounds([kauri(bench), ...mmdebstrap(bench)], rounds)
    const own = medians.get('kauri') ?? Number.NaN
    const lines: Line[] = []
    const directoryOnly = medians.get('mmdebstrap')
    if (directoryOnly !== undefined) {
      const peer = { name: 'mmdebstrap, to a directory, no image', value: directoryOnly }
      lines.push({ work, unit: 's', kauri: own, peer, atMost: 1 })
    }
    for (const [compress, atMost] of [
      [true, 0.15],
      [false, 0.4],
    ] as const) {
      const seconds = await kiwiSeconds(bench, compress)
      if (seconds === undefined) continue
      const name = `kiwi-ng${compress ? '' : ', outer compression off'}`
      lines.push({ work, unit: 's', kauri: own, peer: { name, value: seconds }, atMost })
    }
    return lines
  },
}

/** Each round has a state directory of its own: nothing is cached, nothing was downloaded. */
function kauri(bench: Bench): Contender {
  return {
    name: 'kauri',
    measure: async () => {
      const target = await bench.directory('target')
      const description = path.join(projectRoot, 'descriptions/debian-bookworm')
      const args = ['system', 'build', '--description', description, '--target-dir', target]
      const command = bench.kauri(args, await bench.directory('state'))
      return (await runCommand(command, bench.signal)).seconds
    },
  }
}

function mmdebstrap(bench: Bench): Contender[] {
  if (findProgram('mmdebstrap') === undefined) {
    bench.say('   skipped: mmdebstrap is not installed')
    return []
  }
  return [
    {
      name: 'mmdebstrap',
      measure: async () => {
        const target = path.join(await bench.directory('mmdebstrap'), 'root')
        const packages = '--include=ca-certificates'
        const argv = ['mmdebstrap', '--quiet', '--variant=minbase', packages, 'bookworm', target]
        return (await runCommand({ argv, env: {} }, bench.signal)).seconds
      },
    },
  ]
}
