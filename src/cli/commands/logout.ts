// `kauri logout`: forgets name and password of a registry.

import process from 'node:process'
import { KauriError } from '../../core/errors.ts'
import { forgetCredentials, keptRegistries } from '../../registry/keep-credentials.ts'
import { canonicalRegistry } from '../../registry/registry-host.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { parseRegistry, readRegistryOptions, registryOptions } from '../registry-options.ts'

const fileOption = registryOptions.filter(({ long }) => long === 'authfile')

export const command: CommandSpec = {
  name: 'logout',
  summary: 'Log out of a registry',
  operands: '[REGISTRY]',
  maxOperands: 1,
  options: [{ long: 'all', short: 'a', summary: 'Log out of every registry' }, ...fileOption],
  run: runLogout,
}

async function runLogout({ options, positionals, context }: CommandInput): Promise<number> {
  const [operand] = positionals
  if (options.flag('all') && operand !== undefined)
    throw new KauriError('USAGE', `--all says every registry, ${operand} only one`)
  const { tlsVerify: _, ...choices } = readRegistryOptions(options, fileOption)
  const place = { environment: process.env, userId: process.geteuid?.() ?? 0, ...choices }
  const registries = options.flag('all')
    ? [...new Set(keptRegistries(place).map(canonicalRegistry))]
    : [parseRegistry(operand)]
  const forgotten: string[] = []
  for (const registry of registries) {
    const { wasKept, stillIn } = await forgetCredentials(place, registry, context)
    if (wasKept) forgotten.push(registry)
    context.print(
      wasKept ? `Removed login credentials for ${registry}` : `Not logged in to ${registry}`,
    )
    for (const file of stillIn)
      context.emit({ kind: 'warning', message: `${file} still has credentials for ${registry}` })
  }
  context.printJson({ registries: forgotten })
  return 0
}
