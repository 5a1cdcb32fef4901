// How the ports of kauri's bridge are named and which addresses are behind them, which the packet filter's rules go by;
// pure.

import { type Ipv4, type Ipv4Block, toBytes } from './ipv4.ts'

/** What a build runs reaches the host and what is behind it, and no other container. */
export type BridgeUse = 'container' | 'build'

const letters: Readonly<Record<BridgeUse, string>> = { container: 'r', build: 'b' }

/** How the names of such ports begin. */
export function portPrefix(ports: string, use: BridgeUse): string {
  return `${ports}${letters[use]}`
}

/** How the bridge's ports begin, a letter for the use, and the address within the block: `kauri0r0a7f`, at most 15 bytes. */
export function portName(
  ports: string,
  {
    address,
    block,
    use,
  }: { readonly address: Ipv4; readonly block: Ipv4Block; readonly use: BridgeUse },
): string {
  return portPrefix(ports, use) + (address - block.address).toString(16).padStart(4, '0')
}

/** A bridge takes 1,023 ports, so of a larger block only the first 4,096 addresses are handed out. */
const longestLeased = 20

/** The part of the bridge's block that containers get addresses of. */
export function leasedBlock({ address, prefixLength }: Ipv4Block): Ipv4Block {
  return { address, prefixLength: Math.max(prefixLength, longestLeased) }
}

/** The half of it for a use: the lower one is the containers'. */
export function blockFor(block: Ipv4Block, use: BridgeUse): Ipv4Block {
  const { address, prefixLength } = leasedBlock(block)
  const half = prefixLength + 1
  return { address: use === 'build' ? address + 2 ** (32 - half) : address, prefixLength: half }
}

/** Locally administered, and told by the address: whoever gets an address again is found under what neighbours remember. */
export function hardwareAddressOf(address: Ipv4): Uint8Array {
  return Uint8Array.of(0x02, 0x6b, ...toBytes(address))
}

/** Index of the port for an address, far above those that the kernel gives, so that messages can name it before it is there. */
export function portIndex(first: number, address: Ipv4, block: Ipv4Block): number {
  return first + ((address - block.address) & 0xffff)
}
