// Events as a list that is redrawn in place: listr2 draws it. Steps appear while the work goes on, so the tasks are not
// run by listr2 but kept here as its view of our steps: their states, titles and subtasks are set, its renderer draws.

import { styleText } from 'node:util'
import {
  DefaultRenderer,
  figures,
  ListrDefaultRendererLogLevels as Icon,
  Listr,
  ListrLogger,
  type ListrTaskObject,
  ProcessOutput,
  ListrTaskState as State,
} from 'listr2'
import type { BuildEvent } from '../../core/events.ts'
import { printable, printableLine } from '../printable.ts'
import type { Renderer } from '../progress.ts'
import { formatProgress, formatSeconds, formatWarning } from './step-text.ts'

type View = ListrTaskObject<object, typeof DefaultRenderer, typeof DefaultRenderer>

interface Step {
  readonly title: string
  readonly view: View
  readonly startedAtMs: number
  /** What is said behind the title while it runs. */
  detail: string
  isCached: boolean
}

const outputLines = 4
const refreshMs = 100
/** Shorter steps show no seconds while they run: nobody could read them. */
const secondsFromMs = 1000

/** Opens the list on standard error; `write` is for what is said once the list is finished. */
export async function openLiveList(
  write: (text: string) => void,
  stream: NodeJS.WriteStream = process.stderr,
): Promise<Renderer> {
  const dim = (text: string): string => styleText('dim', text, { stream })
  const list = new Listr<object, typeof DefaultRenderer, typeof DefaultRenderer>([], {
    renderer: DefaultRenderer,
    fallbackRenderer: DefaultRenderer,
    registerSignalListeners: false,
    exitOnError: false,
  })
  const views: View[] = []
  // Made by hand: Listr would draw only where standard output is a terminal, and we draw on standard error.
  const renderer = new DefaultRenderer(views, rendererOptions(stream, dim), list.events)
  const steps = new Map<string, Step>()
  const warnings: string[] = []

  const start = ({ id, title, parent }: Extract<BuildEvent, { kind: 'step-started' }>): void => {
    list.add({ title: printable(title), task: () => {} })
    const view = list.tasks.pop()
    if (view === undefined) return
    view.rendererTaskOptions = { outputBar: outputLines }
    // Enabled before the next redraw: the condition is a constant.
    void view.check({})
    view.state = State.STARTED
    const above = parent === undefined ? undefined : steps.get(parent)
    if (above === undefined) views.push(view)
    else above.view.subtasks = [...(above.view.subtasks ?? []), view]
    steps.set(id, {
      title: printable(title),
      view,
      startedAtMs: performance.now(),
      detail: '',
      isCached: false,
    })
  }
  const finish = (step: Step, seconds: number): void => {
    const note = step.isCached ? 'cached' : formatSeconds(seconds)
    step.view.title = `${step.title} ${dim(note)}`
    step.view.state = step.isCached ? State.SKIPPED : State.COMPLETED
  }
  const change = (event: Exclude<BuildEvent, { kind: 'warning' | 'step-started' }>): void => {
    const step = steps.get(event.id)
    if (step === undefined) return
    switch (event.kind) {
      case 'step-cached':
        step.isCached = true
        return finish(step, 0)
      case 'step-progress':
        step.detail = formatProgress(event)
        return
      case 'step-output':
        // Not `output$`, which would redraw for each of a package manager's thousand lines.
        step.view.emit('OUTPUT' as never, printableLine(event.line) as never)
        return
      case 'step-finished':
        return finish(step, event.seconds)
      case 'step-failed':
        step.view.title = step.title
        step.view.state = State.FAILED
        return
      default:
        return event satisfies never
    }
  }
  const refreshTitles = (): void => {
    for (const { view, title, detail, startedAtMs } of steps.values()) {
      if (!view.isStarted()) continue
      const elapsedMs = performance.now() - startedAtMs
      const seconds = elapsedMs < secondsFromMs ? '' : formatSeconds(elapsedMs / 1000)
      const notes = [detail, seconds].filter(note => note !== '').join(', ')
      view.title = notes === '' ? title : `${title} ${dim(notes)}`
    }
  }

  await renderer.render()
  const timer = setInterval(refreshTitles, refreshMs)
  timer.unref()
  return {
    show: event => {
      if (event.kind === 'warning') warnings.push(formatWarning(event))
      else if (event.kind === 'step-started') start(event)
      else change(event)
    },
    end: async () => {
      clearInterval(timer)
      for (const { view, title } of steps.values()) {
        if (!view.isStarted()) continue
        view.title = title
        view.state = State.CANCELLED
      }
      if (steps.size > 0) renderer.end()
      for (const warning of warnings.splice(0)) write(warning)
    },
  }
}

function rendererOptions(
  stream: NodeJS.WriteStream,
  dim: (text: string) => string,
): typeof DefaultRenderer.rendererOptions {
  return {
    collapseSubtasks: false,
    formatOutput: 'truncate',
    logger: new ListrLogger({
      useIcons: true,
      toStderr: [],
      processOutput: new ProcessOutput(stream, stream),
    }),
    icon: { [Icon.SKIPPED_WITH_COLLAPSE]: figures.tick },
    color: { [Icon.SKIPPED_WITH_COLLAPSE]: (text = '') => dim(text) },
  }
}
