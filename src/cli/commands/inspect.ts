// `kauri inspect`: everything known of images, as the JSON list that docker prints.

import { KauriError } from '../../core/errors.ts'
import { findImage } from '../../image/find-image.ts'
import { parsePlatform } from '../../oci/platform.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { imageDetails } from '../image-details.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'inspect',
  summary: 'Show everything known of images as JSON',
  details: ['FORMAT is json, for one line, or a template of Go such as {{.Config.Cmd}}.'],
  operands: 'IMAGE...',
  minOperands: 1,
  options: [
    { long: 'format', short: 'f', value: 'FORMAT', summary: 'json or a template' },
    { long: 'platform', value: 'PLATFORM', summary: 'Take this platform of the images' },
  ],
  run: inspectImages,
}

/** What is found is printed even where something else is missing; the first failure is thrown at the end. */
async function inspectImages({ options, positionals, context }: CommandInput): Promise<number> {
  const store = openStore(context)
  const platform = options.text('platform')
  const wanted = platform === undefined ? undefined : parsePlatform(platform)
  const found: object[] = []
  const missing: string[] = []
  let failure: unknown
  for (const name of positionals) {
    try {
      const image = await findImage(store, name)
      if (image === undefined) missing.push(name)
      else found.push(await imageDetails(store, image, wanted))
    } catch (error) {
      failure ??= error
    }
  }
  context.printJson(found)
  for (const line of await formatDetails(found, options.text('format'))) context.print(line)
  if (failure !== undefined) throw failure
  if (missing.length > 0)
    throw new KauriError('IMAGE_NOT_FOUND', `no such image: ${missing.join(', ')}`, {
      hint: 'kauri images lists what is there',
    })
  return 0
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
