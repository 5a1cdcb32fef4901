// `kauri df`: what takes the room, and what of it could go.

import type { CommandContext, CommandSpec } from '../command.ts'
import { humanSize } from '../human-units.ts'
import { measureStorage, type Usage, type UsedRoom } from '../storage-usage.ts'
import { tableLines } from '../table.ts'

export const command: CommandSpec = {
  name: 'df',
  summary: 'Show what takes the room, and what sharing saves',
  details: [
    'Images are blobs, compressed and each stored once; trees are unpacked layers and results of build steps. What is reclaimable goes with kauri gc, or with the containers, volumes and builds that it belongs to.',
    'With --verbose every image, container, volume and cache has a line; of an image the shared size is what others need, too.',
  ],
  options: [{ long: 'verbose', short: 'v', summary: 'Show each thing on a line of its own' }],
  async run({ options, context }) {
    const { usages, sharedBytes } = await measureStorage(context)
    if (options.flag('verbose')) for (const usage of usages) printItems(context, usage)
    else printSummary(context, usages)
    context.print(`shared between images: ${humanSize(sharedBytes)}`)
    context.printJson({
      usages: options.flag('verbose') ? usages : usages.map(withoutItems),
      sharedBytes,
    })
    return 0
  },
}

function withoutItems(usage: Usage): Omit<Usage, 'items'> {
  const { items: _, ...totals } = usage
  return totals
}

const titles: Readonly<Record<Usage['type'], string>> = {
  images: 'Images',
  containers: 'Containers',
  volumes: 'Local Volumes',
  trees: 'Trees',
  'cache mounts': 'Cache Mounts',
  cache: 'Build Cache',
}

function printSummary(context: CommandContext, usages: readonly Usage[]): void {
  const rows = usages.map(({ type, count, active, bytes, reclaimableBytes }) => [
    titles[type],
    String(count),
    String(active),
    humanSize(bytes),
    `${humanSize(reclaimableBytes)}${bytes === 0 ? '' : ` (${Math.round((reclaimableBytes * 100) / bytes)}%)`}`,
  ])
  const headings = ['TYPE', 'TOTAL', 'ACTIVE', 'SIZE', 'RECLAIMABLE']
  for (const line of tableLines(headings, rows)) context.print(line)
}

/** Columns of the lines for one kind. */
const columns: Readonly<
  Record<Usage['type'], Readonly<Record<string, (item: UsedRoom) => string>>>
> = {
  images: {
    IMAGE: item => item.name || '<none>',
    'IMAGE ID': item => item.id.replace('sha256:', '').slice(0, 12),
    SIZE: item => humanSize(item.bytes),
    'SHARED SIZE': item => humanSize(item.sharedBytes),
    'UNIQUE SIZE': item => humanSize(item.bytes - item.sharedBytes),
    CONTAINERS: item => String(item.users.length),
  },
  containers: {
    'CONTAINER ID': item => item.id.slice(0, 12),
    SIZE: item => humanSize(item.bytes),
    STATUS: item => item.users.join(', '),
    NAMES: item => item.name,
  },
  volumes: {
    'VOLUME NAME': item => item.name,
    LINKS: item => String(item.users.length),
    SIZE: item => humanSize(item.bytes),
  },
  trees: {
    'TREE ID': item => item.id.slice(0, 12),
    SIZE: item => humanSize(item.bytes),
    'NEEDED BY': item => item.users.join(', ') || 'builds',
  },
  'cache mounts': {
    'CACHE ID': item => item.id.slice(0, 12),
    SIZE: item => humanSize(item.bytes),
    'IN USE': item => String(item.users.length > 0),
    NAME: item => item.name,
  },
  cache: {
    CACHE: item => item.name,
    SIZE: item => humanSize(item.bytes),
  },
}

function printItems(context: CommandContext, { type, items }: Usage): void {
  const shown = columns[type]
  context.print(`${titles[type]} space usage:`)
  context.print('')
  const rows = items
    .toSorted((a, b) => b.bytes - a.bytes)
    .map(item => Object.values(shown).map(valueOf => valueOf(item)))
  for (const line of tableLines(Object.keys(shown), rows)) context.print(line)
  context.print('')
}
