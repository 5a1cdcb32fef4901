// `kauri oci spec`: a configuration to begin with.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { hasErrno, KauriError } from '../../core/errors.ts'
import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci spec',
  summary: 'Write a config.json to begin with',
  options: [
    {
      long: 'bundle',
      short: 'b',
      value: 'DIR',
      summary: 'Directory of the bundle (the working directory)',
    },
    { long: 'rootless', summary: 'For the calling user, without root' },
  ],
  async run({ options }) {
    const { defaultSpec } = await import('../../oci-runtime/default-spec.ts')
    const ids = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
    const spec = defaultSpec(options.flag('rootless') ? { rootless: ids } : {})
    const file = path.join(options.text('bundle') ?? '.', 'config.json')
    try {
      writeFileSync(file, `${JSON.stringify(spec, undefined, 2)}\n`, { flag: 'wx', mode: 0o644 })
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw error
      throw new KauriError('USAGE', `${file} is there already`, {
        hint: 'remove it first',
        cause: error,
      })
    }
    return 0
  },
})
