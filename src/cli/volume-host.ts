// The volumes of a command's state directory, and the containers that use them.

import path from 'node:path'
import process from 'node:process'
import { listContainers } from '../container/container-records.ts'
import type { VolumeUser } from '../container/volume-use.ts'
import { openVolumes, type Volumes } from '../container/volumes.ts'
import { KauriError } from '../core/errors.ts'
import type { CommandContext } from './command.ts'

type State = Pick<CommandContext, 'dataRoot'>

/** @throws NOT_ROOT */
export function openVolumesHere({ dataRoot }: State): Volumes {
  if (process.getuid?.() !== 0)
    throw new KauriError('NOT_ROOT', 'volumes need root', { hint: 'use sudo' })
  return openVolumes(path.join(dataRoot, 'volumes'))
}

/** Every container, for who asks which volumes are in use. */
export function usersHere({ dataRoot }: State): readonly VolumeUser[] {
  return listContainers(path.join(dataRoot, 'containers'))
}
