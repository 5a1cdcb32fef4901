// `RUN --mount=type=ssh`: a socket on which the caller's ssh agent, or one that holds the caller's keys, answers while the
// step runs.

import path from 'node:path'
import { KauriError, type SourcePosition } from '../../core/errors.ts'
import type { BuildMount } from '../../plan/plan.ts'
import type { CallerOptions } from '../build.ts'
import type { MountWork, OpenedMount } from './build-mount.ts'

export type SshMount = Extract<BuildMount, { readonly kind: 'ssh' }>

interface SshContext {
  readonly caller: CallerOptions | undefined
  readonly where: SourcePosition | undefined
}

/**
 * Begins to listen; the end of the step closes the socket and every connection.
 * @throws USAGE for a required agent that the caller does not give; PREREQUISITE_MISSING where keys need ssh-agent
 */
export async function openSsh(
  { id, target, required, mode, uid, gid }: SshMount,
  { directory, index, stack, signal }: MountWork,
  { caller, where }: SshContext,
): Promise<OpenedMount> {
  const source = caller?.ssh.get(id)
  if (source === undefined) {
    if (!required) return { mounts: [] }
    throw new KauriError('USAGE', `no SSH key "${id}" forwarded from the client`, {
      hint: `hand an agent or keys in with --ssh ${id} or --ssh ${id}=FILE`,
      where,
    })
  }
  const { openSshRelay } = await import('../ssh-relay.ts')
  const { startKeyAgent } = await import('../ssh-keys.ts')
  const agent =
    source.kind === 'agent'
      ? source.socket
      : stack.use(await startKeyAgent(source.paths, { directory, index, signal })).socket
  const socket = path.join(directory, `ssh-${index}`)
  stack.use(await openSshRelay({ agent, socket, mode: mode & 0o777, uid, gid }))
  const options = ['bind', 'nosuid', 'nodev', 'noexec']
  return { mounts: [{ type: 'bind', source: socket, destination: target, options }] }
}
