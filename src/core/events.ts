// What long work tells its watcher. Work calls `emit`; the command line draws the events with listr2 or prints lines,
// a daemon writes them as JSON. Nothing below cli/ prints.

import type { SourcePosition } from './errors.ts'

/** What happens while something is built, imported or run, in order of emission. Ids are unique within one command. */
export type BuildEvent =
  | {
      readonly kind: 'step-started'
      readonly id: string
      readonly title: string
      readonly parent?: string
    }
  | { readonly kind: 'step-cached'; readonly id: string }
  | {
      readonly kind: 'step-progress'
      readonly id: string
      readonly done: number
      readonly total?: number | undefined
      readonly unit: 'bytes' | 'packages' | 'entries'
      readonly item?: string | undefined
      /** Of late, where that is known; renderers say how long the rest takes. */
      readonly bytesPerSecond?: number | undefined
    }
  | { readonly kind: 'step-output'; readonly id: string; readonly line: string }
  | { readonly kind: 'step-finished'; readonly id: string; readonly seconds: number }
  | { readonly kind: 'step-failed'; readonly id: string; readonly message: string }
  | {
      readonly kind: 'warning'
      readonly message: string
      readonly hint?: string | undefined
      readonly where?: SourcePosition | undefined
    }

/** Receives events as they happen; must not throw. */
export type Emit = (event: BuildEvent) => void

/** For callers that do not watch. */
export const ignoreEvents: Emit = () => {}

export interface StepDescription {
  readonly id: string
  readonly title: string
  readonly parent?: string
}

/** Runs `work` between its started and finished events; a failure is told and thrown on. */
export async function inStep<T>(
  emit: Emit,
  step: StepDescription,
  work: () => Promise<T>,
): Promise<T> {
  emit({ kind: 'step-started', ...step })
  const startedMs = performance.now()
  try {
    const result = await work()
    emit({
      kind: 'step-finished',
      id: step.id,
      seconds: (performance.now() - startedMs) / 1000,
    })
    return result
  } catch (error) {
    emit({
      kind: 'step-failed',
      id: step.id,
      message: error instanceof Error ? error.message : String(error),
    })
    throw error
  }
}
