// Netlink messages as bytes and back (RFC 3549, linux/netlink.h): a header, a header of the family, and attributes that
// may hold attributes. Numbers are little-endian as the machine's, unless a name says otherwise.

import { getSystemErrorName } from 'node:util'
import { native } from '../native/native.ts'

/** A type and its value, or the attributes inside it. */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[]]

export interface NetlinkMessage {
  readonly type: number
  /** NLM_F_ bits of netlinkFlag. */
  readonly flags: number
  /** What the family puts before the attributes. */
  readonly header: Uint8Array
  readonly attributes: readonly Attribute[]
  /** What it is for; begins the error where the kernel refuses it. */
  readonly purpose: string
}

/** A message from the kernel. */
export interface NetlinkReply {
  readonly type: number
  /** Family header and attributes. */
  readonly body: Buffer
}

export const netlinkFlag = {
  request: 0x001,
  ack: 0x004,
  /** NLM_F_ROOT | NLM_F_MATCH: all there is. */
  dump: 0x300,
  excl: 0x200,
  replace: 0x100,
  create: 0x400,
  append: 0x800,
} as const

export const netlinkProtocol = { route: 0, netfilter: 12 } as const

const headerBytes = 16
const attributeHeaderBytes = 4
const nestedBit = 0x8000
const typeMask = 0x3fff
const errorType = 2
const doneType = 3

/** NLMSGERR_ATTR_MSG of an error with NLM_F_ACK_TLVS; the request is not repeated (NETLINK_CAP_ACK). */
const errorTextAttribute = 1
const ackHasAttributes = 0x200

export function u8(value: number): Uint8Array {
  return Uint8Array.of(value)
}

export function u32(value: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32LE(value | 0)
  return bytes
}

export function u32BigEndian(value: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}

/** With the NUL that the kernel expects behind names. */
export function nameBytes(text: string): Uint8Array {
  return Buffer.from(`${text}\0`)
}

/** The messages one behind the other, numbered from 1. */
export function encodeMessages(messages: readonly NetlinkMessage[]): Buffer {
  return Buffer.concat(
    messages.map(({ type, flags, header, attributes }, index) => {
      const body = Buffer.concat([padded(header), encodeAttributes(attributes)])
      const head = Buffer.alloc(headerBytes)
      head.writeUInt32LE(headerBytes + body.length, 0)
      head.writeUInt16LE(type, 4)
      head.writeUInt16LE(flags, 6)
      head.writeUInt32LE(index + 1, 8)
      return Buffer.concat([head, body])
    }),
  )
}

/** For values that have a header of their own before their attributes. */
export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  return Buffer.concat(attributes.map(attribute => encodeAttribute(attribute)))
}

function encodeAttribute([type, value]: Attribute): Buffer {
  const isNested = !(value instanceof Uint8Array)
  const bytes = isNested ? encodeAttributes(value) : value
  const head = Buffer.allocUnsafe(attributeHeaderBytes)
  head.writeUInt16LE(attributeHeaderBytes + bytes.length, 0)
  head.writeUInt16LE(isNested ? type | nestedBit : type, 2)
  return Buffer.concat([head, padded(bytes)])
}

function padded(bytes: Uint8Array): Uint8Array {
  const missing = -bytes.length & 3
  return missing === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(missing)])
}

/** All attributes in order; what is malformed ends the list. */
export function listAttributes(bytes: Buffer): readonly (readonly [type: number, Buffer])[] {
  const found: [number, Buffer][] = []
  for (let at = 0; at + attributeHeaderBytes <= bytes.length; ) {
    const length = bytes.readUInt16LE(at)
    if (length < attributeHeaderBytes || at + length > bytes.length) break
    const type = bytes.readUInt16LE(at + 2) & typeMask
    found.push([type, bytes.subarray(at + attributeHeaderBytes, at + length)])
    at += length + (-length & 3)
  }
  return found
}

/** The same by type; of several of a type the last. */
export function parseAttributes(bytes: Buffer): ReadonlyMap<number, Buffer> {
  return new Map(listAttributes(bytes))
}

/** A name without its NUL. */
export function textOf(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : bytes.toString('latin1').replace(/\0.*$/s, '')
}

/**
 * Sends the messages to the kernel and returns what it answers, in order, without acknowledgements.
 * @throws a system error, `code` such as EEXIST, of the first message that the kernel refuses; those behind it are done
 */
export function netlinkRequest(
  protocol: number,
  messages: readonly NetlinkMessage[],
): readonly NetlinkReply[] {
  const answer = native().netlinkExchange(protocol, encodeMessages(messages))
  const replies: NetlinkReply[] = []
  for (let at = 0; at + headerBytes <= answer.length; ) {
    const length = answer.readUInt32LE(at)
    if (length < headerBytes || at + length > answer.length) break
    const type = answer.readUInt16LE(at + 4)
    const body = answer.subarray(at + headerBytes, at + length)
    if (type === errorType || type === doneType) {
      const hasText = (answer.readUInt16LE(at + 6) & ackHasAttributes) !== 0
      const purpose = messages[answer.readUInt32LE(at + 8) - 1]?.purpose ?? 'the kernel'
      throwRefusal(body, { purpose, textAt: hasText ? (type === errorType ? 20 : 4) : undefined })
    } else replies.push({ type, body })
    at += length + (-length & 3)
  }
  return replies
}

/** The body of an error or of a dump's end begins with a negative errno, or 0. */
function throwRefusal(
  body: Buffer,
  { purpose, textAt }: { readonly purpose: string; readonly textAt: number | undefined },
): void {
  const errno = body.length >= 4 ? body.readInt32LE(0) : 0
  if (errno >= 0) return
  const code = getSystemErrorName(errno)
  const told =
    textAt === undefined
      ? ''
      : textOf(parseAttributes(body.subarray(textAt)).get(errorTextAttribute))
  const text = `${purpose}: ${code}${told === '' ? '' : ` (${told})`}`
  throw Object.assign(new Error(text), { code, errno, syscall: 'netlink' })
}
