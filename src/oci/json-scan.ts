// What is to be known of JSON text before it is parsed: how deep it is nested, and whether an object has a member twice.
// JSON.parse takes the last one and other readers the first, so two of them could see two different images in one document.

export interface JsonScan {
  /** Deepest nesting of brackets outside strings. */
  readonly depth: number
  /** The first member that an object has twice; looked for only where it is asked for. */
  readonly duplicateKey: string | undefined
}

/** `{` `[` `}` `]` `"` `\` `:` */
const [openObject, openList, closeObject, closeList] = [0x7b, 0x5b, 0x7d, 0x5d]
const [quote, backslash, colon] = [0x22, 0x5c, 0x3a]

export interface ScanLimits {
  /** Reading ends where the text is nested deeper. */
  readonly maxDepth: number
  readonly refusesDuplicates?: boolean
  /** Members of objects deeper than this may stand there twice: looking at those of 10,000 entries takes as long as all else. */
  readonly duplicatesDownTo?: number
}

/** Reads the text once; text that is no JSON gives some answer, and fails when it is parsed. */
export function scanJson(
  bytes: Uint8Array,
  { maxDepth, refusesDuplicates = false, duplicatesDownTo = maxDepth }: ScanLimits,
): JsonScan {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  // Where nobody asks, no object is looked into.
  const deepestLookedInto = refusesDuplicates ? duplicatesDownTo : 0
  const open: (Set<string> | undefined)[] = []
  let depth = 0
  let deepest = 0
  for (let at = 0; at < text.length && deepest <= maxDepth; at++) {
    const byte = text[at]
    if (byte === quote) {
      const end = endOfString(text, at)
      const keys = open[depth]
      if (keys !== undefined && isKey(text, end)) {
        const key = stringAt(text, at, end)
        if (keys.has(key)) return { depth: deepest, duplicateKey: key }
        keys.add(key)
      }
      at = end
    } else if (opens(byte)) {
      deepest = Math.max(deepest, ++depth)
      if (depth <= deepestLookedInto) open[depth] = byte === openObject ? new Set() : undefined
    } else if (closes(byte)) depth = Math.max(0, depth - 1)
  }
  return { depth: deepest, duplicateKey: undefined }
}

function opens(byte: number | undefined): boolean {
  return byte === openObject || byte === openList
}

function closes(byte: number | undefined): boolean {
  return byte === closeObject || byte === closeList
}

/** The place of the quote that ends the string which begins at `start`. */
function endOfString(text: Buffer, start: number): number {
  let at = start + 1
  for (; at < text.length && text[at] !== quote; at++) if (text[at] === backslash) at++
  return at
}

/** True where a colon follows, behind white space. */
function isKey(text: Buffer, end: number): boolean {
  let at = end + 1
  while (at < text.length && (text[at] ?? 0) <= 0x20) at++
  return text[at] === colon
}

function stringAt(text: Buffer, start: number, end: number): string {
  const written = text.toString('utf8', start, end + 1)
  if (!written.includes('\\')) return written.slice(1, -1)
  try {
    return String(JSON.parse(written))
  } catch {
    // No JSON; the parser says so.
    return written
  }
}
