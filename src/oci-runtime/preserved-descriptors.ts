// Descriptors that an engine hands to a container through the runtime (`--preserve-fds`, systemd's LISTEN_FDS). One that the
// engine did not open would be one of this process: it is refused, or the container would get it.

import { KauriError } from '../core/errors.ts'
import type { ProcessConfig } from '../oci/runtime-config.ts'

/** What the caller asks for and what it has. */
export interface DescriptorRequest {
  /** Of --preserve-fds. */
  readonly preserved: string | undefined
  /** LISTEN_FDS of the environment. */
  readonly listening: string | undefined
  /** How many were open from 3 on before Node started; bin/kauri counts them. */
  readonly inherited: string | undefined
}

const most = 4000

/** How many descriptors from 3 on reach the container. @throws USAGE for a number of more than the caller opened */
export function preservedDescriptors({
  preserved,
  listening,
  inherited,
}: DescriptorRequest): number {
  const count = countOf(preserved, '--preserve-fds') + countOf(listening, 'LISTEN_FDS')
  const open = countOf(inherited, 'KAURI_INHERITED_FDS')
  if (count <= open) return count
  throw new KauriError('USAGE', `descriptor ${3 + open} is to be preserved but is not open`, {
    hint: 'count from descriptor 3, without gaps',
  })
}

function countOf(text: string | undefined, name: string): number {
  if (text === undefined || text === '') return 0
  const count = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (count <= most) return count
  throw new KauriError('USAGE', `${name} takes a number up to ${most}, not ${JSON.stringify(text)}`)
}

/** What the container's program is told of descriptors that systemd handed over (sd_listen_fds(3)). */
export function withListening(
  process: ProcessConfig,
  listening: string | undefined,
): ProcessConfig {
  if (listening === undefined || listening === '') return process
  const env = process.env.filter(line => !line.startsWith('LISTEN_'))
  return { ...process, env: [...env, `LISTEN_FDS=${listening}`, 'LISTEN_PID=1'] }
}
