// Events as plain lines for pipes and logs: each line says which step it is about, since steps may run side by side.

import type { BuildEvent } from '../../core/events.ts'
import { printable, printableLine } from '../printable.ts'
import type { Renderer } from '../progress.ts'
import { formatProgress, formatSeconds, formatWarning } from './step-text.ts'

/** A log needs to show that something moves, not each package. */
const progressEveryMs = 2000

interface Step {
  readonly title: string
  readonly indent: string
  shownAtMs: number
  isCached: boolean
}

/** Writes a line for each change of a step, its output, and its progress every two seconds. */
export function plainLines(write: (text: string) => void): Renderer {
  const steps = new Map<string, Step>()
  const line = (id: string, text: string): void => {
    const { indent, title } = steps.get(id) ?? { indent: '', title: id }
    write(`${indent}${title}${text}\n`)
  }
  const start = ({ id, title, parent }: Extract<BuildEvent, { kind: 'step-started' }>): void => {
    const above = parent === undefined ? undefined : steps.get(parent)
    const indent = above === undefined ? '' : `${above.indent}  `
    steps.set(id, {
      title: printable(title),
      indent,
      shownAtMs: performance.now(),
      isCached: false,
    })
    line(id, ' …')
  }
  const show = (event: BuildEvent): void => {
    const step = 'id' in event ? steps.get(event.id) : undefined
    switch (event.kind) {
      case 'step-started':
        return start(event)
      case 'step-cached':
        if (step !== undefined) step.isCached = true
        return line(event.id, ': cached')
      case 'step-progress':
        if (step === undefined || performance.now() - step.shownAtMs < progressEveryMs) return
        step.shownAtMs = performance.now()
        return line(event.id, `: ${formatProgress(event)}`)
      case 'step-output':
        return line(event.id, ` | ${printableLine(event.line)}`)
      case 'step-finished':
        if (!step?.isCached) line(event.id, `: done in ${formatSeconds(event.seconds)}`)
        return
      case 'step-failed':
        return line(event.id, ': failed')
      case 'warning':
        return write(formatWarning(event))
      default:
        return event satisfies never
    }
  }
  return { show, end: async () => {} }
}

/** Writes warnings and nothing else. */
export function warningLines(write: (text: string) => void): Renderer {
  return {
    show: event => {
      if (event.kind === 'warning') write(formatWarning(event))
    },
    end: async () => {},
  }
}
