// Which names a container finds on its networks; pure.

import { parseIpv4, toBytes } from './ipv4.ts'
import {
  answerCode,
  encodeName,
  type NameAnswer,
  type NameQuestion,
  recordType,
} from './name-message.ts'
import type { NetworkEndpoint, PlacedContainer } from './placed-containers.ts'

/** What this server knows of a question; undefined: others are to be asked. */
export interface OwnAnswer {
  readonly code: number
  readonly answers: readonly NameAnswer[]
}

/** The container that asks: the one that has the address on the network; undefined where nobody has it. */
export function findAsker(
  containers: readonly PlacedContainer[],
  networkId: string,
  address: string,
): PlacedContainer | undefined {
  return containers.find(({ endpoints }) =>
    endpoints.some(endpoint => endpoint.networkId === networkId && endpoint.address === address),
  )
}

/** Networks whose names a container sees: those that people made. */
function networksOf({ endpoints }: PlacedContainer): ReadonlySet<string> {
  return new Set(endpoints.map(({ networkId }) => networkId).filter(id => id !== ''))
}

/**
 * A container's name, the beginning of its id that people see, and its aliases on a network, with or without the network's
 * name behind them; and addresses, the other way round.
 */
export function answerOwn(
  { name, type }: NameQuestion,
  asker: PlacedContainer,
  containers: readonly PlacedContainer[],
): OwnAnswer | undefined {
  const networks = networksOf(asker)
  const places = containers.flatMap(container =>
    container.endpoints
      .filter(({ networkId }) => networks.has(networkId))
      .map(endpoint => ({ container, endpoint })),
  )
  if (name.endsWith(reverseZone)) {
    const found = places.find(({ endpoint }) => reverseName(endpoint.address) === name)
    if (found === undefined) return undefined
    const { container, endpoint } = found
    const data = encodeName(`${container.name}.${endpoint.network}`)
    const answers = type === recordType.ptr ? [{ type: recordType.ptr, data }] : []
    return { code: answerCode.none, answers }
  }
  const addresses = places
    .filter(({ container, endpoint }) => hasName(container, endpoint, name))
    .map(({ endpoint }) => endpoint.address)
  if (addresses.length === 0) return undefined
  const answers = [...new Set(addresses)].map(address => ({
    type: recordType.a,
    data: toBytes(parseIpv4(address) ?? 0),
  }))
  return { code: answerCode.none, answers: type === recordType.a ? answers : [] }
}

const reverseZone = '.in-addr.arpa'

function reverseName(address: string): string {
  return `${address.split('.').toReversed().join('.')}${reverseZone}`
}

function hasName(container: PlacedContainer, endpoint: NetworkEndpoint, name: string): boolean {
  const network = `.${endpoint.network.toLowerCase()}`
  const short = name.endsWith(network) ? name.slice(0, -network.length) : name
  const names = [container.name, container.id.slice(0, 12), ...endpoint.aliases]
  return names.some(own => own.toLowerCase() === short || own.toLowerCase() === name)
}
