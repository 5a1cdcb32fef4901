// The runtime that kauri brings along: decides everything here, records what it is about to make, lets the launcher do
// it, and removes what was made.

import { KauriError } from '../core/errors.ts'
import { type CgroupLayout, readCgroupLayout } from './cgroup-layout.ts'
import { readContainerStats } from './cgroup-stats.ts'
import { containerDirectory, storedIds } from './container-files.ts'
import type { ContainerRuntime } from './container-runtime.ts'
import {
  freezeContainer,
  killContainer,
  processesOf,
  updateContainer,
} from './control-container.ts'
import { createContainer } from './create-container.ts'
import { deleteContainer } from './delete-container.ts'
import { execInContainer } from './exec-container.ts'
import { getStored, requireRunning, statusOf } from './find-container.ts'
import { runBundle } from './run-bundle.ts'
import { type BuiltinRuntimeOptions, type RuntimeHost, requireRoot } from './runtime-host.ts'
import { startContainer } from './start-container.ts'
import { waitForContainer } from './wait-for-container.ts'

/** Runs bundles with kauri's own launcher. */
export function createBuiltinRuntime(options: BuiltinRuntimeOptions): ContainerRuntime {
  const { runRoot } = options
  let layout: CgroupLayout | undefined
  const host = (): RuntimeHost => {
    requireRoot()
    layout ??= readCgroupLayout()
    return { ...options, layout }
  }
  /** Ends of containers whose launcher stays with this process. */
  const ends = new Map<string, Promise<number | undefined>>()
  return {
    name: 'builtin',
    run: (bundle, runOptions) => runBundle(bundle, runOptions, host()),
    async create(bundle, createOptions) {
      const { supervision } = createOptions
      const launched = await createContainer(bundle, createOptions, host())
      if (supervision.kind === 'caller' && supervision.stay === true)
        ends.set(bundle.id, launched.ended)
      return statusOf(runRoot, bundle.id) ?? gone(bundle.id)
    },
    start: (id, startOptions) => startContainer(runRoot, id, startOptions),
    exec: (id, process, execOptions) => execInContainer(id, process, execOptions, host()),
    state: id => statusOf(runRoot, id),
    list: () => storedIds(runRoot).flatMap(id => statusOf(runRoot, id) ?? []),
    kill: (id, signal, { all = false } = {}) => killContainer(runRoot, id, { signal, all }),
    pause: id => freezeContainer(runRoot, id, true),
    resume: id => freezeContainer(runRoot, id, false),
    update: (id, resources) => updateContainer(id, resources, host()),
    wait: (id, signal) => waitForContainer(runRoot, id, { staying: ends.get(id), signal }),
    delete: (id, { force = false } = {}) => deleteContainer(runRoot, id, force),
    stats(id) {
      const { pid } = requireRunning(runRoot, id)
      return readContainerStats(getStored(runRoot, id).cgroup.directories, pid)
    },
    processes: id => processesOf(getStored(runRoot, id)),
    directoryOf: id => containerDirectory(runRoot, id),
  }
}

function gone(id: string): never {
  throw new KauriError('CONTAINER_NOT_FOUND', `the container ${id} was removed while it was made`)
}
