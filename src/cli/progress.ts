// Chooses who draws the events of the work, and loads it when the first one comes: most commands emit none.

import type { BuildEvent, Emit } from '../core/events.ts'
import type { ProgressKind } from './global-options.ts'
import type { ProgramHost } from './program-host.ts'

/** Draws events on standard error. */
export interface Renderer {
  show(event: BuildEvent): void
  /** Draws the last state, and gives the terminal back. */
  end(): Promise<void>
}

export interface Progress {
  readonly emit: Emit
  /** True while a list is redrawn in place, and nobody else may write to the terminal. */
  isLive(): boolean
  /** Shows what is there and lets go of the terminal; the next event begins anew. */
  end(): Promise<void>
}

type Way = Exclude<ProgressKind, 'auto'>

/** How lines of a log are written: each step by its title, or by a number as BuildKit has it. */
export type LineForm = 'titled' | 'numbered'

/** Shows events in the given way; `auto` is a live list on a terminal and lines elsewhere. */
export function openProgress(
  kind: ProgressKind,
  host: Pick<ProgramHost, 'isTerminal' | 'writeErr'>,
  lines: LineForm = 'titled',
): Progress {
  const waiting: BuildEvent[] = []
  let way: Way | undefined
  let renderer: Renderer | undefined
  let loading: Promise<void> | undefined
  const load = async (): Promise<void> => {
    way ??= kind === 'auto' ? (host.isTerminal() ? 'tty' : 'plain') : kind
    renderer = await loadRenderer(way, host.writeErr, lines)
    for (const event of waiting.splice(0)) renderer.show(event)
  }
  return {
    emit: event => {
      if (renderer !== undefined) return renderer.show(event)
      waiting.push(event)
      loading ??= load()
    },
    isLive: () => loading !== undefined && way === 'tty',
    end: async () => {
      await loading
      await renderer?.end()
      renderer = undefined
      loading = undefined
    },
  }
}

async function loadRenderer(
  way: Way,
  write: (text: string) => void,
  lines: LineForm,
): Promise<Renderer> {
  switch (way) {
    case 'tty':
      return await (await import('./renderers/live-list.ts')).openLiveList(write)
    case 'json':
      return (await import('./renderers/json-lines.ts')).jsonLines(write)
    case 'plain':
      if (lines === 'numbered')
        return (await import('./renderers/numbered-lines.ts')).numberedLines(write)
      return (await import('./renderers/plain-lines.ts')).plainLines(write)
    case 'none':
      return (await import('./renderers/plain-lines.ts')).warningLines(write)
    default:
      return way satisfies never
  }
}
