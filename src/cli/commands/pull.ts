// `kauri pull`: images from registries into the store.

import { mapConcurrent } from '../../core/concurrency.ts'
import { KauriError } from '../../core/errors.ts'
import { type Platform, parsePlatform } from '../../oci/platform.ts'
import { formatFamiliar, formatReference, type Reference } from '../../oci/reference.ts'
import { pullImage } from '../../registry/pull-image.ts'
import type { Registries } from '../../registry/registry.ts'
import type { CommandInput, CommandSpec, ParsedOptions } from '../command.ts'
import { openStore } from '../open-store.ts'
import { openRegistries } from '../registry-access.ts'
import { parseRepository, registryOptions } from '../registry-options.ts'

export const command: CommandSpec = {
  name: 'pull',
  summary: 'Get images from registries',
  operands: 'NAME[:TAG|@DIGEST]...',
  minOperands: 1,
  details: [
    "Of an image for several platforms this machine's is taken, another one with --platform, all with --all-platforms.",
    'What is complete stays when something fails, so the next pull goes on from there. Prints the digest of each image.',
  ],
  options: [
    {
      long: 'platform',
      value: 'OS/ARCH',
      summary: "Which of several platforms, by default this machine's",
    },
    { long: 'all-platforms', summary: 'Every platform of the image' },
    { long: 'all-tags', short: 'a', summary: 'Every tag of the repository' },
    ...registryOptions,
  ],
  run: runPull,
}

const imagesAtOnce = 2

async function runPull({ options, positionals, context }: CommandInput): Promise<number> {
  const { emit, signal } = context
  const platform = wantedPlatform(options)
  const store = openStore(context)
  await using registries = await openRegistries(context, options)
  const names: Reference[] = []
  for (const word of positionals)
    if (options.flag('all-tags')) names.push(...(await everyTag(registries, word, signal)))
    else names.push(registries.parseName(word))
  const pulled = await mapConcurrent(names, imagesAtOnce, async reference => ({
    reference,
    descriptor: await pullImage(store, reference, { registries, platform, emit, signal }),
  }))
  for (const { reference, descriptor } of pulled)
    context.print(
      context.quiet
        ? formatFamiliar(reference)
        : `${formatFamiliar(reference)} ${descriptor.digest}`,
    )
  context.printJson(
    pulled.map(({ reference, descriptor }) => ({
      reference: formatReference(reference),
      digest: descriptor.digest,
    })),
  )
  return 0
}

async function everyTag(
  registries: Registries,
  word: string,
  signal: AbortSignal,
): Promise<Reference[]> {
  const name = parseRepository(registries, word)
  const tags = await registries.repository(name).listTags({ signal })
  if (tags === undefined || tags.length === 0)
    throw new KauriError('IMAGE_NOT_FOUND', `there is no image ${word}`)
  return tags.map(tag => ({ ...name, tag }))
}

function wantedPlatform(options: ParsedOptions): Platform | 'all' | undefined {
  const text = options.text('platform')
  if (!options.flag('all-platforms')) return text === undefined ? undefined : parsePlatform(text)
  if (text === undefined) return 'all'
  throw new KauriError('USAGE', '--platform and --all-platforms exclude each other')
}
