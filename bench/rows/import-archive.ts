// A root file system from a tar, until a first container of it has run.

import { copyFile, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Bench } from '../context.ts'
import { type Command, type Contender, medianOfRounds, runCommand } from '../measure.ts'
import type { Line, Row } from '../table.ts'

const rounds = 5

type MakeCommand = (args: readonly string[]) => Promise<Command | undefined> | Command

export const row: Row = {
  summary: 'import of a root tar, and the first run of it',
  measure: async bench => {
    const archives = await distinctArchives(bench)
    const sizeMB = Math.round((await stat(archives[0] ?? '')).size / 1e6)
    const makers: Record<string, MakeCommand> = {
      kauri: bench.kauri,
      docker: bench.docker,
      podman: bench.podman,
    }
    const imports: Contender[] = []
    const withRun: Contender[] = []
    const imported = new Map<string, number>()
    for (const [name, make] of Object.entries(makers)) {
      if ((await make(['version'])) === undefined) continue
      const time = async (args: readonly string[]): Promise<number> => {
        const command = await make(args)
        return command === undefined
          ? Number.NaN
          : (await runCommand(command, bench.signal)).seconds
      }
      withRun.push({
        name,
        measure: async round => {
          const image = `bench/round:${round}`
          const importSeconds = await time(['import', archives[round] ?? '', image])
          imported.set(`${name} ${round}`, importSeconds)
          return (
            importSeconds +
            (await time(['run', '--rm', '--network', 'none', ...limits(name), image, 'true']))
          )
        },
      })
      // Replays what was measured on the way: both lines are of the same rounds.
      imports.push({
        name,
        measure: async round => imported.get(`${name} ${round}`) ?? Number.NaN,
      })
    }
    const both = await medianOfRounds(withRun, rounds)
    const alone = await medianOfRounds(imports, rounds)
    return [
      ...linesOf(`import ${sizeMB} MB`, alone, { docker: 0.7, podman: 0.4 }),
      ...linesOf(`import ${sizeMB} MB and first run`, both, { docker: 0.7 }),
    ]
  },
}

function limits(name: string): readonly string[] {
  if (name !== 'podman') return []
  return ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000']
}

function linesOf(
  work: string,
  medians: ReadonlyMap<string, number>,
  atMost: Readonly<Record<string, number>>,
): Line[] {
  return [...medians]
    .filter(([name]) => name !== 'kauri')
    .map(([name, value]) => ({
      work,
      unit: 's',
      kauri: medians.get('kauri') ?? Number.NaN,
      peer: { name, value },
      atMost: atMost[name],
    }))
}

/** One archive for each round, each with a file of its own: a store that knows a layer already would do nothing. */
async function distinctArchives(bench: Bench): Promise<string[]> {
  const root = await bench.rootArchive()
  const directory = await bench.directory('archives')
  const archives: string[] = []
  for (let round = 0; round <= rounds; round++) {
    const archive = path.join(directory, `${round}.tar`)
    await copyFile(root, archive)
    await writeFile(path.join(directory, 'round'), `${round}\n`)
    const append = ['tar', '--append', '--file', archive, '--directory', directory, 'round']
    await runCommand({ argv: append, env: {} }, bench.signal)
    archives.push(archive)
  }
  return archives
}
