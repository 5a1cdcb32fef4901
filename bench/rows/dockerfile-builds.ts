// Builds from Dockerfiles: everything cached over small and large contexts, and a cold one with many small files.

import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type Builder, openBuilders } from '../builders.ts'
import type { Bench } from '../context.ts'
import { type Contender, medianOfRounds, runCommand } from '../measure.ts'
import type { Line, Row } from '../table.ts'

const rounds = 5
const base = 'bench/base:1'

export const row: Row = {
  summary: 'builds from a Dockerfile: cached, cold, many files',
  measure: async bench => {
    const builders = await openBuilders(bench, base)
    return [
      ...(await measureCached(bench, builders)),
      ...(await measureLarge(bench, builders)),
      ...(await measureCold(bench, builders)),
    ]
  },
}

const twelveSteps = `FROM ${base}
ENV MODE=production
WORKDIR /app
COPY 0 first/
RUN ls first > list
COPY . .
RUN ls > files
RUN echo built > result
LABEL purpose=bench
EXPOSE 8080
USER nobody
CMD ["cat", "result"]
`

async function measureCached(bench: Bench, builders: readonly Builder[]): Promise<Line[]> {
  const context = await makeContext(bench, { files: 2000, fileBytes: 10_000 })
  await writeFile(path.join(context, 'Dockerfile'), twelveSteps)
  const medians = await medianOfRounds(
    builders.map(builder => contender(bench, builder, () => [context])),
    rounds,
  )
  return linesOf('12 steps, 2,000 files, all cached', medians, {
    'docker classic': 0.25,
    BuildKit: 0.9,
    'buildah bud --layers': 0.15,
  })
}

/** Over 50,000 files, and over twice as many: the time must grow with them and no faster. */
async function measureLarge(bench: Bench, builders: readonly Builder[]): Promise<Line[]> {
  const kauri = builders.filter(({ name }) => name === 'kauri')
  const seconds: number[] = []
  const peaks: number[] = []
  for (const files of [50_000, 100_000]) {
    const context = await makeContext(bench, { files, fileBytes: 100 })
    await writeFile(path.join(context, 'Dockerfile'), twelveSteps)
    const medians = await medianOfRounds(
      kauri.map(builder => contender(bench, builder, () => [context], peaks)),
      rounds,
    )
    seconds.push(medians.get('kauri') ?? Number.NaN)
  }
  const [small = Number.NaN, large = Number.NaN] = seconds
  return [
    { work: '12 steps, 50,000 files, all cached', unit: 's', kauri: small, atMost: 1.2 },
    {
      work: '12 steps, 100,000 files, all cached',
      unit: 's',
      kauri: large,
      peer: { name: 'kauri, 50,000 files', value: small },
      atMost: 2.2,
    },
    {
      work: 'peak memory, build over 100,000 files',
      unit: 'MB',
      kauri: Math.max(...peaks) / 1e6,
      atMost: 200,
    },
  ]
}

const tenSteps = `FROM ${base}
ENV MODE=production
WORKDIR /app
COPY . .
RUN ls > files
RUN echo built > result
RUN mkdir out && cp result out/
LABEL purpose=bench
EXPOSE 8080
CMD ["cat", "result"]
`

/** Every round has a context of its own, whose files no builder has seen. */
async function measureCold(bench: Bench, builders: readonly Builder[]): Promise<Line[]> {
  const contexts: string[] = []
  for (let round = 0; round <= rounds; round++) {
    const context = await makeContext(bench, { files: 20_000, fileBytes: 2_900, salt: round })
    await writeFile(path.join(context, 'Dockerfile'), tenSteps)
    contexts.push(context)
  }
  const rivals = builders.filter(({ name }) => name === 'kauri' || name === 'BuildKit')
  const medians = await medianOfRounds(
    rivals.map(builder => contender(bench, builder, round => [contexts[round] ?? ''])),
    rounds,
  )
  return linesOf('10 steps, COPY of 20,000 small files, cold', medians, { BuildKit: 0.7 })
}

function contender(
  bench: Bench,
  { name, build }: Builder,
  args: (round: number) => readonly string[],
  peaks: number[] = [],
): Contender {
  return {
    name,
    measure: async round => {
      const { seconds, peakBytes } = await runCommand(build(args(round)), bench.signal)
      peaks.push(peakBytes)
      return seconds
    },
  }
}

interface ContextSize {
  readonly files: number
  readonly fileBytes: number
  /** Makes the contents differ from those of other contexts. */
  readonly salt?: number
}

const filesInDirectory = 250

async function makeContext(
  bench: Bench,
  { files, fileBytes, salt = 0 }: ContextSize,
): Promise<string> {
  const context = await bench.directory('context')
  for (let index = 0; index < files; index++) {
    const directory = path.join(context, String(Math.floor(index / filesInDirectory)))
    if (index % filesInDirectory === 0) await mkdir(directory)
    const text = `${salt} ${index} `.padEnd(fileBytes, 'a line of a file\n')
    await writeFile(path.join(directory, `${index}.txt`), text)
  }
  return context
}

function linesOf(
  work: string,
  medians: ReadonlyMap<string, number>,
  atMost: Readonly<Record<string, number>>,
): Line[] {
  const kauri = medians.get('kauri') ?? Number.NaN
  return [...medians]
    .filter(([name]) => name !== 'kauri')
    .map(([name, value]) => ({
      work,
      unit: 's',
      kauri,
      peer: { name, value },
      atMost: atMost[name],
    }))
}
