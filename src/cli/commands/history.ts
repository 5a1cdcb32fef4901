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
import { listingLines } from '../listing.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'history',
  summary: 'Show what made an image',
  details: [
    'FORMAT is table, json, a template of Go such as {{.CreatedBy}}, or table and a template. Fields are ID, CreatedSince, CreatedAt, CreatedBy, Size and Comment.',
  ],
  operands: 'IMAGE',
  minOperands: 1,
  maxOperands: 1,
  options: [
    { long: 'format', value: 'FORMAT', summary: 'table, json or a template' },
    {
      long: 'human',
      short: 'H',
      summary: 'Show ages and rounded sizes, the default; --human=false shows times and bytes',
    },
    { long: 'no-trunc', summary: 'Show whole commands and IDs' },
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
  else {
    const form = { isWhole, isHuman: options.flag('human', true) }
    const rows = lines.map((line, index) => historyRow(line, ids[index] ?? '', form))
    const columns = ['ID', 'CreatedSince', 'CreatedBy', 'Size', 'Comment']
    const listing = { headings, columns, rows }
    for (const line of await listingLines(listing, options.text('format'))) context.print(line)
  }
  return 0
}

const headings = {
  ID: 'IMAGE',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  CreatedBy: 'CREATED BY',
  Size: 'SIZE',
  Comment: 'COMMENT',
} as const

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

interface RowForm {
  readonly isWhole: boolean
  readonly isHuman: boolean
}

function historyRow(
  { created, created_by: createdBy = '', comment = '', sizeBytes }: HistoryLine,
  id: string,
  { isWhole, isHuman }: RowForm,
): Readonly<Record<string, string>> {
  const made = createdBy.replaceAll('\t', ' ')
  // One line for each entry, but where somebody wants the command as it is.
  const line = isWhole ? made : made.replaceAll('\n', ' ')
  const isCut = !isWhole && line.length > widestCommand
  return {
    ID: id,
    CreatedSince: isHuman ? humanAge(created, Date.now()) : (created ?? 'N/A'),
    CreatedAt: created ?? 'N/A',
    CreatedBy: isCut ? `${line.slice(0, widestCommand - 1)}…` : line,
    Size: isHuman ? humanSize(sizeBytes) : String(sizeBytes),
    Comment: comment,
  }
}
