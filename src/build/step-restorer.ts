// Brings results of steps back from the layers that they became: from the store where their snapshots are gone, and from
// caches of other machines. A layer counts only on the very layers that it was made on.

import { chainIdsOf, type Digest } from '../oci/digest.ts'
import type { Snapshot, Snapshotter } from '../rootfs/rootfs.ts'
import { unpackLayer } from '../rootfs/unpack-layer.ts'
import type { BuildOptions } from './build.ts'
import { type KnownLayer, type KnownLayers, keptTimes } from './known-layers.ts'
import { chainOnto } from './result-line.ts'
import type { StageGround } from './stage-ground.ts'
import type { KeyedStep, MadeStep } from './stage-run.ts'
import { newestFileSecondsOf, type StepSnapshots } from './step-snapshots.ts'

/** The layers that a tree consists of, where all of them are known. */
export interface LayerStack {
  readonly isKnown: boolean
  /** Chain ID; undefined for no layers. */
  readonly chain?: Digest | undefined
}

export const unknownStack: LayerStack = { isKnown: false }

export interface StepRestorer {
  /** The stack of a stage's results so far. */
  stackOf(ground: StageGround, made: readonly MadeStep[]): Promise<LayerStack>
  /** The layer of a step's result on that stack. */
  find(keyed: KeyedStep, stack: LayerStack): Promise<KnownLayer | undefined>
  /** Unpacks it onto the tree below; undefined where a cache does not give it. @throws BLOB_CORRUPT, DISK_FULL, CANCELLED */
  restore(
    keyed: KeyedStep,
    known: KnownLayer,
    below: Snapshot | undefined,
  ): Promise<Snapshot | undefined>
}

export interface RestorerParts {
  readonly snapshotter: Snapshotter
  readonly results: StepSnapshots
  readonly layers: KnownLayers
  readonly options: BuildOptions
}

/** Restores into snapshots that have the names of what carrying out would make. */
export function stepRestorer({
  snapshotter,
  results,
  layers,
  options,
}: RestorerParts): StepRestorer {
  return {
    async stackOf(ground, made) {
      let stack = await groundStack(ground)
      for (const { keyed, snapshot } of made) {
        const layer = stack.isKnown && (await layers.findOfSnapshot(keyed, snapshot, keptTimes))
        if (!layer) return unknownStack
        stack = { isKnown: true, chain: chainOnto(stack.chain, layer.diffId) }
      }
      return stack
    },
    async find(keyed, { isKnown, chain }) {
      const known = await layers.find(keyed, keptTimes)
      if (known === undefined || keyed.isLinked) return known
      return isKnown && known.below === chain ? known : undefined
    },
    async restore(keyed, known, below) {
      const { signal } = options
      const layer = await layers.fetch(known)
      if (layer === undefined) return undefined
      await using root = await snapshotter.prepare(below?.id, { signal })
      await unpackLayer(layer, root, { snapshotter, signal })
      const facts = {
        title: keyed.step.title,
        key: keyed.key,
        newestFileSeconds: newestFileSecondsOf(below),
        created: known.created,
      }
      const snapshot = await results.keep(root, facts, false)
      const { descriptor, diffId } = layer
      const made = { times: keptTimes, layer: { descriptor, diffId } }
      await layers.rememberOfSnapshot(keyed, snapshot, made)
      await layers.remember(keyed, keptTimes, known)
      return snapshot
    },
  }
}

async function groundStack({ image, stage }: StageGround): Promise<LayerStack> {
  if (stage !== undefined) return await stage.layerStack()
  const chain = chainIdsOf((image?.layers ?? []).map(({ diffId }) => diffId)).at(-1)
  return { isKnown: true, chain }
}
