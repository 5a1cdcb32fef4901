// What somebody asks of a new network, checked, and what is left out, chosen.

import { KauriError } from '../core/errors.ts'
import { usedBlocks } from './bridge.ts'
import { chooseNetworkSubnet } from './bridge-subnet.ts'
import {
  formatBlock,
  type Ipv4,
  type Ipv4Block,
  overlap,
  parseBlock,
  parseIpv4,
  within,
} from './ipv4.ts'
import type { Network, NewNetwork } from './networks.ts'

/** As it was typed; what is undefined is chosen. */
export interface NetworkWish {
  readonly name: string
  /** `172.28.0.0/16` */
  readonly subnet?: string | undefined
  readonly gateway?: string | undefined
  readonly range?: string | undefined
  readonly internal: boolean
  readonly labels: Readonly<Record<string, string>>
  readonly options: Readonly<Record<string, string>>
}

/** Names that are taken for good. */
export const builtInNetworks: readonly string[] = ['bridge', 'host', 'none']

/** @throws USAGE, NAME_IN_USE, NETWORK_UNAVAILABLE where the addresses are in use */
export function planNetwork(wish: NetworkWish, others: readonly Network[]): NewNetwork {
  checkName(wish.name)
  checkOptions(wish.options)
  const block = blockFor(wish, others)
  const gateway = gatewayFor(wish, block)
  const range = rangeFor(wish, block)
  const { name, internal, labels, options } = wish
  return { name, block, gateway, range, internal, labels, options }
}

function checkName(name: string): void {
  if (builtInNetworks.includes(name) || name === 'default')
    throw new KauriError('NAME_IN_USE', `the network ${name} is there already, and for good`)
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(name))
    throw new KauriError('USAGE', `"${name.slice(0, 140)}" is not a network name`, {
      hint: 'use 1 to 128 letters, digits, "_", "." and "-", the first one a letter or a digit',
    })
}

const interfaceName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$/

const optionForms: Readonly<Record<string, RegExp>> = {
  'com.docker.network.bridge.name': interfaceName,
  'com.docker.network.bridge.enable_icc': /^(?:true|false)$/,
  'com.docker.network.bridge.enable_ip_masquerade': /^(?:true|false)$/,
  'com.docker.network.driver.mtu': /^(?:6[89]|[7-9]\d|\d{3,4}|[1-5]\d{4}|6[0-4]\d{3})$/,
}

function checkOptions(options: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(options)) {
    const form = optionForms[key]
    if (form === undefined)
      throw new KauriError('USAGE', `a network has no option "${key}"`, {
        hint: `options are ${Object.keys(optionForms).join(', ')}`,
      })
    if (!form.test(value))
      throw new KauriError('USAGE', `the network option ${key} does not take "${value}"`)
  }
}

function blockFor({ subnet }: NetworkWish, others: readonly Network[]): Ipv4Block {
  const used = [...usedBlocks(), ...others.map(other => other.block)]
  if (subnet === undefined) {
    const chosen = chooseNetworkSubnet(used)
    if (chosen !== undefined) return chosen
    throw new KauriError('NETWORK_UNAVAILABLE', 'no addresses are free for another network', {
      hint: 'remove networks that nobody uses (kauri network prune), or name a block with --subnet',
    })
  }
  const block = parseBlock(subnet)
  if (block === undefined || block.prefixLength < 8 || block.prefixLength > 29)
    throw new KauriError('USAGE', `"${subnet}" is no subnet`, {
      hint: 'write an IPv4 block of 8 to 29 bits such as 172.28.0.0/16',
    })
  // A wide route of the host's, such as a private network's, may be cut into; what is as narrow or narrower is in use.
  const taken = used.find(
    other => other.prefixLength >= block.prefixLength && overlap(other, block),
  )
  const other = others.find(network => overlap(network.block, block))
  if (taken === undefined && other === undefined) return block
  const whose = other === undefined ? 'this host' : `the network ${other.name}`
  throw new KauriError(
    'NETWORK_UNAVAILABLE',
    `${whose} uses addresses of ${formatBlock(block)} already`,
    { hint: 'write another block, or leave --subnet out' },
  )
}

function gatewayFor({ gateway, subnet }: NetworkWish, block: Ipv4Block): Ipv4 {
  if (gateway === undefined) return block.address + 1
  if (subnet === undefined)
    throw new KauriError('USAGE', '--gateway needs --subnet', { hint: 'write both' })
  const address = parseIpv4(gateway)
  const last = block.address + 2 ** (32 - block.prefixLength) - 1
  const isOwn =
    address !== undefined && within(address, block) && address !== block.address && address !== last
  if (isOwn) return address
  throw new KauriError('USAGE', `the gateway ${gateway} is no address of ${formatBlock(block)}`)
}

/** The packet filter knows every address that is handed out: 4,096 of them. */
const longestRange = 20

function rangeFor({ range, subnet }: NetworkWish, block: Ipv4Block): Ipv4Block {
  if (range === undefined)
    return { address: block.address, prefixLength: Math.max(block.prefixLength, longestRange) }
  const parsed = parseBlock(range)
  if (subnet === undefined)
    throw new KauriError('USAGE', '--ip-range needs --subnet', { hint: 'write both' })
  if (
    parsed === undefined ||
    parsed.prefixLength < block.prefixLength ||
    !within(parsed.address, block)
  )
    throw new KauriError('USAGE', `the range ${range} is no part of ${formatBlock(block)}`)
  return { ...parsed, prefixLength: Math.max(parsed.prefixLength, longestRange) }
}
