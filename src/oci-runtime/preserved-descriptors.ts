// Descriptors that an engine hands to a container through the runtime (`--preserve-fds`, systemd's LISTEN_FDS). One that the
// engine did not open would be one of this process: it is refused, or the container would get it.

import { readFileSync } from 'node:fs'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { ProcessConfig } from '../oci/runtime-config.ts'

const firstDescriptor = 3
const closeOnExec = 0o2000000
const most = 4000

/** How many descriptors from 3 on reach the container. @throws USAGE for a number of more than the caller opened */
export function preservedDescriptors(
  asked: string | undefined,
  listening: string | undefined,
): number {
  const count = countOf(asked, '--preserve-fds') + countOf(listening, 'LISTEN_FDS')
  for (let fd = firstDescriptor; fd < firstDescriptor + count; fd++)
    if (!isInherited(fd))
      throw new KauriError('USAGE', `descriptor ${fd} is to be preserved but is not open`, {
        hint: 'count from descriptor 3',
      })
  return count
}

function countOf(text: string | undefined, name: string): number {
  if (text === undefined || text === '') return 0
  const count = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (count <= most) return count
  throw new KauriError('USAGE', `${name} takes a number up to ${most}, not ${JSON.stringify(text)}`)
}

/** Node opens all of its own with O_CLOEXEC; what came through exec cannot have it. */
function isInherited(fd: number): boolean {
  try {
    const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1]
    return flags !== undefined && (parseInt(flags, 8) & closeOnExec) === 0
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return false
    throw error
  }
}

/** What the container's program is told of descriptors that systemd handed over (sd_listen_fds(3)). */
export function withListening(
  process: ProcessConfig,
  listening: string | undefined,
): ProcessConfig {
  if (listening === undefined || listening === '') return process
  const env = [
    ...process.env.filter(line => !line.startsWith('LISTEN_')),
    `LISTEN_FDS=${listening}`,
  ]
  return { ...process, env: [...env, 'LISTEN_PID=1'] }
}
