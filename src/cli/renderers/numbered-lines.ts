// Events of a build with stages side by side as lines for logs, in the form that BuildKit's plain progress has: every
// step has a number, each line begins with it, and a step that goes on after another one spoke is named again.

import type { BuildEvent } from '../../core/events.ts'
import { printable, printableLine } from '../printable.ts'
import type { Renderer } from '../progress.ts'
import { formatProgress, formatWarning } from './step-text.ts'

/** A log needs to show that something moves, not each entry. */
const progressEveryMs = 2000

interface Step {
  readonly number: number
  readonly title: string
  readonly startedAtMs: number
  shownAtMs: number
  isEnded: boolean
}

/** Writes `#7 [build 2/5] RUN make`, `#7 0.240 output`, `#7 DONE 0.3s`, `#7 CACHED`. */
export function numberedLines(write: (text: string) => void): Renderer {
  const steps = new Map<string, Step>()
  let current: Step | undefined
  const line = (step: Step, text: string): void => {
    if (current !== step) {
      if (current !== undefined && !current.isEnded) write(`#${current.number} ...\n\n`)
      write(`#${step.number} ${step.title}\n`)
      current = step
    }
    if (text !== '') write(`#${step.number} ${text}\n`)
  }
  const end = (step: Step, text: string): void => {
    line(step, text)
    step.isEnded = true
    write('\n')
    current = undefined
  }
  const start = ({ id, title }: Extract<BuildEvent, { kind: 'step-started' }>): void => {
    const startedAtMs = performance.now()
    const step: Step = {
      number: steps.size + 1,
      title: printable(title),
      startedAtMs,
      shownAtMs: startedAtMs,
      isEnded: false,
    }
    steps.set(id, step)
    line(step, '')
  }
  const show = (event: BuildEvent): void => {
    if (event.kind === 'warning') return write(formatWarning(event))
    if (event.kind === 'step-started') return start(event)
    const step = steps.get(event.id)
    if (step === undefined || step.isEnded) return
    const now = performance.now()
    switch (event.kind) {
      case 'step-cached':
        return end(step, 'CACHED')
      case 'step-progress':
        if (now - step.shownAtMs < progressEveryMs) return
        step.shownAtMs = now
        return line(step, formatProgress(event))
      case 'step-output': {
        const seconds = ((now - step.startedAtMs) / 1000).toFixed(3)
        return line(step, `${seconds} ${printableLine(event.line)}`)
      }
      case 'step-finished':
        return end(step, `DONE ${event.seconds.toFixed(1)}s`)
      case 'step-failed':
        return end(step, `ERROR: ${printable(event.message)}`)
      default:
        return event satisfies never
    }
  }
  return { show, end: async () => {} }
}
