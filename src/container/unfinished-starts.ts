// Starts that a killed kauri did not finish: the monitor is there with the container's locks, and its program waits to be
// let run by nobody. Who starts a container says so in a file until the program runs.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { namesIn } from '../core/directory-names.ts'
import { hasErrno } from '../core/errors.ts'
import type { ContainerRuntime } from '../runtime/container-runtime.ts'
import { isRunning, ownIdentity, type ProcessIdentity } from '../runtime/run-record.ts'
import type { ContainerId } from './container.ts'
import { asContainerId } from './container-name.ts'

const fileName = 'starting'

/** Notes that this process starts the container, until disposed. */
export function noteStart(root: string, id: ContainerId): Disposable {
  const file = path.join(root, id, fileName)
  const { pid, startTicks } = ownIdentity()
  writeFileSync(file, `${pid} ${startTicks}`)
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) }
}

/** Ends what waits for a starter that is dead; its monitor then cleans up. */
export async function endUnfinishedStarts(
  root: string,
  runtime: Pick<ContainerRuntime, 'state' | 'delete'>,
): Promise<void> {
  for (const name of namesIn(root)) {
    const id = asContainerId(name)
    const starter = id === undefined ? undefined : readStarter(root, id)
    if (id === undefined || starter === undefined || isRunning(starter)) continue
    if (runtime.state(id)?.status === 'created') await runtime.delete(id, { force: true })
    rmSync(path.join(root, id, fileName), { force: true })
  }
}

/** Undefined where nobody starts it; of nobody alive where the note was cut short. */
function readStarter(root: string, id: ContainerId): ProcessIdentity | undefined {
  try {
    const [pid = '', startTicks = ''] = readFileSync(path.join(root, id, fileName), 'utf8').split(
      ' ',
    )
    return { pid: Number(pid), startTicks }
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}
