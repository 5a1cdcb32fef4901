// The name of a step's result: a digest over the format, the result before it, what the step does and what it reads.
// Nothing of the host, the snapshotter or the time is in it.

import { canonicalJson, type Json } from '../core/canonical-json.ts'
import { type ChainId, type Digest, digestOf } from '../oci/digest.ts'
import type { Platform } from '../oci/platform.ts'
import type { BuildStep } from '../plan/plan.ts'
import { stepIdentity } from '../plan/step-identity.ts'

/** Raised whenever a step of equal words and inputs would leave another tree than before. */
const keyFormat = 1

/** A step's key and the parts it was made of; the parts tell why a look-up missed. */
export interface StepKey {
  readonly key: Digest
  readonly previous: Digest
  readonly does: Digest
  readonly reads: Digest
}

/** The key of an empty root for a platform. */
export function emptyRootKey({ os, architecture, variant }: Platform): Digest {
  return digestOf(canonicalJson({ format: keyFormat, platform: { os, architecture, variant } }))
}

/** The key of a root that consists of an image's layers; their chain ID names it. */
export function imageRootKey(platform: Platform, chain: ChainId | undefined): Digest {
  if (chain === undefined) return emptyRootKey(platform)
  const { os, architecture, variant } = platform
  const words = { format: keyFormat, platform: { os, architecture, variant }, chain }
  return digestOf(canonicalJson(words))
}

/** The key of a tree with the result of a linked step, which has a key of its own, laid over it. */
export function linkedRootKey(below: Digest, linked: Digest): Digest {
  return digestOf(canonicalJson({ format: keyFormat, below, linked }))
}

/** The key of a step after the result that `previous` names. */
export function stepKey(previous: Digest, step: BuildStep, readsJson: Json): StepKey {
  const does = digestOf(canonicalJson(whatItDoes(step)))
  const reads = digestOf(canonicalJson(readsJson))
  const key = digestOf(canonicalJson({ format: keyFormat, previous, does, reads }))
  return { key, previous, does, reads }
}

/** The resolved set stands for the repositories and the words of an installation: another mirror gives the same packages. */
function whatItDoes(step: BuildStep): Json {
  if (step.kind !== 'install') return stepIdentity(step)
  return { kind: step.kind, manager: step.manager, bootstrap: step.bootstrap }
}
