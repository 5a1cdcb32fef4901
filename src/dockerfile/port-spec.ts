// One word of EXPOSE: `80`, `53/udp`, `8000-8010`, and docker run's `IP:HOST:CONTAINER`, of which an image keeps the last.

import { isIP } from 'node:net'
import { quoteGo } from './go-values.ts'
import { refused } from './instruction-flags.ts'

export interface PortSpec {
  /** `PORT/PROTOCOL` for each port, in lower case. */
  readonly ports: readonly string[]
  /** The protocol was written with capitals. */
  readonly hasProtocolCasing: boolean
  /** An address or a port of the host was named. */
  readonly hasHostPart: boolean
}

const protocols = new Set(['tcp', 'udp', 'sctp'])

/** @throws DESCRIPTION_INVALID with BuildKit's words */
export function parsePortSpec(text: string): PortSpec {
  const parts = text.split(':')
  const container = parts.at(-1) ?? ''
  const hostPort = parts.at(-2) ?? ''
  const address = parts.slice(0, -2).join(':')
  const { ports, protocol } = splitProtocol(text, container)
  checkAddress(address)
  const range = parseRange(ports)
  if (range === undefined) throw refused(`invalid containerPort: ${ports}`)
  if (hostPort !== '') checkHostPorts(hostPort, ports, range)
  const lower = protocol.toLowerCase()
  return {
    ports: Array.from(
      { length: range.last - range.first + 1 },
      (_, index) => `${range.first + index}/${lower}`,
    ),
    hasProtocolCasing: protocol !== lower,
    hasHostPart: address !== '' || hostPort !== '',
  }
}

function splitProtocol(text: string, container: string): { ports: string; protocol: string } {
  const slash = container.indexOf('/')
  const ports = slash < 0 ? container : container.slice(0, slash)
  const protocol = slash < 0 ? '' : container.slice(slash + 1)
  const invalid = (reason: string): Error => refused(`invalid port: ${quoteGo(text)}: ${reason}`)
  if (ports === '') throw invalid('no port specified')
  if (protocol === '') return { ports, protocol: 'tcp' }
  if (!protocols.has(protocol.toLowerCase())) throw invalid(`invalid proto: ${protocol}`)
  return { ports, protocol }
}

/** Brackets may stand around an IPv6 address. */
function checkAddress(address: string): void {
  const [, inner] = /^\[([^[\]]*)\]$/.exec(address) ?? []
  if (address !== '' && isIP(inner ?? address) === 0)
    throw refused(`invalid IP address: ${address}`)
}

interface PortRange {
  readonly first: number
  readonly last: number
}

function parseRange(text: string): PortRange | undefined {
  const [, start = '', end = start] = /^([+-]?\d+)(?:-([+-]?\d+))?$/.exec(text) ?? []
  const [first, last] = [Number(start), Number(end)]
  const isValid = start !== '' && first >= 0 && first <= last && last <= 65_535
  return isValid ? { first, last } : undefined
}

/** A range of the host fits a range of the container's of the same length, or a single port. */
function checkHostPorts(hostPort: string, ports: string, container: PortRange): void {
  const host = parseRange(hostPort)
  if (host === undefined) throw refused(`invalid hostPort: ${hostPort}`)
  const length = container.last - container.first
  if (length !== 0 && length !== host.last - host.first)
    throw refused(`invalid ranges specified for container and host Ports: ${ports} and ${hostPort}`)
}
