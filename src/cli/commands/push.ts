// `kauri push`: an image of the store into a registry.

import { convertImage } from '../../image/convert-image.ts'
import { getImage } from '../../image/find-image.ts'
import { mountCandidates } from '../../image/mount-candidates.ts'
import { openImage } from '../../image/open-image.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { parsePlatform } from '../../oci/platform.ts'
import { formatFamiliar, formatReference, parseReference } from '../../oci/reference.ts'
import { pushImage } from '../../registry/push-image.ts'
import type { DiskStore } from '../../store/disk-store.ts'
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
  const [name = '', target = name] = positionals
  const reference = parseReference(target.replace(/^docker:\/\//, ''))
  const { emit, signal } = context
  const store = openStore(context)
  const { descriptor } = await getImage(store, name)
  const chosen = await convertImage(
    store,
    await chosenImage(store, descriptor, options.text('platform')),
    {
      compression: compressions.find(word => word === options.text('compression')),
      format: formats.find(word => word === options.text('format')),
    },
    { emit, signal },
  )
  await using registries = await openRegistries(context, options)
  const mountFrom = mountCandidates(store, reference)
  const pushed = await pushImage(store, chosen, reference, { registries, mountFrom, emit, signal })
  context.print(
    context.quiet ? formatFamiliar(reference) : `${formatFamiliar(reference)} ${pushed.digest}`,
  )
  context.printJson({ reference: formatReference(reference), ...pushed })
  return 0
}

async function chosenImage(
  store: DiskStore,
  descriptor: Descriptor,
  platform: string | undefined,
): Promise<Descriptor> {
  if (platform === undefined) return descriptor
  return (await openImage(store, descriptor, parsePlatform(platform))).descriptor
}
