// `kauri oci` without a further word: the version, in the form that engines parse.

import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci',
  summary: 'Run bundles for container engines, as an OCI runtime',
  details: [
    'bin/kauri-oci is the same under one word, to be named as the runtime of podman, containerd or docker.',
  ],
  options: [
    { long: 'version', short: 'v', summary: 'Show the version and that of the specification' },
  ],
  async run({ options, context }) {
    if (!options.flag('version')) {
      const { KauriError } = await import('../../core/errors.ts')
      throw new KauriError('USAGE', "'oci' is half a command", { hint: 'see kauri oci --help' })
    }
    const { ociVersion } = await import('../../oci-runtime/oci-host.ts')
    const { kauriVersion } = await import('./version.ts')
    const version = await kauriVersion()
    for (const line of [`kauri version ${version}`, `commit: ${version}`, `spec: ${ociVersion}`])
      context.print(line)
    return 0
  },
})
