// What a stage's image is made of, bottom first: an image of the store, and the steps of the stages that stand on one
// another.

import type { ImageParts } from '../image/create-image.ts'
import { partsOf } from '../image/edit-image.ts'
import type { Image } from '../image/image.ts'
import { chainIdsOf, type Digest, digestOf } from '../oci/digest.ts'
import type { StageRun } from './stage-run.ts'

export interface ResultLine {
  /** The image's own, with the media types that an OCI manifest has. */
  readonly base: ImageParts | undefined
  /** Chain ID of the image's layers. */
  readonly chain: Digest | undefined
  readonly runs: readonly StageRun[]
}

/** The line that ends with a stage. @throws what finding the image throws */
export async function resultLine(top: StageRun): Promise<ResultLine> {
  const runs: StageRun[] = []
  let image: Image | undefined
  for (let run: StageRun | undefined = top; run !== undefined; ) {
    runs.unshift(run)
    const ground = await run.ground()
    image = ground.image
    run = ground.stage
  }
  const base = image && partsOf(image)
  const chain = chainIdsOf((base?.layers ?? []).map(({ diffId }) => diffId)).at(-1)
  return { base, chain, runs }
}

/** The chain ID of a layer on a stack (image-spec v1.1.1 config.md#layer-chainid). */
export function chainOnto(below: Digest | undefined, diffId: Digest): Digest {
  return below === undefined ? diffId : digestOf(`${below} ${diffId}`)
}
