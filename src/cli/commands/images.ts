// `kauri images`: what is in the store, in docker's columns.

import path from 'node:path'
import { KauriError } from '../../core/errors.ts'
import { imageSize, type ListedImage, listOpenImages } from '../../image/summarize-image.ts'
import { hexOf } from '../../oci/digest.ts'
import { familiarName, formatFamiliar, formatReference } from '../../oci/reference.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { humanAge, humanSize } from '../human-units.ts'
import { openStore } from '../open-store.ts'
import { tableLines } from '../table.ts'

export const command: CommandSpec = {
  name: 'images',
  summary: 'List images',
  operands: '[NAME[:TAG]]',
  maxOperands: 1,
  details: [
    'NAME may hold the wildcards * and ?. The size is that of the unpacked layers, or of the stored ones where nobody here has unpacked them.',
    'Filters: dangling=true|false, label=KEY[=VALUE], reference=NAME[:TAG] with wildcards. Several filters must all fit.',
  ],
  options: [
    { long: 'digests', summary: 'Show the digests of the manifests' },
    {
      long: 'filter',
      short: 'f',
      value: 'KEY=VALUE',
      repeat: true,
      summary: 'Show only what fits',
    },
    {
      long: 'format',
      value: 'FORM',
      choices: ['table', 'json'],
      summary: 'A table, or one JSON object per line',
    },
    { long: 'no-trunc', summary: 'Show whole image IDs' },
  ],
  run: listImages,
}

/** One line of the list; the keys are docker's. */
interface ImageLine {
  readonly Repository: string
  readonly Tag: string
  readonly Digest: string
  readonly ID: string
  readonly CreatedAt: string
  readonly CreatedSince: string
  readonly Size: string
}

async function listImages({ options, positionals, context }: CommandInput): Promise<number> {
  const store = openStore(context)
  const fits = [...options.texts('filter').map(parseFilter), ...positionals.map(nameFilter)]
  const images = (await listOpenImages(store)).filter(image => fits.every(fit => fit(image)))
  context.printJson(images.map(image => describe(store, image)))
  const isWhole = options.flag('no-trunc')
  const lines = images.map(image => imageLine(store, image, isWhole))
  if (context.quiet) for (const { ID } of lines) context.print(ID)
  else if (options.text('format') === 'json')
    for (const line of lines) context.print(JSON.stringify(line))
  else for (const line of imageTable(lines, options.flag('digests'))) context.print(line)
  return 0
}

function imageTable(lines: readonly ImageLine[], hasDigests: boolean): string[] {
  const digest = (text: string): string[] => (hasDigests ? [text] : [])
  return tableLines(
    ['REPOSITORY', 'TAG', ...digest('DIGEST'), 'IMAGE ID', 'CREATED', 'SIZE'],
    lines.map(line => [
      line.Repository,
      line.Tag,
      ...digest(line.Digest),
      line.ID,
      line.CreatedSince,
      line.Size,
    ]),
  )
}

function imageLine(store: DiskStore, listed: ListedImage, isWhole: boolean): ImageLine {
  const { reference, descriptor, image } = listed
  const { digest } = descriptor
  return {
    Repository: reference === undefined ? '<none>' : familiarName(reference),
    Tag: reference?.tag ?? '<none>',
    Digest: digest,
    ID: isWhole ? digest : hexOf(digest).slice(0, 12),
    CreatedAt: image?.config.created ?? 'N/A',
    CreatedSince: humanAge(image?.config.created, Date.now()),
    Size: image === undefined ? 'N/A' : humanSize(imageSize(store, image)),
  }
}

/** The machine-readable form: full names, bytes, nothing rounded. */
function describe(store: DiskStore, { reference, descriptor, image }: ListedImage): object {
  return {
    reference: reference === undefined ? null : formatReference(reference),
    digest: descriptor.digest,
    mediaType: descriptor.mediaType,
    created: image?.config.created ?? null,
    sizeBytes: image === undefined ? null : imageSize(store, image),
    configDigest: image?.manifest.config.digest ?? null,
  }
}

type Filter = (image: ListedImage) => boolean

function parseFilter(text: string): Filter {
  const equals = text.indexOf('=')
  const [key, value] = equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)]
  switch (key) {
    case 'dangling':
      return danglingFilter(value)
    case 'label':
      return labelFilter(value)
    case 'reference':
      return nameFilter(value)
    default:
      throw new KauriError('USAGE', `invalid filter '${key}'`, {
        hint: 'filter by dangling, label or reference',
      })
  }
}

function danglingFilter(value: string): Filter {
  const wanted = value.toLowerCase()
  if (!['true', '1', 'false', '0'].includes(wanted))
    throw new KauriError('USAGE', `the filter dangling is true or false, not "${value}"`)
  const isDangling = wanted === 'true' || wanted === '1'
  return ({ reference }) => (reference === undefined) === isDangling
}

function labelFilter(value: string): Filter {
  const equals = value.indexOf('=')
  const key = equals < 0 ? value : value.slice(0, equals)
  return ({ image }) => {
    const label = image?.config.config?.Labels?.[key]
    return label !== undefined && (equals < 0 || label === value.slice(equals + 1))
  }
}

/** A pattern without a tag fits every tag, and one without a registry the short names. */
function nameFilter(pattern: string): Filter {
  return ({ reference }) =>
    reference !== undefined &&
    [familiarName(reference), formatFamiliar(reference), formatReference(reference)].some(name =>
      path.matchesGlob(name, pattern),
    )
}
