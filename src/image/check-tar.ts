// Reads a tar for its form only: what cannot be unpacked here must at least be an archive.

import type { ArchiveLimits } from '../layer/layer.ts'
import { TarReader } from '../layer/tar-reader.ts'

/** The same chunks; throws where the archive breaks. @throws ARCHIVE_INVALID */
export async function* checkTarWhilePassing(
  tar: AsyncIterable<Uint8Array>,
  options: { readonly name: string; readonly limits: ArchiveLimits },
): AsyncGenerator<Uint8Array> {
  const ignore = { onEntry() {}, onData() {}, onEntryEnd() {} }
  const reader = new TarReader(ignore, { archive: options.name, limits: options.limits })
  for await (const chunk of tar) {
    reader.write(chunk)
    yield chunk
  }
  reader.end()
}
