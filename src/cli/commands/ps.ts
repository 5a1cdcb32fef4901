// `kauri ps`: containers in docker's columns.

import path from 'node:path'
import type { ContainerState } from '../../container/container.ts'
import { listContainers, sweepContainers } from '../../container/container-records.ts'
import type { PublishedPort } from '../../network/port-relay.ts'
import type { CommandSpec } from '../command.ts'
import { humanDuration } from '../human-units.ts'
import { printableLine } from '../printable.ts'
import { tableLines } from '../table.ts'

export const command: CommandSpec = {
  name: 'ps',
  summary: 'List containers',
  options: [
    { long: 'all', short: 'a', summary: 'Show those that ended, too' },
    { long: 'no-trunc', summary: 'Show whole ids and commands' },
  ],
  async run({ options, context }) {
    const root = path.join(context.dataRoot, 'containers')
    sweepContainers(root)
    const shown = listContainers(root).filter(
      ({ status }) => options.flag('all') || status === 'running',
    )
    context.printJson(shown)
    const isWhole = options.flag('no-trunc')
    if (context.quiet) for (const { id } of shown) context.print(isWhole ? id : id.slice(0, 12))
    else
      for (const line of tableLines(
        headings,
        shown.map(container => cellsOf(container, isWhole)),
      ))
        context.print(line)
    return 0
  },
}

const headings = ['CONTAINER ID', 'IMAGE', 'COMMAND', 'CREATED', 'STATUS', 'PORTS', 'NAMES']

const commandWidth = 20

function cellsOf(container: ContainerState, isWhole: boolean): readonly string[] {
  const nowMs = Date.now()
  const words = printableLine(container.command.join(' '))
  const isCut = !isWhole && words.length > commandWidth
  return [
    isWhole ? container.id : container.id.slice(0, 12),
    container.imageName,
    `"${isCut ? `${words.slice(0, commandWidth - 1)}…` : words}"`,
    `${humanDuration(nowMs - container.createdMs)} ago`,
    statusOf(container, nowMs),
    container.status === 'running' ? portsText(container.ports) : '',
    container.name,
  ]
}

/** As docker writes them: `0.0.0.0:8080->80/tcp`. */
function portsText(ports: readonly PublishedPort[]): string {
  return ports
    .map(({ hostAddress, hostPort, containerPort, protocol }) => {
      const address = hostAddress === '' ? '0.0.0.0' : hostAddress
      const host = address.includes(':') ? `[${address}]` : address
      return `${host}:${hostPort}->${containerPort}/${protocol}`
    })
    .join(', ')
}

function statusOf({ end, createdMs }: ContainerState, nowMs: number): string {
  if (end === undefined) return `Up ${humanDuration(nowMs - createdMs)}`
  return `Exited (${end.exitCode}) ${humanDuration(nowMs - end.finishedMs)} ago`
}
