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
type Started = Extract<BuildEvent, { kind: 'step-started' }>
type Changed = Exclude<BuildEvent, { kind: 'warning' | 'step-started' }>

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
/** What would round to 0.0 is not told. */
const shownFromSeconds = 0.05

/** Opens the list on a terminal; `write` is for what is said once the list is finished. */
export async function openLiveList(
  write: (text: string) => void,
  stream: NodeJS.WriteStream = process.stderr,
): Promise<Renderer> {
  const views: View[] = []
  const dim = (text: string): string => styleText('dim', text, { stream })
  const { makeView, events } = viewFactory()
  // Made by hand: Listr would draw only where standard output is a terminal, and we draw on standard error.
  const renderer = new DefaultRenderer(views, rendererOptions(stream, dim), events)
  const steps = stepViews(views, makeView, { dim, columns: () => stream.columns })
  const warnings: string[] = []
  await renderer.render()
  const timer = setInterval(steps.refreshTitles, refreshMs)
  timer.unref()
  return {
    show: event => {
      if (event.kind === 'warning') warnings.push(formatWarning(event))
      else if (event.kind === 'step-started') steps.start(event)
      else steps.change(event)
    },
    end: async () => {
      clearInterval(timer)
      steps.cancelRunning()
      renderer.end()
      for (const warning of warnings.splice(0)) write(warning)
    },
  }
}

interface StepViews {
  readonly start: (event: Started) => void
  readonly change: (event: Changed) => void
  readonly refreshTitles: () => void
  readonly cancelRunning: () => void
}

interface Terminal {
  readonly dim: (text: string) => string
  /** Its width. */
  readonly columns: () => number
}

/** Room for an icon, and for seconds behind the title. */
const besideTitle = 16
const shortestTitle = 20

/** A command of many words in one line, cut so that its time still fits behind it. */
function shortTitle(title: string, columns: number): string {
  const words = title.replace(/\s+/g, ' ')
  const room = Math.max(shortestTitle, columns - besideTitle)
  return words.length <= room ? words : `${words.slice(0, room - 1)}…`
}

/** Keeps a view for each step; those without a parent are put into `roots`. */
function stepViews(
  roots: View[],
  makeView: (title: string) => View,
  { dim, columns }: Terminal,
): StepViews {
  const steps = new Map<string, Step>()
  const running = (): Step[] => [...steps.values()].filter(({ view }) => view.isStarted())
  const finish = (step: Step, seconds: number): void => {
    const took = seconds < shownFromSeconds ? '' : ` ${dim(formatSeconds(seconds))}`
    step.view.title = `${step.title}${step.isCached ? ` ${dim('cached')}` : took}`
    step.view.state = step.isCached ? State.SKIPPED : State.COMPLETED
  }
  return {
    start: ({ id, title: rawTitle, parent }) => {
      const title = shortTitle(printable(rawTitle), columns())
      const view = makeView(title)
      const above = parent === undefined ? undefined : steps.get(parent)?.view
      if (above === undefined) roots.push(view)
      else above.subtasks = [...(above.subtasks ?? []), view]
      const startedAtMs = performance.now()
      steps.set(id, { title, view, startedAtMs, detail: '', isCached: false })
    },
    change: event => {
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
    },
    refreshTitles: () => {
      for (const step of running()) step.view.title = runningTitle(step, dim)
    },
    cancelRunning: () => {
      for (const { view, title } of running()) {
        view.title = title
        view.state = State.CANCELLED
      }
    },
  }
}

function runningTitle({ title, detail, startedAtMs }: Step, dim: (text: string) => string): string {
  const elapsedMs = performance.now() - startedAtMs
  const seconds = elapsedMs < secondsFromMs ? '' : formatSeconds(elapsedMs / 1000)
  // Seconds first: a narrow terminal cuts the end.
  const notes = [seconds, detail].filter(note => note !== '').join(', ')
  return notes === '' ? title : `${title} ${dim(notes)}`
}

/** Makes started tasks that nobody runs; listr2 makes tasks through a list only. */
function viewFactory(): {
  readonly makeView: (title: string) => View
  readonly events: View['listr']['events']
} {
  const list = new Listr<object, typeof DefaultRenderer, typeof DefaultRenderer>([], {
    renderer: DefaultRenderer,
    fallbackRenderer: DefaultRenderer,
    registerSignalListeners: false,
    exitOnError: false,
  })
  return {
    events: list.events,
    makeView: title => {
      list.add({ title, task: () => {} })
      const view = list.tasks.pop()
      if (view === undefined) throw new Error('listr2 made no task')
      view.rendererTaskOptions = { outputBar: outputLines }
      // Enables it before the next redraw; it asks only while the task waits.
      void view.check({})
      view.state = State.STARTED
      return view
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
    icon: {
      [Icon.SKIPPED_WITH_COLLAPSE]: figures.tick,
      [Icon.FAILED_WITH_FAILED_SUBTASKS]: figures.cross,
    },
    color: { [Icon.SKIPPED_WITH_COLLAPSE]: (text = '') => dim(text) },
  }
}
