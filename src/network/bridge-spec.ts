// What a bridge is to be. The default one is the same for everybody on a host; the others belong to networks that people
// made (network.ts).

import { readlinkSync } from 'node:fs'
import path from 'node:path'
import type { Ipv4, Ipv4Block } from './ipv4.ts'

/** A bridge as it shall be. */
export interface BridgeSpec {
  /** Of the interface. */
  readonly name: string
  /** How the names of its ports begin; 7 bytes at most. */
  readonly ports: string
  /** Index of the port of the block's first address. */
  readonly firstIndex: number
  /** Name of its tables in the packet filter. */
  readonly table: string
  /** Host directory of its locks and leases. */
  readonly directory: string
  /** Undefined: what the interface has, or a block that is free here. */
  readonly addresses?:
    | { readonly block: Ipv4Block; readonly gateway: Ipv4; readonly leased: Ipv4Block }
    | undefined
  readonly servesBuilds: boolean
  readonly isInternal: boolean
  readonly masquerades: boolean
  readonly separates: boolean
  /** Undefined: that of the host's way out. */
  readonly mtu?: number | undefined
}

/** Common to all state and run-time directories, as bridges are; apart for each network namespace. */
const stateRoot = '/run/kauri/network'

/** Directory of locks and leases of this network namespace. */
export function networkDirectory(): string {
  return path.join(stateRoot, readlinkSync('/proc/self/ns/net').replace(/\D/g, ''))
}

/** The bridge that containers and builds are on unless they say otherwise. */
export function defaultBridge(): BridgeSpec {
  return {
    name: 'kauri0',
    ports: 'kauri0',
    firstIndex: 0x4b00_0000,
    table: 'kauri',
    directory: networkDirectory(),
    servesBuilds: true,
    isInternal: false,
    masquerades: true,
    separates: false,
  }
}
