// `-p`: which ports of the host lead to which of the container, in docker's spelling.

import { isIP } from 'node:net'
import type { PublishedPort } from '../network/port-relay.ts'
import { badValue } from './option-values.ts'

/** `8080:80`, `127.0.0.1:8080:80/udp`, `80`, `[::1]:8000-8009:80-89`. @throws USAGE */
export function parsePublish(text: string): readonly PublishedPort[] {
  const { address, host, inner, protocol } = wordsOf(text)
  const containerPorts = parseRange(inner)
  const hostPorts = host === '' ? containerPorts.map(() => 0) : parseRange(host)
  const isAddress = address === '' || isIP(address) > 0
  if (!isAddress || containerPorts.length === 0 || hostPorts.length !== containerPorts.length)
    throw refusal(text)
  if (protocol !== 'tcp' && protocol !== 'udp') throw refusal(text)
  return containerPorts.map((containerPort, index) => ({
    protocol,
    hostAddress: address === '0.0.0.0' ? '' : address,
    hostPort: hostPorts[index] ?? 0,
    containerPort,
  }))
}

function refusal(text: string): Error {
  return badValue(
    '--publish',
    text,
    'write [[ADDRESS:]HOSTPORT:]PORT[/tcp|udp], both ports as numbers or as ranges of one length',
  )
}

function wordsOf(
  text: string,
): Readonly<Record<'address' | 'host' | 'inner' | 'protocol', string>> {
  const [ports = '', protocol = 'tcp', ...rest] = text.split('/')
  const [, six, plain = ''] = /^(?:\[([^\]]+)\]:)?(.*)$/.exec(ports) ?? []
  const parts = plain.split(':')
  const inner = parts.pop() ?? ''
  const host = parts.pop() ?? ''
  const address = six ?? parts.pop() ?? ''
  if (parts.length > 0 || rest.length > 0) throw refusal(text)
  return { address, host, inner, protocol }
}

/** The ports of `80` or `80-89`; none for any other text. */
function parseRange(text: string): readonly number[] {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  const [from, to] = [Number(first), Number(last)]
  if (!(from >= 1 && to >= from && to <= 65_535)) return []
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

/** `80`, `53/udp`, `8000-8009`: ports of a container, each for any of the host that is free. @throws USAGE */
export function parseExposed(option: string, text: string): readonly PublishedPort[] {
  const [range = '', protocol = 'tcp', ...rest] = text.toLowerCase().split('/')
  const ports = parseRange(range)
  const isKnown = protocol === 'tcp' || protocol === 'udp'
  if (ports.length === 0 || rest.length > 0 || !isKnown)
    throw badValue(
      option,
      text,
      'write a port or a range of ports, with /udp behind it where it is that',
    )
  return ports.map(containerPort => ({ protocol, hostAddress: '', hostPort: 0, containerPort }))
}
