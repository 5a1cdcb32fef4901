// `kauri registry referrers`: signatures, bills of materials and whatever else a registry has about an image.

import { KauriError } from '../../core/errors.ts'
import { formatFamiliar, formatReference } from '../../oci/reference.ts'
import type { CommandSpec } from '../command.ts'
import { listingLines } from '../listing.ts'
import { openRegistries } from '../registry-access.ts'
import { registryOptions } from '../registry-options.ts'

export const command: CommandSpec = {
  name: 'registry referrers',
  summary: 'List what refers to an image in a registry: signatures, bills of materials',
  operands: 'NAME[:TAG]',
  minOperands: 1,
  maxOperands: 1,
  options: [
    { long: 'artifact-type', value: 'TYPE', summary: 'Only those of this type' },
    ...registryOptions,
  ],
  async run({ options, positionals: [word = ''], context }) {
    const { signal } = context
    await using registries = await openRegistries(context, options)
    const reference = registries.parseName(word)
    const repository = registries.repository(reference)
    const target = reference.digest ?? reference.tag ?? 'latest'
    const descriptor = await repository.resolve(target, { signal })
    if (descriptor === undefined)
      throw new KauriError('IMAGE_NOT_FOUND', `there is no image ${formatFamiliar(reference)}`)
    const artifactType = options.text('artifact-type')
    const referrers = await repository.listReferrers(descriptor.digest, { signal, artifactType })
    context.printJson({
      reference: formatReference(reference),
      digest: descriptor.digest,
      referrers,
    })
    const rows = referrers.map(({ digest, artifactType: type = '' }) => ({
      Digest: digest,
      Type: type,
    }))
    const headings = { Digest: 'DIGEST', Type: 'ARTIFACT TYPE' }
    if (context.quiet) for (const { digest } of referrers) context.print(digest)
    else
      for (const line of await listingLines(
        { headings, columns: ['Digest', 'Type'], rows },
        undefined,
      ))
        context.print(line)
    return 0
  },
}
