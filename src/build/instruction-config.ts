// The configuration of an image that a Dockerfile describes: what its stages say, on the history of its base, which stays
// as it is. A new line has the time at which its step's result was made, so that the same image comes out again.

import type { HistoryEntry, ImageConfig } from '../oci/image-config.ts'
import type { Platform } from '../oci/platform.ts'
import type { BuildStage } from '../plan/plan.ts'
import type { ImageTimes } from './build-plans.ts'
import type { ResultLine } from './result-line.ts'

/** When the results of a stage's steps were made, by the steps' order. */
export type StageTimes = readonly string[]

/** The configuration without its layers. `times` are those of the line's stages, bottom first. */
export function instructionConfig(
  line: ResultLine,
  times: readonly StageTimes[],
  { createdSeconds }: ImageTimes,
): Omit<ImageConfig, 'rootfs'> {
  const stages = line.runs.map(({ stage }) => stage)
  const top = stages.at(-1)
  const fixed = createdSeconds === undefined ? undefined : isoSeconds(createdSeconds)
  const first = line.base?.config.created ?? times.flat()[0] ?? isoSeconds(0)
  const lines = stages.flatMap((stage, index) => newLines(stage, times[index] ?? []))
  const history = withTimes(lines, fixed, first)
  return {
    created: fixed ?? newestOf(history) ?? first,
    ...platformOf(top),
    ...(top?.author === undefined ? {} : { author: top.author }),
    config: top?.config ?? {},
    history: [...(line.base?.config.history ?? []), ...history],
  }
}

function platformOf(stage: BuildStage | undefined): Platform {
  const { os, architecture, variant } = stage?.imagePlatform ?? stage?.platform ?? unknownPlatform
  return { os, architecture, ...(variant === undefined ? {} : { variant }) }
}

/** Lines without a time have that of the line before them. */
function withTimes(
  lines: readonly HistoryEntry[],
  fixed: string | undefined,
  first: string,
): HistoryEntry[] {
  let last = first
  return lines.map(({ created, ...line }) => {
    last = fixed ?? created ?? last
    return { created: last, ...line }
  })
}

const unknownPlatform = { os: 'linux', architecture: 'unknown', variant: undefined }

/** A line about no step has no time of its own. */
function newLines({ history, steps }: BuildStage, times: StageTimes): HistoryEntry[] {
  if (history.kind === 'phases')
    return steps.map((step, index) => ({
      ...timeAt(times, index),
      ...history.line,
      comment: step.title,
    }))
  return history.lines.map(({ step, ...line }) =>
    step === undefined ? { ...line, empty_layer: true } : { ...timeAt(times, step), ...line },
  )
}

function timeAt(times: StageTimes, index: number): { readonly created?: string } {
  const created = times[index]
  return created === undefined ? {} : { created }
}

function newestOf(history: readonly HistoryEntry[]): string | undefined {
  const times = history.flatMap(({ created }) => (created === undefined ? [] : [created]))
  return times.toSorted((a, b) => Date.parse(a) - Date.parse(b)).at(-1)
}

/** `1970-01-01T00:00:00Z` (RFC 3339). */
export function isoSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}
