// Debian's packages: the host's apt resolves and downloads with a configuration of its own, the image's dpkg installs.

import { access as checkAccess, constants } from 'node:fs/promises'
import { KauriError } from '../../core/errors.ts'
import { type AptAccess, type AptOptions, openAptAccess, openAptSession } from '../apt-access.ts'
import { cleanDebianRoot } from '../apt-clean-root.ts'
import { installPlan } from '../apt-install.ts'
import { removePackages } from '../apt-remove.ts'
import {
  type AptPlan,
  checkNames,
  resolutionKey,
  resolutionOf,
  resolvePlan,
} from '../apt-resolve.ts'
import { readInstalledState, readInventory } from '../dpkg-state.ts'
import type { PackageManager, PackageWork, Resolution } from '../package-manager.ts'
import type { InstallRequest } from '../package-requests.ts'
import type { Rootfs } from '../rootfs.ts'

export type { AptOptions } from '../apt-access.ts'

const hostPrograms = [
  '/usr/bin/apt-get',
  '/usr/bin/apt-cache',
  '/usr/bin/apt-config',
  '/usr/lib/apt/apt-helper',
]

/** apt for one command: repositories are asked once in its life. */
export function aptPackageManager(options: AptOptions): PackageManager {
  const session = openAptSession(options)
  return {
    name: 'apt',
    checkHost: checkHostPrograms,
    async checkRequests(requests, work) {
      for (const request of requests) {
        if (request.packages.length === 0) continue
        await using access = await openAptAccess(session, request, work)
        await checkNames(access, request, work)
      }
    },
    async resolve(request, root, work): Promise<Resolution> {
      await using access = await openAptAccess(session, request, work)
      const plan = await planFor(access, { request, root, work })
      return resolutionOf(request, plan, { access, offline: work.offline })
    },
    async install(request, resolution, root, work) {
      await using access = await openAptAccess(session, request, work)
      const plan = await planFor(access, { request, root, work })
      if (resolutionKey(request, plan, access) !== resolution.key)
        throw new KauriError('PACKAGE_CONFLICT', 'the repositories changed while the build ran', {
          hint: 'start the build again',
        })
      return await installPlan({ session, access, plan, request, root, work })
    },
    remove: (request, root, work) => removePackages({ session, request, root, work }),
    async cleanRoot(root) {
      using tree = root.open()
      cleanDebianRoot(tree.fd)
    },
    inventory: async treePath => readInventory(treePath),
  }
}

async function planFor(access: AptAccess, { request, root, work }: PlanInputs): Promise<AptPlan> {
  const installed = request.bootstrap || root === undefined ? undefined : readState(root)
  return resolvePlan(access, request, { installed, work })
}

interface PlanInputs {
  readonly request: InstallRequest
  readonly root: Rootfs | undefined
  readonly work: PackageWork
}

function readState(root: Rootfs): ReturnType<typeof readInstalledState> {
  using tree = root.open()
  return readInstalledState(tree.fd)
}

async function checkHostPrograms(): Promise<void> {
  for (const program of hostPrograms)
    try {
      await checkAccess(program, constants.X_OK)
    } catch (error) {
      throw new KauriError('PREREQUISITE_MISSING', `${program} is not installed`, {
        hint: 'install apt on this machine; packages of Debian and Ubuntu cannot be resolved without it',
        cause: error,
      })
    }
}
