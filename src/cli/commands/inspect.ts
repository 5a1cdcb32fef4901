// `kauri inspect`: everything known of containers and images, as the JSON list that docker prints.

import { existsSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { KauriError } from '../../core/errors.ts'
import { findImage } from '../../image/find-image.ts'
import { parsePlatform } from '../../oci/platform.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import type { CommandContext, CommandInput, CommandSpec, ParsedOptions } from '../command.ts'
import { imageDetails } from '../image-details.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'inspect',
  summary: 'Show everything known of containers and images as JSON',
  details: ['FORMAT is json, for one line, or a template of Go such as {{.Config.Cmd}}.'],
  operands: 'CONTAINER|IMAGE...',
  minOperands: 1,
  options: [
    { long: 'format', short: 'f', value: 'FORMAT', summary: 'json or a template' },
    { long: 'platform', value: 'PLATFORM', summary: 'Take this platform of the images' },
    { long: 'size', short: 's', summary: 'Show what containers take on the disk' },
    {
      long: 'type',
      value: 'TYPE',
      choices: ['container', 'image'],
      summary: 'Look only for these',
    },
  ],
  run: inspectThings,
}

/** What is found is printed even where something else is missing; the first failure is thrown at the end. */
async function inspectThings({ options, positionals, context }: CommandInput): Promise<number> {
  const store = openStore(context)
  const found: object[] = []
  const missing: string[] = []
  let failure: unknown
  for (const name of positionals) {
    try {
      const details =
        (await findContainer(name, options, context)) ??
        (await findImageDetails(name, options, store))
      if (details === undefined) missing.push(name)
      else found.push(details)
    } catch (error) {
      failure ??= error
    }
  }
  context.printJson(found)
  for (const line of await formatDetails(found, options.text('format'))) context.print(line)
  if (failure !== undefined) throw failure
  if (missing.length > 0)
    throw new KauriError('IMAGE_NOT_FOUND', `No such object: ${missing.join(', ')}`, {
      hint: 'kauri ps -a and kauri images list what is there',
    })
  return 0
}

/** A container has its name before an image, as docker looks for them. */
async function findContainer(
  name: string,
  options: ParsedOptions,
  context: CommandContext,
): Promise<object | undefined> {
  if (options.text('type') === 'image' || options.text('platform') !== undefined) return undefined
  if (process.getuid?.() !== 0 || !existsSync(path.join(context.dataRoot, 'containers')))
    return undefined
  const { containerDetails } = await import('../container-details.ts')
  return await containerDetails(name, options.flag('size'), context)
}

async function findImageDetails(
  name: string,
  options: ParsedOptions,
  store: DiskStore,
): Promise<object | undefined> {
  if (options.text('type') === 'container') return undefined
  const platform = options.text('platform')
  const image = await findImage(store, name)
  if (image === undefined) return undefined
  const wanted = platform === undefined ? undefined : parsePlatform(platform)
  return await imageDetails(store, image, wanted)
}

async function formatDetails(
  found: readonly object[],
  format: string | undefined,
): Promise<readonly string[]> {
  if (format === undefined) return [JSON.stringify(found, undefined, 4)]
  if (format === 'json') return [JSON.stringify(found)]
  const { goTemplate } = await import('../template/go-template.ts')
  const template = goTemplate(format)
  return found.map(details => template.render(details))
}
