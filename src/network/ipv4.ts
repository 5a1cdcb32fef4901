// IPv4 addresses and blocks of them as numbers; pure.

/** An address as an unsigned 32-bit number. */
export type Ipv4 = number

/** The addresses that begin with the same `prefixLength` bits; `address` has zeros behind them. */
export interface Ipv4Block {
  readonly address: Ipv4
  /** 0 to 32. */
  readonly prefixLength: number
}

/** `10.0.0.1`; undefined for any other text. */
export function parseIpv4(text: string): Ipv4 | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every(part => /^(?:0|[1-9]\d{0,2})$/.test(part)))
    return undefined
  const bytes = parts.map(Number)
  return bytes.every(byte => byte <= 255) ? fromBytes(bytes) : undefined
}

/** The address in four bytes, as packets have it. */
export function fromBytes(bytes: Iterable<number>): Ipv4 {
  let address = 0
  for (const byte of bytes) address = address * 256 + byte
  return address
}

export function toBytes(address: Ipv4): Uint8Array {
  return Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address)
}

export function formatIpv4(address: Ipv4): string {
  return toBytes(address).join('.')
}

/** The block of that length that has the address. */
export function blockOf(address: Ipv4, prefixLength: number): Ipv4Block {
  return { address: (address & maskOf(prefixLength)) >>> 0, prefixLength }
}

/** All ones in the first `prefixLength` bits. */
export function maskOf(prefixLength: number): Ipv4 {
  return prefixLength === 0 ? 0 : (0xffff_ffff << (32 - prefixLength)) >>> 0
}

/** True where the blocks have an address in common. */
export function overlap(a: Ipv4Block, b: Ipv4Block): boolean {
  const mask = maskOf(Math.min(a.prefixLength, b.prefixLength))
  return (a.address & mask) === (b.address & mask)
}

export function formatBlock({ address, prefixLength }: Ipv4Block): string {
  return `${formatIpv4(address)}/${prefixLength}`
}

/** True for an address of the block. */
export function within(address: Ipv4, block: Ipv4Block): boolean {
  return overlap({ address, prefixLength: 32 }, block)
}

/** `172.20.0.0/16`, any address of the block before the slash; undefined for any other text. */
export function parseBlock(text: string): Ipv4Block | undefined {
  const [, address = '', length = ''] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? []
  const parsed = parseIpv4(address)
  const prefixLength = Number(length)
  if (parsed === undefined || prefixLength > 32) return undefined
  return blockOf(parsed, prefixLength)
}
