// `kauri history`: what made an image, newest first, in docker's columns.

import { getImage } from '../../image/find-image.ts'
import type { Image } from '../../image/image.ts'
import { openImage } from '../../image/open-image.ts'
import { layerSize } from '../../image/summarize-image.ts'
import { hexOf } from '../../oci/digest.ts'
import type { HistoryEntry } from '../../oci/image-config.ts'
import { parsePlatform } from '../../oci/platform.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { humanAge, humanSize } from '../human-units.ts'
import { openStore } from '../open-store.ts'
import { tableLines } from '../table.ts'

export const command: CommandSpec = {
  name: 'history',
  summary: 'Show what made an image',
  operands: 'IMAGE',
  minOperands: 1,
  maxOperands: 1,
  options: [
    {
      long: 'format',
      value: 'FORM',
      choices: ['table', 'json'],
      summary: 'A table, or one JSON object per line',
    },
    { long: 'no-trunc', summary: 'Show whole commands' },
    { long: 'platform', value: 'PLATFORM', summary: 'Take this platform of the image' },
  ],
  run: showHistory,
}

interface HistoryLine extends HistoryEntry {
  readonly sizeBytes: number
}

async function showHistory({
  options,
  positionals: [name = ''],
  context,
}: CommandInput): Promise<number> {
  const store = openStore(context)
  const platform = options.text('platform')
  const { descriptor } = await getImage(store, name)
  const image = await openImage(
    store,
    descriptor,
    platform === undefined ? undefined : parsePlatform(platform),
  )
  const lines = historyLines(store, image).toReversed()
  const isWhole = options.flag('no-trunc')
  const ids = lines.map((_, index) => (index > 0 ? '<missing>' : imageId(image, isWhole)))
  context.printJson(lines)
  if (context.quiet) for (const id of ids) context.print(id)
  else if (options.text('format') === 'json')
    for (const line of lines) context.print(JSON.stringify(line))
  else for (const line of historyTable(lines, ids, isWhole)) context.print(line)
  return 0
}

/** Entries with the layers they made; layers that no entry tells of come last, without a text. */
function historyLines(store: DiskStore, { config, layers }: Image): HistoryLine[] {
  const sizes = layers.map(layer => layerSize(store, layer))
  const told = (config.history ?? []).map(entry => ({
    ...entry,
    sizeBytes: entry.empty_layer ? 0 : (sizes.shift() ?? 0),
  }))
  return [...told, ...sizes.map(sizeBytes => ({ sizeBytes }))]
}

const widestCommand = 45

function imageId({ descriptor }: Image, isWhole: boolean): string {
  return isWhole ? descriptor.digest : hexOf(descriptor.digest).slice(0, 12)
}

function historyTable(
  lines: readonly HistoryLine[],
  ids: readonly string[],
  isWhole: boolean,
): string[] {
  const now = Date.now()
  const shorten = (text: string): string =>
    isWhole || text.length <= widestCommand ? text : `${text.slice(0, widestCommand - 1)}…`
  return tableLines(
    ['IMAGE', 'CREATED', 'CREATED BY', 'SIZE', 'COMMENT'],
    lines.map((line, index) => [
      ids[index] ?? '',
      humanAge(line.created, now),
      shorten(line.created_by ?? ''),
      humanSize(line.sizeBytes),
      line.comment ?? '',
    ]),
  )
}
