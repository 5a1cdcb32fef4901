// Tells watchers of what a stage starts from, once: found, or made now.

import { type Emit, inStep } from '../core/events.ts'
import type { BuildStage } from '../plan/plan.ts'
import type { Snapshot } from '../rootfs/rootfs.ts'
import type { LazyTree } from './lazy-tree.ts'

export interface BaseTeller {
  /** The same tree, which tells when it is made. */
  watch(tree: LazyTree): LazyTree
  /** Tells that the base is there; nothing where that was told. */
  tellCached(): void
}

/** A stage without a title for its base tells nothing of it. */
export function baseTeller({ title, base }: BuildStage, idPrefix: string, emit: Emit): BaseTeller {
  let hasTold = title === undefined || base.kind !== 'image'
  const step = { id: `${idPrefix}base`, title: title ?? '' }
  return {
    watch: tree => ({
      name: () => tree.name(),
      async make(): Promise<Snapshot | undefined> {
        if (hasTold) return await tree.make()
        hasTold = true
        return await inStep(emit, step, () => tree.make())
      },
    }),
    tellCached() {
      if (hasTold) return
      hasTold = true
      emit({ kind: 'step-started', ...step })
      emit({ kind: 'step-cached', id: step.id })
    },
  }
}
