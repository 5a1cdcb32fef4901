// Opens what builds work with: state directories, snapshotter, runtime, package manager and store. Also checks that this
// machine can build at all, before anything is begun.

import { mkdirSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import type { ImageParts } from '../build/build-image.ts'
import { sweepScratchDirectories } from '../build/scratch-directory.ts'
import { aptPackageManager } from '../rootfs/package-managers/apt.ts'
import { createBuiltinRuntime } from '../runtime/builtin-runtime.ts'
import { sweepRuntime } from '../runtime/sweep-runtime.ts'
import { buildMountsPath } from './build-mounts-path.ts'
import type { CommandContext } from './command.ts'
import { openStore } from './open-store.ts'
import { openTrees } from './open-trees.ts'

/** For root only. @throws PREREQUISITE_MISSING */
export async function openBuildParts(context: CommandContext): Promise<ImageParts> {
  const { dataRoot, runRoot } = context
  // apt's downloads run as a user of its own, who must be able to pass through to its directory.
  for (const directory of [dataRoot, path.join(dataRoot, 'cache')])
    mkdirSync(directory, { recursive: true, mode: 0o711 })
  const cacheRoot = path.join(dataRoot, 'cache')
  const runtime = createBuiltinRuntime({ runRoot, cacheRoot })
  const apt = aptPackageManager({
    cacheDirectory: path.join(cacheRoot, 'apt'),
    runtime,
    environment: definedVariables(process.env),
  })
  await apt.checkHost()
  await sweepRuntime(runRoot)
  await sweepScratchDirectories(dataRoot)
  return {
    dataRoot,
    snapshotter: await openTrees(context),
    runtime,
    inventory: apt,
    packageManager: async () => apt,
    store: openStore(context),
    buildMountsFile: buildMountsPath(),
  }
}

function definedVariables(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  )
}
