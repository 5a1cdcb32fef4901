// Layers of 300 MB and 13,000 files: unpacked, and packed again after one file in a hundred changed, beside umoci; a tree of 20,000
// small files packed beside GNU tar. Peak memory is kauri's alone.

import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Bench } from '../context.ts'
import { type Contender, findProgram, medianOfRounds, runCommand } from '../measure.ts'
import type { Line, Row } from '../table.ts'

const rounds = 5
const smallFiles = 20_000

export const row: Row = {
  summary: 'layers: unpack and repack beside umoci, pack beside tar',
  measure: async bench => [
    ...(await measureUnpack(bench)),
    ...(await measureRepack(bench)),
    ...(await measureSmallFiles(bench)),
  ],
}

/** An image that both have: kauri's store, and an OCI layout that umoci made of the same tar. */
interface Prepared {
  readonly image: string
  readonly layout: string
  readonly hasUmoci: boolean
  readonly state: string
}

let prepared: Promise<Prepared> | undefined

async function prepare(bench: Bench): Promise<Prepared> {
  const root = await bench.rootArchive()
  const directory = await bench.directory('layers')
  const layout = path.join(directory, 'layout')
  const state = path.join(directory, 'state')
  const hasUmoci = findProgram('umoci') !== undefined
  if (!hasUmoci) bench.say('   skipped: umoci is not installed')
  const image = 'bench/layers:1'
  if (hasUmoci) {
    for (const args of [
      ['init', '--layout', layout],
      ['new', '--image', `${layout}:base`],
      ['raw', 'add-layer', '--image', `${layout}:base`, root],
    ])
      await runCommand({ argv: ['umoci', ...args], env: {} }, bench.signal)
    await runCommand(bench.kauri(['copy', `oci:${layout}:base`, image], state), bench.signal)
  } else {
    await runCommand(bench.kauri(['import', root, image], state), bench.signal)
  }
  return { image, layout, hasUmoci, state }
}

/** kauri's time is that of a first `run`, container and all; each round has a state of its own that knows the blobs. */
async function measureUnpack(bench: Bench): Promise<Line[]> {
  prepared ??= prepare(bench)
  const { image, layout, hasUmoci, state } = await prepared
  const directory = await bench.directory('unpack')
  let peakBytes = 0
  const kauri: Contender = {
    name: 'kauri',
    prepare: async round => {
      const copy = ['cp', '-a', `${state}/.`, path.join(directory, `state-${round}`)]
      await runCommand({ argv: copy, env: {} }, bench.signal)
    },
    measure: async round => {
      const run = ['run', '--rm', '--network', 'none', image, 'true']
      const own = path.join(directory, `state-${round}`)
      const outcome = await runCommand(bench.kauri(run, own), bench.signal)
      peakBytes = Math.max(peakBytes, outcome.peakBytes)
      return outcome.seconds
    },
  }
  const umoci: Contender = {
    name: 'umoci',
    measure: async round => {
      const bundle = path.join(directory, `bundle-${round}`)
      const argv = ['umoci', 'unpack', '--image', `${layout}:base`, bundle]
      return (await runCommand({ argv, env: {} }, bench.signal)).seconds
    },
  }
  const medians = await medianOfRounds(hasUmoci ? [kauri, umoci] : [kauri], rounds)
  return [
    lineOf('unpack a layer, and a first run', medians, { peer: 'umoci', atMost: 0.8 }),
    {
      work: 'peak memory, unpack',
      unit: 'MB',
      kauri: peakBytes / 1e6,
      atMost: 150,
    },
  ]
}

/** A shell's words that change some 134 of 13,000 files. */
function script(mark: number, root: string): string {
  return `find ${root} -xdev -type f -name '*[05]' | head -n 134 | while read -r f; do echo ${mark} >> "$f"; done`
}

/** kauri builds an image with one more step, container and all; umoci packs a bundle that was changed in the same way. */
async function measureRepack(bench: Bench): Promise<Line[]> {
  prepared ??= prepare(bench)
  const { image, layout, hasUmoci, state } = await prepared
  const directory = await bench.directory('repack')
  const context = path.join(directory, 'context')
  await mkdir(context)
  const kauri: Contender = {
    name: 'kauri',
    measure: async round => {
      const file = path.join(directory, `Dockerfile-${round}`)
      await writeFile(file, `FROM ${image}\nRUN ${script(round, '/usr')}\n`)
      const build = [
        'build',
        '-q',
        '--network',
        'none',
        '-f',
        file,
        '-t',
        `again:${round}`,
        context,
      ]
      return (await runCommand(bench.kauri(build, state), bench.signal)).seconds
    },
  }
  const umoci: Contender = {
    name: 'umoci',
    prepare: async round => {
      const bundle = path.join(directory, `bundle-${round}`)
      const unpack = ['umoci', 'unpack', '--image', `${layout}:base`, bundle]
      await runCommand({ argv: unpack, env: {} }, bench.signal)
      const change = ['sh', '-c', script(round, `${bundle}/rootfs/usr`)]
      await runCommand({ argv: change, env: {} }, bench.signal)
    },
    measure: async round => {
      const bundle = path.join(directory, `bundle-${round}`)
      const argv = ['umoci', 'repack', '--image', `${layout}:again-${round}`, bundle]
      return (await runCommand({ argv, env: {} }, bench.signal)).seconds
    },
  }
  const medians = await medianOfRounds(hasUmoci ? [kauri, umoci] : [kauri], rounds)
  return [
    lineOf('change 1 % of the files in a container, repack', medians, {
      peer: 'umoci',
      atMost: 0.3,
    }),
  ]
}

/** Both write the same kind of tar of the same tree: kauri's is hashed and has no names of the host. */
async function measureSmallFiles(bench: Bench): Promise<Line[]> {
  const directory = await bench.directory('small')
  const tree = path.join(directory, 'tree')
  for (let index = 0; index < smallFiles; index++) {
    const parent = path.join(tree, `d${index % 200}`)
    if (index < 200) await mkdir(parent, { recursive: true })
    await writeFile(path.join(parent, `f${index}`), `${index}\n`.repeat(index % 700))
  }
  await readdir(tree)
  const pack = path.join(import.meta.dirname, '../programs/pack-tree.ts')
  const contenders: Contender[] = [
    {
      name: 'kauri',
      measure: async () => {
        const argv = [process.execPath, pack, tree]
        return Number((await runCommand({ argv, env: {} }, bench.signal)).stdout)
      },
    },
    {
      name: 'tar',
      measure: async round => {
        const file = path.join(directory, `tar-${round}.tar`)
        const argv = ['tar', '--create', '--file', file, '--directory', tree, '.']
        const { seconds } = await runCommand({ argv, env: {} }, bench.signal)
        await stat(file)
        return seconds
      },
    },
  ]
  const medians = await medianOfRounds(contenders, rounds)
  return [lineOf('pack 20,000 small files', medians, { peer: 'tar', atMost: 1.5 })]
}

function lineOf(
  work: string,
  medians: ReadonlyMap<string, number>,
  { peer, atMost }: { readonly peer: string; readonly atMost: number },
): Line {
  const value = medians.get(peer)
  return {
    work,
    unit: 's',
    kauri: medians.get('kauri') ?? Number.NaN,
    ...(value === undefined ? {} : { peer: { name: peer, value }, atMost }),
  }
}
