// The networks of a command's state directory.

import path from 'node:path'
import process from 'node:process'
import { KauriError } from '../core/errors.ts'
import { type Networks, openNetworks } from '../network/networks.ts'
import type { CommandContext } from './command.ts'

/** @throws NOT_ROOT */
export function openNetworksHere({ dataRoot }: Pick<CommandContext, 'dataRoot'>): Networks {
  if (process.getuid?.() !== 0)
    throw new KauriError('NOT_ROOT', 'networks need root', { hint: 'use sudo' })
  return openNetworks(path.join(dataRoot, 'networks'))
}
