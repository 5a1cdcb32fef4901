// Installing and removing packages. What an install reads is the resolved set, so it is resolved before anything is
// downloaded; installs onto a root that has packages need that root for it.

import { inStep } from '../../core/events.ts'
import { machineOfPlatform } from '../../oci/platform.ts'
import type { InstallStep, RemoveStep } from '../../plan/plan.ts'
import type { PackageManager, PackageWork, Resolution } from '../../rootfs/package-manager.ts'
import type { InstallRequest } from '../../rootfs/package-requests.ts'
import { nothingInstalled, type PreparedStep, type StepContext } from './step.ts'

/** Resolves the set. @throws PACKAGE_NOT_FOUND and others of the package manager */
export async function prepareInstall(
  step: InstallStep,
  context: StepContext,
): Promise<PreparedStep> {
  const manager = await context.tools.packageManager(step.manager)
  const request = requestOf(step, context)
  const resolution = await resolve(step, request, { manager, context })
  return {
    reads: resolution.key,
    async perform({ root }) {
      const outcome = await manager.install(
        request,
        resolution,
        root,
        packageWork(context, context.stepId),
      )
      await manager.cleanRoot(root)
      return outcome
    },
  }
}

function requestOf(step: InstallStep, { stage }: Pick<StepContext, 'stage'>): InstallRequest {
  const { bootstrap, repositories, packages, ignore, recommended, excludeDocs } = step
  const machine = machineOfPlatform(stage.platform)
  return { bootstrap, repositories, packages, ignore, recommended, excludeDocs, machine }
}

/** Looks for names that no repository knows: nobody wants to wait for a bootstrap to hear of a misspelt package after it. @throws PACKAGE_NOT_FOUND */
export async function checkPackageNames(
  steps: readonly InstallStep[],
  context: Omit<StepContext, 'openPrevious'>,
): Promise<void> {
  const [first] = steps
  if (first === undefined) return
  const manager = await context.tools.packageManager(first.manager)
  const requests = steps.map(step => requestOf(step, context))
  await inStep(context.options.emit, { id: context.stepId, title: 'check package names' }, () =>
    manager.checkRequests(requests, packageWork(context, context.stepId)),
  )
}

async function resolve(
  step: InstallStep,
  request: InstallRequest,
  { manager, context }: { readonly manager: PackageManager; readonly context: StepContext },
): Promise<Resolution> {
  await using previous = step.bootstrap ? undefined : await context.openPrevious()
  const id = `${context.stepId}-resolve`
  return await inStep(context.options.emit, { id, title: `resolve ${step.title}` }, () =>
    manager.resolve(request, previous, packageWork(context, id)),
  )
}

/** Removing reads nothing but the root. */
export async function prepareRemove(step: RemoveStep, context: StepContext): Promise<PreparedStep> {
  const manager = await context.tools.packageManager(step.manager)
  return {
    reads: null,
    async perform({ root }) {
      const { mode, packages } = step
      await manager.remove({ mode, packages }, root, packageWork(context, context.stepId))
      await manager.cleanRoot(root)
      return nothingInstalled
    },
  }
}

function packageWork({ options }: Pick<StepContext, 'options'>, stepId: string): PackageWork {
  const { signal, emit, offline } = options
  return { signal, emit, stepId, offline }
}
