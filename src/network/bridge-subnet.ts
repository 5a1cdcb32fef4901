// Which addresses kauri's bridges get: the first of its blocks that nothing on this host knows of; pure.

import { type Ipv4Block, overlap, parseIpv4 } from './ipv4.ts'

/** Room for 4,093 containers; a bridge takes 1,023. */
const prefixLength = 20

/** Away from what docker, podman, libvirt, LXD and Kubernetes take by default; the later ones for hosts that route all of 10/8. */
const candidates: readonly Ipv4Block[] = [
  ...blocks('10.77.0.0', { count: 16, prefixLength }),
  ...blocks('172.31.128.0', { count: 8, prefixLength }),
  ...blocks('192.168.128.0', { count: 4, prefixLength }),
]

function blocks(
  first: string,
  { count, prefixLength: length }: { readonly count: number; readonly prefixLength: number },
): Ipv4Block[] {
  const address = parseIpv4(first) ?? 0
  return Array.from({ length: count }, (_, index) => ({
    address: (address + index * 2 ** (32 - length)) >>> 0,
    prefixLength: length,
  }))
}

/** The first block that overlaps none of those in use; undefined where all do. A default route is no block in use. */
export function chooseSubnet(used: readonly Ipv4Block[]): Ipv4Block | undefined {
  return firstFree(candidates, used)
}

/** For a network that somebody makes: room for 253 containers, beside the default bridge's. */
export function chooseNetworkSubnet(used: readonly Ipv4Block[]): Ipv4Block | undefined {
  return firstFree(networkCandidates(), used)
}

/** Away from those of the default bridge. */
function networkCandidates(): readonly Ipv4Block[] {
  return [
    ...blocks('10.78.0.0', { count: 512, prefixLength: 24 }),
    ...blocks('172.31.0.0', { count: 128, prefixLength: 24 }),
    ...blocks('192.168.192.0', { count: 32, prefixLength: 24 }),
  ]
}

function firstFree(from: readonly Ipv4Block[], used: readonly Ipv4Block[]): Ipv4Block | undefined {
  const taken = used.filter(block => block.prefixLength > 0)
  return from.find(candidate => !taken.some(block => overlap(block, candidate)))
}
