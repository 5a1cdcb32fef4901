// Taking a network away: only while nobody is on it, and whole.

import { rmSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { tryLockFile } from '../native/file-lock.ts'
import { removeBridgeRules } from './bridge-guard.ts'
import { portPrefix } from './bridge-ports.ts'
import type { BridgeSpec } from './bridge-spec.ts'
import { closeHostFirewall } from './host-firewall.ts'
import { listLinks, parseLink, removeLink } from './link-messages.ts'
import { netlinkProtocol, netlinkRequest } from './netlink.ts'
import { bridgeSpecOf, type Network } from './networks.ts'

/** Shared by whoever holds a container on the network, exclusive for who removes it. */
export function usersLock({ directory }: Pick<BridgeSpec, 'directory'>): string {
  return path.join(directory, 'users.lock')
}

/** Keeps containers from coming until it is disposed of. @throws LOCK_BUSY while there are any */
export function refuseWhileUsed(network: Network): Disposable {
  const spec = bridgeSpecOf(network)
  const lock = tryLockFile(usersLock(spec), 'exclusive')
  if (lock !== undefined && !hasPorts(spec)) return lock
  lock?.[Symbol.dispose]()
  throw new KauriError('LOCK_BUSY', `the network ${network.name} has active endpoints`, {
    hint: 'end the containers on it, or take them off with kauri network disconnect',
  })
}

/** True while an interface of a container is on the bridge. */
export function hasPorts({ ports }: Pick<BridgeSpec, 'ports'>): boolean {
  const prefix = portPrefix(ports, 'container')
  return links().some(({ name }) => name.startsWith(prefix))
}

function links(): readonly { readonly name: string; readonly index: number }[] {
  return netlinkRequest(netlinkProtocol.route, [listLinks()]).flatMap(
    reply => parseLink(reply) ?? [],
  )
}

/** Removes a bridge, its tables and its run-time files; what is missing is fine. @throws a system error */
export async function removeTraces(spec: BridgeSpec): Promise<void> {
  await closeHostFirewall(spec.name)
  const link = links().find(({ name }) => name === spec.name)
  if (link !== undefined) removeIfThere(link.index)
  await removeBridgeRules(spec)
  rmSync(spec.directory, { recursive: true, force: true })
}

/** Removes an interface of the host, with one end of a pair the other. */
export function removeIfThere(index: number): void {
  try {
    netlinkRequest(netlinkProtocol.route, [removeLink(index)])
  } catch (error) {
    if (!hasErrno(error, 'ENODEV')) throw error
  }
}
