// Which addresses kauri's bridge gets: the first of its blocks that nothing on this host knows of; pure.

import { type Ipv4Block, overlap, parseIpv4 } from './ipv4.ts'

/** Room for 4,093 containers; a bridge takes 1,023. */
const prefixLength = 20

/** Away from what docker, podman, libvirt, LXD and Kubernetes take by default; the later ones for hosts that route all of 10/8. */
const candidates: readonly Ipv4Block[] = [
  ...blocks('10.77.0.0', 16),
  ...blocks('172.31.128.0', 8),
  ...blocks('192.168.128.0', 4),
]

function blocks(first: string, count: number): Ipv4Block[] {
  const address = parseIpv4(first) ?? 0
  return Array.from({ length: count }, (_, index) => ({
    address: (address + index * 2 ** (32 - prefixLength)) >>> 0,
    prefixLength,
  }))
}

/** The first block that overlaps none of those in use; undefined where all do. A default route is no block in use. */
export function chooseSubnet(used: readonly Ipv4Block[]): Ipv4Block | undefined {
  const taken = used.filter(block => block.prefixLength > 0)
  return candidates.find(candidate => !taken.some(block => overlap(block, candidate)))
}
