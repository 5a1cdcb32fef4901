// How the ports of kauri's bridge are named and which addresses are behind them, which the packet filter's rules go by;
// pure.

import type { Ipv4, Ipv4Block } from './ipv4.ts'

/** What a build runs reaches the host and what is behind it, and no other container. */
export type BridgeUse = 'container' | 'build'

const letters: Readonly<Record<BridgeUse, string>> = { container: 'r', build: 'b' }

/** How the names of such ports begin. */
export function portPrefix(bridge: string, use: BridgeUse): string {
  return `${bridge}${letters[use]}`
}

/** The bridge's name, a letter for the use, and the address within the block: `kauri0r0a7f`, at most 15 bytes. */
export function portName(
  bridge: string,
  {
    address,
    block,
    use,
  }: { readonly address: Ipv4; readonly block: Ipv4Block; readonly use: BridgeUse },
): string {
  return portPrefix(bridge, use) + (address - block.address).toString(16).padStart(4, '0')
}

/** The half of the bridge's block for a use: the lower one is the containers'. */
export function blockFor({ address, prefixLength }: Ipv4Block, use: BridgeUse): Ipv4Block {
  const half = prefixLength + 1
  return { address: use === 'build' ? address + 2 ** (32 - half) : address, prefixLength: half }
}
