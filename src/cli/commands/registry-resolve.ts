// `kauri registry resolve`: what names in registries stand for, without getting it.

import { KauriError } from '../../core/errors.ts'
import { formatFamiliar, formatReference } from '../../oci/reference.ts'
import type { CommandSpec } from '../command.ts'
import { openRegistries } from '../registry-access.ts'
import { registryOptions } from '../registry-options.ts'

export const command: CommandSpec = {
  name: 'registry resolve',
  summary: 'Show the digest that a name in a registry stands for',
  operands: 'NAME[:TAG]...',
  minOperands: 1,
  details: ['Nothing is stored, and where the registry can say it without it, nothing is fetched.'],
  options: [...registryOptions],
  async run({ options, positionals, context }) {
    const { signal } = context
    await using registries = await openRegistries(context, options)
    const resolved = []
    for (const word of positionals) {
      const reference = registries.parseName(word)
      const target = reference.digest ?? reference.tag ?? 'latest'
      const descriptor = await registries.repository(reference).resolve(target, { signal })
      if (descriptor === undefined)
        throw new KauriError('IMAGE_NOT_FOUND', `there is no image ${formatFamiliar(reference)}`)
      resolved.push({ reference: formatReference(reference), ...descriptor })
      context.print(
        positionals.length === 1
          ? descriptor.digest
          : `${formatFamiliar(reference)} ${descriptor.digest}`,
      )
    }
    context.printJson(resolved)
    return 0
  },
}
