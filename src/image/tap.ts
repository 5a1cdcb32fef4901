// Looks at bytes on their way.

/** The same chunks, each shown to `see` before it is handed on; what `see` throws ends the stream. */
export async function* tapped(
  source: AsyncIterable<Uint8Array>,
  see: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    see(chunk)
    yield chunk
  }
}
