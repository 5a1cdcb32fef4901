// `kauri oci features`: what the runtime can do, for engines that ask.

import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci features',
  summary: 'Show what the runtime supports as JSON',
  options: [],
  async run({ context }) {
    const { runtimeFeatures } = await import('../../oci-runtime/features.ts')
    const { kauriVersion } = await import('./version.ts')
    const features = runtimeFeatures(await kauriVersion())
    context.printJson(features)
    for (const line of JSON.stringify(features, undefined, 2).split('\n')) context.print(line)
    return 0
  },
})
