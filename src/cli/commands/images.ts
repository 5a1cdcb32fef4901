// `kauri images`: what is in the store, in docker's columns.

import { KauriError } from '../../core/errors.ts'
import { getImage } from '../../image/find-image.ts'
import { createdMsOf, listSummaries, type SummarizedImage } from '../../image/image-summaries.ts'
import { hexOf } from '../../oci/digest.ts'
import { familiarName, formatReference } from '../../oci/reference.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { humanAge, humanSize } from '../human-units.ts'
import { nameFilter, parseImageFilters } from '../image-filters.ts'
import { listingLines } from '../listing.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'images',
  summary: 'List images',
  operands: '[NAME[:TAG]]',
  maxOperands: 1,
  details: [
    'NAME may hold the wildcards * and ?. The size is that of the unpacked layers, or of the stored ones where nobody here has unpacked them.',
    'Filters: dangling=true|false, label=KEY[=VALUE], before=IMAGE, since=IMAGE, until=TIME (a date, seconds since 1970, or an age such as 24h), reference=NAME[:TAG] with wildcards. Several filters must all fit; of several references one.',
    'FORMAT is table, json, a template of Go such as {{.ID}}: {{.Repository}}, or table and a template. Fields are ID, Repository, Tag, Digest, CreatedSince, CreatedAt and Size.',
  ],
  options: [
    {
      long: 'all',
      short: 'a',
      summary: 'Show intermediate images, too; builds leave none, so that these are all',
    },
    { long: 'digests', summary: 'Show the digests of the manifests' },
    {
      long: 'filter',
      short: 'f',
      value: 'KEY=VALUE',
      repeat: true,
      summary: 'Show only what fits',
    },
    { long: 'format', value: 'FORMAT', summary: 'table, json or a template' },
    { long: 'no-trunc', summary: 'Show whole image IDs' },
  ],
  run: listImages,
}

/** One line of the list; the keys are docker's. */
interface ImageLine extends Readonly<Record<string, string>> {
  readonly Repository: string
  readonly Tag: string
  readonly Digest: string
  readonly ID: string
  readonly CreatedAt: string
  readonly CreatedSince: string
  readonly Size: string
  readonly Containers: string
  readonly SharedSize: string
  readonly UniqueSize: string
  readonly VirtualSize: string
}

const headings = {
  Repository: 'REPOSITORY',
  Tag: 'TAG',
  Digest: 'DIGEST',
  ID: 'IMAGE ID',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  Size: 'SIZE',
} as const

async function listImages({ options, positionals, context }: CommandInput): Promise<number> {
  const format = options.text('format')
  if (context.quiet && format !== undefined && format !== 'table')
    throw new KauriError('USAGE', '--quiet prints image IDs and takes no --format')
  const store = openStore(context)
  const all = await listSummaries(store, context.dataRoot)
  const findCreatedMs = async (name: string): Promise<number> => {
    const { digest } = (await getImage(store, name)).descriptor
    return Math.max(0, ...all.filter(image => image.descriptor.digest === digest).map(createdMsOf))
  }
  const filters = [
    ...positionals.map(name => nameFilter([name])),
    ...(await parseImageFilters(options.texts('filter'), findCreatedMs)),
  ]
  const images = all.filter(image => filters.every(fits => fits(image)))
  context.printJson(images.map(describe))
  const isWhole = options.flag('no-trunc')
  const rows = images.map(image => imageLine(image, isWhole))
  if (context.quiet) for (const id of new Set(rows.map(({ ID }) => ID))) context.print(id)
  else {
    const shown = ['Repository', 'Tag', 'Digest', 'ID', 'CreatedSince', 'Size']
    const columns = options.flag('digests') ? shown : shown.filter(name => name !== 'Digest')
    for (const line of await listingLines({ headings, columns, rows }, format)) context.print(line)
  }
  return 0
}

function imageLine(
  { reference, descriptor, summary }: SummarizedImage,
  isWhole: boolean,
): ImageLine {
  const { digest } = descriptor
  const size = summary === undefined ? 'N/A' : humanSize(summary.sizeBytes)
  return {
    Repository: reference === undefined ? '<none>' : familiarName(reference),
    Tag: reference?.tag ?? '<none>',
    Digest: digest,
    ID: isWhole ? digest : hexOf(digest).slice(0, 12),
    CreatedAt: summary?.created || 'N/A',
    CreatedSince: humanAge(summary?.created, Date.now()),
    Size: size,
    // What docker shows where nobody asked it to count.
    Containers: 'N/A',
    SharedSize: 'N/A',
    UniqueSize: 'N/A',
    VirtualSize: size,
  }
}

/** The machine-readable form: full names, bytes, nothing rounded. */
function describe({ reference, descriptor, summary }: SummarizedImage): object {
  return {
    reference: reference === undefined ? null : formatReference(reference),
    digest: descriptor.digest,
    mediaType: descriptor.mediaType,
    created: summary?.created || null,
    sizeBytes: summary?.sizeBytes ?? null,
    configDigest: summary?.configDigest ?? null,
  }
}
