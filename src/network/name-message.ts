// Messages of the domain name system, as much of them as answers for containers take (RFC 1035 4); pure. What comes from
// containers is hostile: every length is checked, and compressed names, which questions need not have, are refused.

/** The one question of a message. */
export interface NameQuestion {
  /** Lower case, without the dot at its end. */
  readonly name: string
  readonly type: number
  /** The question as it came, to be sent back. */
  readonly bytes: Buffer
}

export interface NameQuery {
  readonly id: number
  readonly recursionDesired: boolean
  readonly question: NameQuestion
}

export const recordType = { a: 1, ptr: 12, aaaa: 28 } as const
export const answerCode = { none: 0, formatError: 1, serverFailure: 2, noSuchName: 3 } as const

const headerBytes = 12
const classInternet = 1
const longestLabel = 63
const longestName = 255

/** Undefined for what is no question, or more than one. */
export function parseQuery(message: Buffer): NameQuery | undefined {
  if (message.length < headerBytes || message.length > 4096) return undefined
  const flags = message.readUInt16BE(2)
  const isQuestion = (flags & 0x8000) === 0 && (flags & 0x7800) === 0
  if (!isQuestion || message.readUInt16BE(4) !== 1) return undefined
  const labels: string[] = []
  let at = headerBytes
  for (;;) {
    const length = message[at]
    if (length === undefined || length > longestLabel || at - headerBytes > longestName)
      return undefined
    if (length === 0) break
    if (at + 1 + length >= message.length) return undefined
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  if (at + 5 > message.length || message.readUInt16BE(at + 3) !== classInternet) return undefined
  return {
    id: message.readUInt16BE(0),
    recursionDesired: (flags & 0x0100) !== 0,
    question: {
      name: labels.join('.').toLowerCase(),
      type: message.readUInt16BE(at + 1),
      bytes: message.subarray(headerBytes, at + 5),
    },
  }
}

/** One record of an answer. */
export interface NameAnswer {
  readonly type: number
  readonly data: Uint8Array
}

/** Names come and go with containers, so nobody is to keep them for long. */
const keptSeconds = 5

/** An answer to a query, of this server's own knowledge. */
export function encodeAnswer(
  { id, recursionDesired, question }: NameQuery,
  { code, answers = [] }: { readonly code: number; readonly answers?: readonly NameAnswer[] },
): Buffer {
  const header = Buffer.alloc(headerBytes)
  header.writeUInt16BE(id, 0)
  // An answer, with authority, recursion available.
  header.writeUInt16BE(0x8480 | (recursionDesired ? 0x0100 : 0) | code, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(answers.length, 6)
  const records = answers.map(({ type, data }) => {
    const record = Buffer.alloc(12)
    // The name is the question's, at its place in this message.
    record.writeUInt16BE(0xc000 | headerBytes, 0)
    record.writeUInt16BE(type, 2)
    record.writeUInt16BE(classInternet, 4)
    record.writeUInt32BE(keptSeconds, 6)
    record.writeUInt16BE(data.length, 10)
    return Buffer.concat([record, data])
  })
  return Buffer.concat([header, question.bytes, ...records])
}

/** A name as a record has it. */
export function encodeName(name: string): Buffer {
  const labels = name.split('.').map(label => {
    const bytes = Buffer.from(label, 'latin1').subarray(0, longestLabel)
    return Buffer.concat([Buffer.of(bytes.length), bytes])
  })
  return Buffer.concat([...labels, Buffer.of(0)])
}
