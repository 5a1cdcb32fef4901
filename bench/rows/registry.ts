// Images to and from a registry on loopback, beside skopeo: Debian's docker-registry serves both.

import { createHash, randomFillSync } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { startDockerRegistry } from '../../test/helpers/docker-registry.ts'
import { makeScratch } from '../../test/helpers/scratch.ts'
import type { Bench } from '../context.ts'
import {
  type Command,
  findProgram,
  hyperfineTimes,
  median,
  medianOfRounds,
  runCommand,
} from '../measure.ts'
import type { Line, Row } from '../table.ts'

const rounds = 5
const layers = 10
const layerBytes = 30 * 1024 * 1024
const limitMB = 150

export const row: Row = {
  summary: 'pull, copy and push with a local registry',
  measure: async bench => {
    if (findProgram('docker-registry') === undefined || findProgram('skopeo') === undefined) {
      bench.say('   skipped: docker-registry and skopeo are not both installed')
      return []
    }
    using scratch = makeScratch()
    await using registry = await startDockerRegistry(scratch)
    const layout = await makeLayout(bench)
    const image = `${registry.host}/bench/image:1`
    const push = [
      'copy',
      '-q',
      '--dest-tls-verify=false',
      `oci:${layout}:image`,
      `docker://${image}`,
    ]
    await runCommand({ argv: ['skopeo', ...push], env: {} }, bench.signal)
    return [
      ...(await measurePull(bench, image)),
      ...(await measureCopy(bench, image)),
      ...(await measurePush(bench, image)),
    ]
  },
}

/** Layers that no compression would make smaller, as a layout. */
async function makeLayout(bench: Bench): Promise<string> {
  const directory = await bench.directory('layout')
  const blobs = path.join(directory, 'blobs/sha256')
  await mkdir(blobs, { recursive: true })
  const put = async (bytes: Uint8Array): Promise<{ digest: string; size: number }> => {
    const hex = createHash('sha256').update(bytes).digest('hex')
    await writeFile(path.join(blobs, hex), bytes)
    return { digest: `sha256:${hex}`, size: bytes.byteLength }
  }
  const types = 'application/vnd.oci.image'
  const all = []
  for (let index = 0; index < layers; index++) {
    const bytes = randomFillSync(new Uint8Array(layerBytes))
    all.push({ mediaType: `${types}.layer.v1.tar`, ...(await put(bytes)) })
  }
  const rootfs = { type: 'layers', diff_ids: all.map(({ digest }) => digest) }
  const config = await put(
    Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs })),
  )
  const manifest = {
    schemaVersion: 2,
    mediaType: `${types}.manifest.v1+json`,
    config: { mediaType: `${types}.config.v1+json`, ...config },
    layers: all,
  }
  const entry = {
    mediaType: `${types}.manifest.v1+json`,
    ...(await put(Buffer.from(JSON.stringify(manifest)))),
    annotations: { 'org.opencontainers.image.ref.name': 'image' },
  }
  await writeFile(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  const index = { schemaVersion: 2, manifests: [entry] }
  await writeFile(path.join(directory, 'index.json'), JSON.stringify(index))
  return directory
}

const work = `${layers} layers of ${layerBytes / 1024 / 1024} MB`

async function measurePull(bench: Bench, image: string): Promise<Line[]> {
  const peaks: number[] = []
  const medians = await medianOfRounds(
    [
      {
        name: 'kauri',
        measure: async () => {
          const pull = bench.kauri(['pull', '-q', image], await bench.directory('pull'))
          const { seconds, peakBytes } = await runCommand(pull, bench.signal)
          peaks.push(peakBytes)
          return seconds
        },
      },
      {
        name: 'skopeo',
        measure: async () => {
          const target = `oci:${await bench.directory('pull')}/layout:image`
          return await skopeo(bench, ['--src-tls-verify=false', `docker://${image}`, target])
        },
      },
    ],
    rounds,
  )
  return [
    lineOf(`pull of ${work}`, medians),
    {
      work: `peak memory, pull of ${work}`,
      unit: 'MB',
      kauri: Math.max(...peaks) / 1e6,
      atMost: limitMB,
    },
  ]
}

/** Each time into an empty registry: both know to mount what a registry has already. */
async function measureCopy(bench: Bench, image: string): Promise<Line[]> {
  const intoEmpty = async (copy: (target: string) => Promise<number>): Promise<number> => {
    const directory = await bench.directory('registry')
    const place = { at: (...parts: readonly string[]) => path.join(directory, ...parts) }
    await using registry = await startDockerRegistry(place)
    return await copy(`docker://${registry.host}/bench/copy:1`)
  }
  const ways = ['--src-tls-verify=false', '--dest-tls-verify=false']
  const source = `docker://${image}`
  const medians = await medianOfRounds(
    [
      {
        name: 'kauri',
        measure: () =>
          intoEmpty(async target => {
            const command = bench.kauri(['copy', '-q', source, target])
            return (await runCommand(command, bench.signal)).seconds
          }),
      },
      {
        name: 'skopeo',
        measure: () => intoEmpty(target => skopeo(bench, [...ways, source, target])),
      },
    ],
    rounds,
  )
  return [lineOf(`copy of ${work}, registry to registry`, medians)]
}

/** Nothing is to be done: the tag says already what it should. */
async function measurePush(bench: Bench, image: string): Promise<Line[]> {
  const state = await bench.directory('push')
  await runCommand(bench.kauri(['pull', '-q', image], state), bench.signal)
  const commands: Record<string, Command> = {
    kauri: bench.kauri(['push', '-q', image], state),
    'kauri --version': bench.kauri(['--version'], state),
  }
  if (findProgram('hyperfine') === undefined) {
    bench.say('   skipped: hyperfine is not installed')
    return []
  }
  const medians = new Map<string, number>()
  for (const [name, command] of Object.entries(commands))
    medians.set(name, median(await hyperfineTimes(command, bench.signal)) * 1000)
  return [
    {
      work: 'push of what is there',
      unit: 'ms',
      kauri: medians.get('kauri') ?? Number.NaN,
      peer: { name: 'kauri --version', value: medians.get('kauri --version') ?? Number.NaN },
      atMost: 5,
    },
  ]
}

async function skopeo(bench: Bench, words: readonly string[]): Promise<number> {
  const argv = ['skopeo', 'copy', '-q', ...words]
  return (await runCommand({ argv, env: {} }, bench.signal)).seconds
}

function lineOf(what: string, medians: ReadonlyMap<string, number>): Line {
  return {
    work: what,
    unit: 's',
    kauri: medians.get('kauri') ?? Number.NaN,
    peer: { name: 'skopeo', value: medians.get('skopeo') ?? Number.NaN },
    atMost: 0.8,
  }
}
