// `kauri registry catalog`: the repositories that a registry shows.

import type { CommandSpec } from '../command.ts'
import { openRegistries } from '../registry-access.ts'
import { parseRegistry, registryOptions } from '../registry-options.ts'

export const command: CommandSpec = {
  name: 'registry catalog',
  summary: 'List the repositories of a registry',
  operands: 'REGISTRY',
  minOperands: 1,
  maxOperands: 1,
  details: [
    'REGISTRY is HOST or HOST:PORT. Not every registry tells its repositories, and docker.io does not.',
  ],
  options: [...registryOptions],
  async run({ options, positionals: [word], context }) {
    const { signal } = context
    const registry = parseRegistry(word)
    await using registries = await openRegistries(context, options)
    const repositories = await registries.listRepositories(registry, { signal })
    for (const repository of repositories) context.print(repository)
    context.printJson({ registry, repositories })
    return 0
  },
}
