// What `kauri port` does.

import { KauriError } from '../core/errors.ts'
import type { PublishedPort } from '../network/port-relay.ts'
import type { CommandInput } from './command.ts'
import { openContainers } from './container-host.ts'
import { isUp } from './container-rows.ts'
import { badValue } from './option-values.ts'

/** A line for each address: `80/tcp -> 0.0.0.0:8080`, or the address alone where a port is named. */
export async function portCommand({
  positionals: [name = '', wanted],
  context,
}: CommandInput): Promise<number> {
  const containers = await openContainers(context)
  const state = containers.get(name)
  const ports = isUp(state) ? (state.run?.ports ?? []) : []
  if (wanted === undefined) {
    for (const port of ports) context.print(`${innerOf(port)} -> ${addressOf(port)}`)
    context.printJson(ports)
    return 0
  }
  const [number = '', protocol = 'tcp', ...rest] = wanted.split('/')
  if (!/^\d{1,5}$/.test(number) || rest.length > 0)
    throw badValue('PORT', wanted, 'write a port such as 80/tcp')
  const found = ports.filter(port => innerOf(port) === `${Number(number)}/${protocol}`)
  if (found.length === 0)
    throw new KauriError('USAGE', `no public port '${number}/${protocol}' published for ${name}`)
  for (const port of found) context.print(addressOf(port))
  context.printJson(found)
  return 0
}

function innerOf({ containerPort, protocol }: PublishedPort): string {
  return `${containerPort}/${protocol}`
}

function addressOf({ hostAddress, hostPort }: PublishedPort): string {
  const address = hostAddress === '' ? '0.0.0.0' : hostAddress
  return `${address.includes(':') ? `[${address}]` : address}:${hostPort}`
}
