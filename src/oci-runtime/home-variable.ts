// HOME for processes whose environment has none, from the container's own passwd: other runtimes do so, and shells rely on
// it. The root is a stranger's, so the file is opened inside of it by the kernel.

import { closeSync, constants, openSync } from 'node:fs'
import { readTextInRoot } from '../native/in-root.ts'
import { resolveContainerUser } from '../runtime/container-user.ts'

interface Person {
  readonly user?: { readonly uid: number }
  readonly env?: readonly string[]
}

/** The same process with HOME. `root` is a directory, or `/proc/PID/root` of a process that is in it. */
export function withHome<T extends Person>(process: T, root: string): T {
  const { user = { uid: 0 }, env = [] } = process
  if (env.some(variable => variable.startsWith('HOME='))) return process
  return { ...process, env: [...env, `HOME=${homeOf(user.uid, root)}`] }
}

function homeOf(uid: number, root: string): string {
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    const passwd = readTextInRoot(rootFd, '/etc/passwd')
    return resolveContainerUser(String(uid), { passwd }).home || '/'
  } catch {
    // A passwd that cannot be read says nothing about anybody.
    return '/'
  } finally {
    closeSync(rootFd)
  }
}
