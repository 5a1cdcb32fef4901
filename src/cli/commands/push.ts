// `kauri push`: images of the store into a registry.

import { KauriError } from '../../core/errors.ts'
import { convertImage } from '../../image/convert-image.ts'
import { getImage } from '../../image/find-image.ts'
import { mountCandidates } from '../../image/mount-candidates.ts'
import { openImage } from '../../image/open-image.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { parsePlatform } from '../../oci/platform.ts'
import { formatFamiliar, formatReference, parseReference } from '../../oci/reference.ts'
import { pushImage } from '../../registry/push-image.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import type { NamedImage } from '../../store/store.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { openStore } from '../open-store.ts'
import { openRegistries } from '../registry-access.ts'
import { registryOptions } from '../registry-options.ts'

const compressions = ['zstd', 'gzip', 'none'] as const
const formats = ['oci', 'docker'] as const

export const command: CommandSpec = {
  name: 'push',
  summary: 'Put an image into a registry',
  operands: 'NAME[:TAG] [TARGET]',
  minOperands: 1,
  maxOperands: 2,
  details: [
    'The image goes where its name says, or where TARGET says. Layers that the registry has are not sent again. Prints the digest that the name then stands for.',
  ],
  options: [
    { long: 'all-tags', short: 'a', summary: 'Every tag that the store has of NAME' },
    { long: 'platform', value: 'OS/ARCH', summary: 'Only the image for this platform' },
    {
      long: 'compression',
      value: 'KIND',
      choices: compressions,
      summary: 'Pack the layers so: zstd, gzip or none; older engines read no zstd',
    },
    {
      long: 'format',
      value: 'FORMAT',
      choices: formats,
      summary: "oci, or docker for docker's own media types; zstd becomes gzip there",
    },
    ...registryOptions,
  ],
  run: runPush,
}

async function runPush({ options, positionals, context }: CommandInput): Promise<number> {
  const store = openStore(context)
  const images = options.flag('all-tags')
    ? await everyTag(store, positionals)
    : [await oneImage(store, positionals)]
  const { emit, signal } = context
  const conversion = {
    compression: compressions.find(word => word === options.text('compression')),
    format: formats.find(word => word === options.text('format')),
  }
  await using registries = await openRegistries(context, options)
  const pushed = []
  for (const { reference, descriptor } of images) {
    const image = await chosenImage(store, descriptor, options.text('platform'))
    const chosen = await convertImage(store, image, conversion, { emit, signal })
    const how = { registries, mountFrom: mountCandidates(store, reference), emit, signal }
    const result = await pushImage(store, chosen, reference, how)
    const name = formatFamiliar(reference)
    context.print(context.quiet ? name : `${name} ${result.digest}`)
    pushed.push({ reference: formatReference(reference), ...result })
  }
  context.printJson(options.flag('all-tags') ? pushed : pushed[0])
  return 0
}

async function oneImage(store: DiskStore, words: readonly string[]): Promise<NamedImage> {
  const [name = '', target = name] = words
  const reference = parseReference(target.replace(/^docker:\/\//, ''))
  return { reference, descriptor: (await getImage(store, name)).descriptor }
}

/** @throws USAGE for a name with a tag, or for a target, which could have one only; IMAGE_NOT_FOUND */
async function everyTag(store: DiskStore, words: readonly string[]): Promise<NamedImage[]> {
  const [word = '', target] = words
  if (target !== undefined || word.includes('@') || /:[^/]*$/.test(word))
    throw new KauriError('USAGE', `--all-tags wants one name without a tag, not ${words.join(' ')}`)
  const { registry, repository } = parseReference(word)
  const images = (await store.listImages()).filter(
    ({ reference }) =>
      reference.registry === registry &&
      reference.repository === repository &&
      reference.tag !== undefined,
  )
  if (images.length > 0) return images
  throw new KauriError('IMAGE_NOT_FOUND', `there is no image ${word}`)
}

async function chosenImage(
  store: DiskStore,
  descriptor: Descriptor,
  platform: string | undefined,
): Promise<Descriptor> {
  if (platform === undefined) return descriptor
  return (await openImage(store, descriptor, parsePlatform(platform))).descriptor
}
