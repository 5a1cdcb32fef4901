// `kauri inspect`: everything known of images, as the JSON list that docker prints.

import { KauriError } from '../../core/errors.ts'
import { findImage } from '../../image/find-image.ts'
import type { Image } from '../../image/image.ts'
import { openImage } from '../../image/open-image.ts'
import { imageSize } from '../../image/summarize-image.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { parsePlatform } from '../../oci/platform.ts'
import { familiarName, formatFamiliar } from '../../oci/reference.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'inspect',
  summary: 'Show everything known of images as JSON',
  operands: 'IMAGE...',
  minOperands: 1,
  options: [{ long: 'platform', value: 'PLATFORM', summary: 'Take this platform of the images' }],
  run: inspectImages,
}

/** What is found is printed even where something else is missing. */
async function inspectImages({ options, positionals, context }: CommandInput): Promise<number> {
  const store = openStore(context)
  const platform = options.text('platform')
  const wanted = platform === undefined ? undefined : parsePlatform(platform)
  const found: object[] = []
  const missing: string[] = []
  for (const name of positionals) {
    const image = await findImage(store, name)
    if (image === undefined) missing.push(name)
    else
      found.push(
        await inspectImage(
          store,
          image.descriptor,
          await openImage(store, image.descriptor, wanted),
        ),
      )
  }
  context.printJson(found)
  context.print(JSON.stringify(found, undefined, 4))
  if (missing.length > 0)
    throw new KauriError('IMAGE_NOT_FOUND', `no such image: ${missing.join(', ')}`, {
      hint: 'kauri images lists what is there',
    })
  return 0
}

/** The keys are docker's; Id is the digest by which the store knows the image. */
async function inspectImage(store: DiskStore, listed: Descriptor, image: Image): Promise<object> {
  const entries = await store.listEntries()
  const names = entries
    .filter(({ descriptor }) => descriptor.digest === listed.digest)
    .map(({ reference }) => reference)
    .filter(reference => reference !== undefined)
  const { config, manifest, descriptor } = image
  return {
    Id: listed.digest,
    RepoTags: names.filter(({ tag }) => tag !== undefined).map(formatFamiliar),
    RepoDigests: [...new Set(names.map(name => `${familiarName(name)}@${listed.digest}`))],
    Comment: config.history?.at(-1)?.comment ?? '',
    Created: config.created,
    Author: config.author ?? '',
    Config: config.config ?? {},
    Architecture: config.architecture,
    Variant: config.variant,
    Os: config.os,
    Size: imageSize(store, image),
    RootFS: { Type: 'layers', Layers: config.rootfs.diff_ids },
    Descriptor: descriptor,
    Manifest: {
      Config: manifest.config,
      Layers: manifest.layers,
      Annotations: manifest.annotations,
    },
  }
}
