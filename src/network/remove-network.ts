// Taking a network away: only while nobody is on it, and whole.

import { rmSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasErrno, KauriError } from '../core/errors.ts'
import { readTextSync } from '../core/text-file.ts'
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

/** Held by the process that answers for names; its id is in the file. */
export function resolverLock({ directory }: Pick<BridgeSpec, 'directory'>): string {
  return path.join(directory, 'resolver.lock')
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

/** Ends the network's resolver, which nobody needs any more; its lock says that it runs, and the file which process it is. */
async function endResolver(spec: BridgeSpec): Promise<void> {
  const file = resolverLock(spec)
  for (const deadlineMs = Date.now() + endsWithinMs; Date.now() < deadlineMs; ) {
    using lock = tryLockFile(file, 'exclusive')
    if (lock !== undefined) return
    const pid = Number.parseInt(readTextSync(file) ?? '', 10)
    if (pid > 1) endProcess(pid)
    await sleep(lookAgainMs)
  }
}

const endsWithinMs = 5000
const lookAgainMs = 5

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM')
  } catch (error) {
    if (!hasErrno(error, 'ESRCH')) throw error
  }
}

/** Removes a bridge, its tables and its run-time files; what is missing is fine. @throws a system error */
export async function removeTraces(spec: BridgeSpec): Promise<void> {
  await endResolver(spec)
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
