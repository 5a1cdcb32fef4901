// `kauri version`: what to name in a report.

import { readFile } from 'node:fs/promises'
import { arch, release } from 'node:os'
import path from 'node:path'
import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'version',
  summary: 'Show the versions of kauri, its Node and the kernel',
  options: [],
  run: async ({ context }) => {
    const version = await kauriVersion()
    const node = process.versions.node
    const kernel = release()
    context.print(`kauri ${version}`)
    if (!context.quiet) context.print(`node ${node}\nkernel ${kernel} ${arch()}`)
    context.printJson({ kauri: version, node, kernel, architecture: arch() })
    return 0
  },
}

/** The version in package.json. */
export async function kauriVersion(): Promise<string> {
  const manifest = path.join(import.meta.dirname, '../../../package.json')
  const parsed: unknown = JSON.parse(await readFile(manifest, 'utf8'))
  const isRecord = typeof parsed === 'object' && parsed !== null && 'version' in parsed
  return isRecord && typeof parsed.version === 'string' ? parsed.version : 'unknown'
}
