// IP addresses of both kinds as bytes; pure.

import { parseIpv4, toBytes } from './ipv4.ts'

/** Four bytes, or sixteen; the caller has checked that it is an address. */
export function addressBytes(text: string): Uint8Array {
  const four = parseIpv4(text)
  return four === undefined ? ipv6Bytes(text) : toBytes(four)
}

/** `2001:db8::1`, `::ffff:192.0.2.1`, a zone behind `%` left out (RFC 4291 2.2). */
function ipv6Bytes(text: string): Uint8Array {
  const [plain = ''] = text.split('%')
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(plain)
  const [high = 0, low = 0] = dotted === null ? [] : halves(parseIpv4(dotted[2] ?? '') ?? 0)
  const whole = dotted === null ? plain : `${dotted[1]}${high.toString(16)}:${low.toString(16)}`
  const [before = '', after] = whole.split('::')
  const first = groupsOf(before)
  const last = groupsOf(after ?? '')
  const zeros = Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => 0)
  return Uint8Array.from(
    [...first, ...zeros, ...last].flatMap(group => [group >>> 8, group & 0xff]),
  )
}

function groupsOf(part: string): readonly number[] {
  return part === '' ? [] : part.split(':').map(group => Number.parseInt(group, 16))
}

function halves(address: number): readonly [number, number] {
  return [address >>> 16, address & 0xffff]
}
