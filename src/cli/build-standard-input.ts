// Standard input of a build: a tar that is the context, or the text of a Dockerfile.

import { archiveStartBytes, isArchiveStart } from '../build/tar-context.ts'
import { KauriError } from '../core/errors.ts'
import { standardInput } from './standard-input.ts'

export interface BuildStandardInput {
  readonly isArchive: boolean
  readonly bytes: AsyncIterable<Uint8Array>
  /** All of it as text. @throws USAGE beyond 16 MiB */
  text(): Promise<string>
}

/** Reads the beginning; can be called once. */
export type ReadInput = () => Promise<BuildStandardInput>

const maxTextBytes = 16 * 1024 * 1024

/** @throws USAGE where a person sits at it */
export async function openStandardInput(signal: AbortSignal): Promise<BuildStandardInput> {
  const { bytes } = standardInput(signal, 'pipe a Dockerfile or a tar into kauri build -')
  const iterator = bytes[Symbol.asyncIterator]()
  const first: Buffer[] = []
  let size = 0
  while (size < archiveStartBytes) {
    const { done, value } = await iterator.next()
    if (done) break
    first.push(Buffer.from(value))
    size += value.byteLength
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      yield* first
      for (;;) {
        const { done, value } = await iterator.next()
        if (done) return
        yield value
      }
    } finally {
      await iterator.return?.()
    }
  }
  return {
    isArchive: isArchiveStart(Buffer.concat(first)),
    bytes: whole(),
    text: async () => await collect(whole()),
  }
}

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of bytes) {
    size += chunk.byteLength
    if (size > maxTextBytes)
      throw new KauriError('USAGE', `a Dockerfile has at most ${maxTextBytes} bytes`)
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks).toString('utf8')
}
