// What `kauri events` does: reads the event log, and goes on with what is added to it.

import type { ContainerEvent } from '../container/event-log.ts'
import { formatTime } from '../container/log-format.ts'
import { readEvents } from '../container/read-events.ts'
import type { CommandInput } from './command.ts'
import { hasLabels, parseFilters } from './container-filters.ts'
import { momentNanoseconds } from './duration.ts'

/** Until it is stopped, or until the time that is asked for. */
export async function eventsCommand({ options, context }: CommandInput): Promise<number> {
  const nowMs = Date.now()
  const moment = (option: string): bigint | undefined => {
    const text = options.text(option)
    return text === undefined ? undefined : momentNanoseconds(`--${option}`, text, nowMs)
  }
  const isWanted = eventFilter(options.texts('filter'))
  const format = await formatterOf(context.json ? 'json' : options.text('format'))
  const since = moment('since') ?? BigInt(nowMs) * 1_000_000n
  try {
    for await (const event of readEvents(context.runRoot, {
      since,
      until: moment('until'),
      signal: context.signal,
    }))
      if (isWanted(event)) {
        const text = format(event)
        if (context.json) process.stdout.write(`${text}\n`)
        else context.print(text)
      }
  } catch (error) {
    if (!context.signal.aborted) throw error
  }
  return 0
}

/** Docker's members, with the time in seconds, too. */
function apiEvent(event: ContainerEvent): object {
  const { Type, Action, Actor, timeNano } = event
  const { image = '' } = Actor.Attributes
  return {
    status: Action,
    id: Actor.ID,
    from: image,
    Type,
    Action,
    Actor,
    scope: 'local',
    time: Math.floor(Number(timeNano) / 1e9),
    timeNano: Number(timeNano),
  }
}

async function formatterOf(format: string | undefined): Promise<(event: ContainerEvent) => string> {
  if (format === undefined || format === '') return plainLine
  if (format === 'json') return event => JSON.stringify(apiEvent(event))
  const { goTemplate } = await import('./template/go-template.ts')
  const template = goTemplate(format)
  return event => {
    const fields = apiEvent(event)
    return template.render({ ...fields, Status: event.Action, ID: event.Actor.ID })
  }
}

/** `TIME container start ID (image=…, name=…)`. */
function plainLine({ Type, Action, Actor, timeNano }: ContainerEvent): string {
  const attributes = Object.entries(Actor.Attributes)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
  return `${formatTime(BigInt(timeNano))} ${Type} ${Action} ${Actor.ID} (${attributes.join(', ')})`
}

const filterKeys = ['container', 'event', 'image', 'label', 'type']

function eventFilter(texts: readonly string[]): (event: ContainerEvent) => boolean {
  const filters = parseFilters(texts, filterKeys)
  const any = (key: string, check: (value: string) => boolean): boolean => {
    const values = filters.get(key)
    return values === undefined || values.some(check)
  }
  return ({ Type, Action, Actor }) => {
    const { name, image } = Actor.Attributes
    return (
      any('type', value => value === Type) &&
      any('event', value => Action === value || Action.startsWith(`${value}:`)) &&
      any('container', value => name === value || (value !== '' && Actor.ID.startsWith(value))) &&
      any('image', value => image === value || image?.split(':')[0] === value) &&
      hasLabels(Actor.Attributes, filters.get('label') ?? [])
    )
  }
}
