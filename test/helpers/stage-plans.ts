// Plans of several stages by hand, and doubles whose scripts make files.

import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createImage } from '../../src/image/create-image.ts'
import { packLayer } from '../../src/layer/pack-layer.ts'
import { packTree } from '../../src/layer/pack-tree.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { layerMediaType } from '../../src/oci/media-types.ts'
import type { BuildPlan, BuildStage, BuildStep } from '../../src/plan/plan.ts'
import { type DiskStore, diskStore } from '../../src/store/disk-store.ts'
import { type Doubles, makeDoubles, runOf } from './build-doubles.ts'

export const platform = { os: 'linux', architecture: 'amd64' } as const

export const scratchBase: BuildStage['base'] = { kind: 'scratch' }

export const on = (stage: string): BuildStage['base'] => ({ kind: 'stage', stage })

/** A stage whose history has a line for each step and one without a layer at the end. */
export function stageOf(
  id: string,
  base: BuildStage['base'],
  steps: readonly BuildStep[],
): BuildStage {
  const lines = steps.map((step, index) => ({ created_by: step.title, step: index }))
  return {
    id,
    platform,
    base,
    steps,
    config: { Cmd: [id] },
    history: { kind: 'instructions', lines: [...lines, { created_by: `CMD ${id}` }] },
  }
}

export const plansOf = (...stages: BuildStage[]): BuildPlan => ({ contexts: {}, stages })

/** A run step that makes a file of the name. */
export const make = (name: string): BuildStep =>
  runOf(`make ${name}`, { showsEpoch: false, title: name })

export interface Makers extends Doubles {
  readonly parts: Doubles['parts'] & { readonly store: DiskStore }
}

/** Scripts make what their command says: `count` a file that is other each time; `fail` fails, `nothing` makes nothing. */
export async function makeMakers(dataRoot: string): Promise<Makers> {
  const doubles = await makeDoubles(dataRoot)
  let count = 0
  doubles.script = ({ root, config }) => {
    const name = config.process.args.at(-1)?.replace('make ', '') ?? ''
    if (name === 'fail') return 1
    const directory = root.kind === 'overlay' ? (root.upper ?? '') : root.path
    if (name !== 'nothing')
      writeFileSync(path.join(directory, name), name === 'count' ? `${++count}` : name)
    return 0
  }
  const store = diskStore(path.join(dataRoot, 'oci'))
  return Object.assign(doubles, { parts: { ...doubles.parts, store } })
}

/** An image with the file /from-image; returns the digest of its manifest. */
export async function baseImage(store: DiskStore, directory: string): Promise<Digest> {
  mkdirSync(directory)
  writeFileSync(path.join(directory, 'from-image'), 'image')
  const packed = await packLayer(packTree({ kind: 'tree', path: directory }), {
    compression: { codec: 'gzip' },
    sink: bytes => store.putBlob(bytes),
  })
  const descriptor = {
    mediaType: layerMediaType('gzip'),
    digest: packed.digest,
    size: packed.packedBytes,
  }
  const image = await createImage(store, {
    config: {
      ...platform,
      created: '2020-01-01T00:00:00Z',
      config: {},
      history: [{ created: '2020-01-01T00:00:00.5Z', created_by: 'base' }],
    },
    layers: [{ descriptor, diffId: packed.diffId }],
  })
  return image.descriptor.digest
}
