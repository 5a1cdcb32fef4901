// `RUN --mount=type=secret`: a value of the caller's as a file in memory, in a variable, or both. It is read when the step
// runs, goes to the launcher over its socket, and is part of no key, event or error.

import { hasErrno, KauriError, type SourcePosition } from '../../core/errors.ts'
import type { BuildMount } from '../../plan/plan.ts'
import type { CallerOptions } from '../build.ts'
import { readSecret } from '../read-secret.ts'
import type { OpenedMount } from './build-mount.ts'

export type SecretMount = Extract<BuildMount, { readonly kind: 'secret' }>

/**
 * Reads the value. Without one an optional secret has no file, and its variable is empty, as in BuildKit.
 * @throws USAGE for a required secret that the caller does not give, and for one that cannot be read
 */
export function openSecret(
  mount: SecretMount,
  caller: CallerOptions | undefined,
  where: SourcePosition | undefined,
): OpenedMount {
  const { target, variable } = mount
  const value = valueOf(mount, caller, where)
  const environment = variable === undefined ? [] : [`${variable}=${textOf(mount, value, where)}`]
  if (target === undefined || value === undefined) return { mounts: [], environment }
  const { mode, uid, gid } = mount
  const access = (mode & 0o111) === 0 ? ['noexec'] : []
  const file = { content: value, mode: mode & 0o777, uid, gid }
  const options = ['bind', 'ro', 'nosuid', 'nodev', ...access]
  return {
    mounts: [{ type: 'bind', source: '', destination: target, options, file }],
    environment,
  }
}

function valueOf(
  { id, required }: SecretMount,
  caller: CallerOptions | undefined,
  where: SourcePosition | undefined,
): Uint8Array | undefined {
  const source = caller?.secrets.get(id)
  if (source === undefined) {
    if (!required) return undefined
    throw new KauriError('USAGE', `secret ${id}: not found`, {
      hint: `hand it in with --secret id=${id},src=FILE or --secret id=${id},env=NAME`,
      where,
    })
  }
  try {
    // A variable that the caller lost meanwhile is empty, as in BuildKit.
    return readSecret(source) ?? new Uint8Array()
  } catch (error) {
    if (source.kind !== 'file' || !hasErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR'))
      throw error
    throw new KauriError('USAGE', `the file ${source.path} of the secret ${id} cannot be read`, {
      where,
      cause: error,
    })
  }
}

function textOf(
  { id, variable }: SecretMount,
  value: Uint8Array | undefined,
  where: SourcePosition | undefined,
): string {
  const text = Buffer.from(value ?? []).toString('utf8')
  if (!text.includes('\0')) return text
  throw new KauriError(
    'USAGE',
    `secret ${id} has NUL bytes, which the variable ${variable} cannot hold`,
    { hint: 'mount it as a file, without env=', where },
  )
}
