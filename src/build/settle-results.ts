// Results that the disk has not taken are forgotten at the next boot. Nobody waits for it: a build that made some begins
// to settle them at its end, and gives up with it; later ones go on, when most of it is on the disk anyway.

import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Snapshotter } from '../rootfs/rootfs.ts'

/** By then the kernel has written most of what was made (vm.dirty_expire_centisecs), and settling costs little. */
const leastAgeMs = 35_000

/** Work in the background. Disposing it stops what is not done; idempotent. */
export type Settling = AsyncDisposable

const nothingToSettle: Settling = { async [Symbol.asyncDispose]() {} }

/** Remembers that there are results that the disk has not taken, and begins to settle them. */
export function settleNew(dataRoot: string, snapshotter: Snapshotter): Settling {
  const marker = markerOf(dataRoot)
  mkdirSync(path.dirname(marker), { recursive: true, mode: 0o711 })
  writeFileSync(marker, '')
  return settle(marker, snapshotter)
}

/** Goes on with what earlier builds left, where that is old enough. */
export function settleOld(dataRoot: string, snapshotter: Snapshotter): Settling {
  const marker = markerOf(dataRoot)
  const madeMs = changedMs(marker)
  if (madeMs === undefined || madeMs > Date.now() - leastAgeMs) return nothingToSettle
  return settle(marker, snapshotter)
}

function settle(marker: string, snapshotter: Snapshotter): Settling {
  const controller = new AbortController()
  const madeMs = changedMs(marker)
  const work = async (): Promise<void> => {
    await snapshotter.settle(controller.signal)
    // Another build may have left something meanwhile.
    if (changedMs(marker) === madeMs) rmSync(marker, { force: true })
  }
  // What could not be settled now is so another time.
  const settled = work().catch(() => {})
  return {
    async [Symbol.asyncDispose]() {
      controller.abort()
      await settled
    },
  }
}

function markerOf(dataRoot: string): string {
  return path.join(dataRoot, 'cache', 'unsettled')
}

function changedMs(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs
}
