// A container that does nothing, on the bridge, on a host network of the bench's own: the machine's is left as it is.

import { startPrivateHost } from '../../test/helpers/private-host.ts'
import type { Bench } from '../context.ts'
import { startDocker } from '../docker-daemon.ts'
import { type Command, medianByHyperfine, runCommand } from '../measure.ts'
import type { Row } from '../table.ts'

const image = 'bench/root:1'
const work = '`run --rm IMAGE true`, on the bridge'

export const row: Row = {
  summary: 'run --rm --network bridge IMAGE true',
  measure: async bench => {
    using host = await startPrivateHost()
    const { signal } = bench
    await using daemon = await startDocker(await bench.directory('docker'), {
      signal,
      through: host.through,
    })
    const environment = daemon === undefined ? undefined : { DOCKER_HOST: daemon.host }
    const contenders: Record<string, (args: readonly string[]) => Promise<Command | undefined>> = {
      kauri: args => Promise.resolve(bench.kauri(args)),
      docker: args =>
        Promise.resolve(environment && { argv: ['docker', ...args], env: environment }),
      podman: args => bench.podman(args),
    }
    const commands: Record<string, Command> = {}
    for (const [name, contender] of Object.entries(contenders)) {
      const run = ['run', '--rm', '--network', 'bridge', ...limits(name), image, 'true']
      const command = await prepare(bench, contender, run)
      if (command === undefined) continue
      commands[name] = { ...command, argv: [...host.through, ...command.argv] }
    }
    const medians = await medianByHyperfine(commands, signal)
    if (medians === undefined) return bench.say('   skipped: hyperfine is not installed') ?? []
    const kauri = (medians.get('kauri') ?? Number.NaN) * 1000
    return [...medians]
      .filter(([name]) => name !== 'kauri')
      .map(([name, seconds]) => {
        const peer = { name, value: seconds * 1000 }
        return { work, unit: 'ms', kauri, peer, atMost: 0.5 }
      })
  },
}

/** Limits that podman would raise, which it may not inside some containers. */
function limits(name: string): readonly string[] {
  return name === 'podman' ? ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000'] : []
}

/** Imports the image and gives the command that runs it. */
async function prepare(
  bench: Bench,
  contender: (args: readonly string[]) => Promise<Command | undefined>,
  run: readonly string[],
): Promise<Command | undefined> {
  const importing = await contender(['import', await bench.rootArchive(), image])
  if (importing === undefined) return undefined
  await runCommand(importing, bench.signal)
  return await contender(run)
}
