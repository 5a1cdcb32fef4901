// EXPOSE: `PORT[-PORT][/PROTOCOL]`; docker's `[IP:][HOST:]` in front is read, checked and not kept.

import { isIP } from 'node:net'
import { quoteGo } from './go-values.ts'
import { refused } from './instruction-flags.ts'

/** What one word of EXPOSE says. */
export interface ExposedPorts {
  /** `PORT/PROTOCOL`, in order. */
  readonly ports: readonly string[]
  /** The protocol was not written in lower case. */
  readonly hasOddCase: boolean
  /** An address or a port of the host was written. */
  readonly namesHost: boolean
}

/** @throws DESCRIPTION_INVALID with docker's words */
export function parseExposedPorts(text: string): ExposedPorts {
  const parts = text.split(':')
  const [containerPart, hostPort, ip] = [parts.at(-1) ?? '', parts.at(-2) ?? '', hostAddress(parts)]
  const slash = containerPart.indexOf('/')
  const range = slash < 0 ? containerPart : containerPart.slice(0, slash)
  const written = slash < 0 ? '' : containerPart.slice(slash + 1)
  const protocol = written === '' ? 'tcp' : written
  if (range === '') throw refused(`invalid port: ${quoteGo(text)}: no port specified`)
  if (!/^(?:tcp|udp|sctp)$/i.test(protocol))
    throw refused(`invalid port: ${quoteGo(text)}: invalid proto: ${protocol}`)
  checkAddress(ip)
  const [first, last] = portRange(range) ?? refuse(`invalid containerPort: ${range}`)
  checkHostPort(hostPort, { range, width: last - first })
  return {
    ports: Array.from(
      { length: last - first + 1 },
      (_, index) => `${first + index}/${protocol.toLowerCase()}`,
    ),
    hasOddCase: protocol !== protocol.toLowerCase(),
    namesHost: ip !== '' || hostPort !== '',
  }
}

function hostAddress(parts: readonly string[]): string {
  return parts.length < 3 ? '' : parts.slice(0, -2).join(':')
}

function refuse(message: string): never {
  throw refused(message)
}

function checkAddress(written: string): void {
  const bracketed = /^\[(.*)\]$/.exec(written)
  const address = bracketed?.[1] ?? written
  if (address !== '' && isIP(address) === 0) throw refused(`invalid IP address: ${address}`)
}

function checkHostPort(
  text: string,
  container: { readonly range: string; readonly width: number },
): void {
  if (text === '') return
  const [first, last] = portRange(text) ?? refuse(`invalid hostPort: ${text}`)
  if (last - first !== container.width && container.width !== 0)
    throw refused(
      `invalid ranges specified for container and host Ports: ${container.range} and ${text}`,
    )
}

function portRange(text: string): readonly [first: number, last: number] | undefined {
  const [, first = '', last = first] = /^(\+?\d{1,9})(?:-(\+?\d{1,9}))?$/.exec(text) ?? []
  if (first === '') return undefined
  const range = [Number(first), Number(last)] as const
  return range[0] <= range[1] && range[1] <= 65_535 ? range : undefined
}
