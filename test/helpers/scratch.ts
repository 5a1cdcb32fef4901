// A directory that a test may fill and that is gone afterwards.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

export interface Scratch extends Disposable {
  readonly path: string
  /** A path below it. */
  at(...parts: readonly string[]): string
}

/** `using scratch = makeScratch()` */
export function makeScratch(): Scratch {
  const directory = mkdtempSync(path.join(tmpdir(), 'kauri-test-'))
  return {
    path: directory,
    at: (...parts) => path.join(directory, ...parts),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  }
}
