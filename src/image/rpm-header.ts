// The header of an installed package, as rpm keeps it in its database: an index of tags and a store of their values, numbers
// big-endian (rpm 4.18 docs/manual/hregions.md and format of rpm packages, "Header").

/** Name and version of a package. */
export interface RpmPackage {
  readonly name: string
  /** `[EPOCH:]VERSION-RELEASE`. */
  readonly version: string
}

const tags = { name: 1000, version: 1001, release: 1002, epoch: 1003 } as const
const types = { int32: 4, string: 6 } as const

const preambleBytes = 8
const entryBytes = 16
/** Far above the largest header of a real package. */
const maxEntries = 65_536

/** Undefined for what is no header of a package. */
export function parseRpmHeader(header: Buffer): RpmPackage | undefined {
  if (header.length < preambleBytes) return undefined
  const entries = header.readUInt32BE(0)
  const storeAt = preambleBytes + entries * entryBytes
  if (entries > maxEntries || storeAt + header.readUInt32BE(4) > header.length) return undefined
  const store = header.subarray(storeAt)
  const found = new Map<number, string>()
  for (let at = preambleBytes; at < storeAt; at += entryBytes) {
    const tag = header.readUInt32BE(at)
    const value = valueAt(store, header.readUInt32BE(at + 4), header.readUInt32BE(at + 8))
    if (value !== undefined) found.set(tag, value)
  }
  const [name, version] = [found.get(tags.name), found.get(tags.version)]
  if (name === undefined || version === undefined) return undefined
  const epoch = found.get(tags.epoch)
  const whole = `${version}-${found.get(tags.release) ?? ''}`
  return { name, version: epoch === undefined ? whole : `${epoch}:${whole}` }
}

function valueAt(store: Buffer, type: number, offset: number): string | undefined {
  if (offset >= store.length) return undefined
  if (type === types.int32)
    return offset + 4 > store.length ? undefined : String(store.readUInt32BE(offset))
  if (type !== types.string) return undefined
  const end = store.indexOf(0, offset)
  return end < 0 ? undefined : store.toString('utf8', offset, end)
}
