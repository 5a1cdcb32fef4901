// What packed bytes start with.

/** The packings that are known here; `none` is anything else. */
export type PackedFormat = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz'

/** Bytes that tell the formats apart. */
export const magicBytes = 6

/** `none` for anything that is not packed in a way known here. */
export function packedFormatOf(start: Buffer): PackedFormat {
  const hex = start.toString('hex', 0, magicBytes)
  if (hex.startsWith('1f8b08')) return 'gzip'
  // A zstd frame, or a skippable one (RFC 8878 section 3.1.2), which may stand first.
  if (hex.startsWith('28b52ffd') || /^5[0-9a-f]2a4d18/.test(hex)) return 'zstd'
  if (/^425a683[1-9]/.test(hex)) return 'bzip2'
  return hex === 'fd377a585a00' ? 'xz' : 'none'
}
