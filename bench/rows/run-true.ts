// A container that does nothing: everything measured is the price of a container.

import { type Command, medianByHyperfine, runCommand } from '../measure.ts'
import type { Row } from '../table.ts'

const image = 'bench/root:1'

export const row: Row = {
  summary: 'run --rm --network none IMAGE true',
  measure: async bench => {
    const archive = await bench.rootArchive()
    const run = ['run', '--rm', '--network', 'none']
    const setUps = [
      bench.kauri(['import', archive, image]),
      await bench.docker(['import', archive, image]),
      await bench.podman(['import', archive, image]),
    ]
    for (const command of setUps) if (command !== undefined) await runCommand(command, bench.signal)
    // Limits that podman would raise, which it may not inside some containers.
    const ulimits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000']
    const commands: Record<string, Command> = { kauri: bench.kauri([...run, image, 'true']) }
    const docker = await bench.docker([...run, image, 'true'])
    const podman = await bench.podman([...run, ...ulimits, image, 'true'])
    if (docker !== undefined) commands['docker'] = docker
    if (podman !== undefined) commands['podman'] = podman
    const medians = await medianByHyperfine(commands, bench.signal)
    if (medians === undefined) return bench.say('   skipped: hyperfine is not installed') ?? []
    const kauri = (medians.get('kauri') ?? Number.NaN) * 1000
    return [...medians]
      .filter(([name]) => name !== 'kauri')
      .map(([name, seconds]) => ({
        work: '`run --rm --network none IMAGE true`',
        unit: 'ms',
        kauri,
        peer: { name, value: seconds * 1000 },
        atMost: 0.4,
      }))
  },
}
