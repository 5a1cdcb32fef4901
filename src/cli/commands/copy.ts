// `kauri copy`: images between registries, the store, layouts and archives, byte for byte.

import { KauriError } from '../../core/errors.ts'
import { hostPlatform, type Platform, parsePlatform } from '../../oci/platform.ts'
import type { CommandInput, CommandSpec, ParsedOptions } from '../command.ts'
import { parseCopyLocation } from '../copy-location.ts'
import { openCopySource } from '../copy-source.ts'
import { copyTo } from '../copy-target.ts'
import { openRegistries } from '../registry-access.ts'
import { registryOptions } from '../registry-options.ts'

export const command: CommandSpec = {
  name: 'copy',
  summary: 'Copy an image between registries, archives and the store',
  operands: 'SOURCE TARGET',
  minOperands: 2,
  maxOperands: 2,
  details: [
    'Places are NAME (the store), docker://NAME (a registry), oci:DIR[:TAG], oci-archive:FILE[:TAG] and docker-archive:FILE[:NAME].',
    'Digests stay what they are: all platforms go along, and nothing is packed anew, but for a docker-archive, which holds the plain tars of one platform. Between registries nothing is written to disk.',
  ],
  options: [
    { long: 'platform', value: 'OS/ARCH', summary: 'Only the image for this platform' },
    {
      long: 'referrers',
      summary: 'Between registries: copy signatures and what else refers to the image, too',
    },
    ...registryOptions,
  ],
  run: runCopy,
}

async function runCopy({ options, positionals, context }: CommandInput): Promise<number> {
  const [sourceText = '', targetText = ''] = positionals
  const [from, to] = [parseCopyLocation(sourceText), parseCopyLocation(targetText)]
  if (sourceText === targetText)
    throw new KauriError('USAGE', `${sourceText} would be copied onto itself`)
  const withReferrers = options.flag('referrers')
  if (withReferrers && (from.kind !== 'registry' || to.kind !== 'registry'))
    throw new KauriError('USAGE', '--referrers copies from docker://NAME to docker://NAME alone')
  const platform =
    wantedPlatform(options) ?? (to.kind === 'docker-archive' ? hostPlatform() : undefined)
  await using registries = await openRegistries(context, options)
  await using source = await openCopySource(from, platform, { context, registries })
  const descriptor = await copyTo(to, source, { context, registries, platform, withReferrers })
  context.print(descriptor.digest)
  context.printJson({ source: sourceText, target: targetText, ...descriptor })
  return 0
}

function wantedPlatform(options: ParsedOptions): Platform | undefined {
  const text = options.text('platform')
  return text === undefined ? undefined : parsePlatform(text)
}
