// `kauri registry tags`: the tags that a repository has.

import { KauriError } from '../../core/errors.ts'
import { formatFamiliar } from '../../oci/reference.ts'
import type { CommandSpec } from '../command.ts'
import { openRegistries } from '../registry-access.ts'
import { parseRepository, registryOptions } from '../registry-options.ts'

export const command: CommandSpec = {
  name: 'registry tags',
  summary: 'List the tags of a repository in a registry',
  operands: 'REPOSITORY',
  minOperands: 1,
  maxOperands: 1,
  options: [...registryOptions],
  async run({ options, positionals: [word = ''], context }) {
    const { signal } = context
    await using registries = await openRegistries(context, options)
    const name = parseRepository(registries, word)
    const tags = await registries.repository(name).listTags({ signal })
    if (tags === undefined)
      throw new KauriError('IMAGE_NOT_FOUND', `there is no repository ${formatFamiliar(name)}`)
    for (const tag of tags) context.print(tag)
    context.printJson({ repository: `${name.registry}/${name.repository}`, tags })
    return 0
  },
}
