// Names what a step reads: one digest over names, types, permission bits, contents, link targets, devices and extended
// attributes. Times and owners are left out: a fresh checkout must hit the cache, and what is copied belongs to whom the
// step says.

import { createHash } from 'node:crypto'
import { closeSync, read, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { canonicalJson, type Json } from '../core/canonical-json.ts'
import { mapConcurrent } from '../core/concurrency.ts'
import { cancelled } from '../core/process.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import type { ContextEntry, ContextSource } from './context-scan.ts'

/** Large files are read several at a time; a promise for each small one would cost more than reading it (2,000 files: five times). */
const readsInFlight = 4
const smallFileBytes = 256 * 1024

/** The digest of a listed source; reads every file once. @throws CANCELLED */
export async function digestContextSource(
  source: ContextSource,
  signal?: AbortSignal,
): Promise<Digest> {
  const contents = new Map<ContextEntry, string>()
  const files = source.entries.filter(entry => entry.type === 'file' && entry.sameAs === undefined)
  for (const entry of files) {
    if (signal?.aborted) throw cancelled(signal)
    if (entry.sizeBytes <= smallFileBytes) contents.set(entry, digestSmallFile(source, entry))
  }
  const large = files.filter(entry => !contents.has(entry))
  await mapConcurrent(large, readsInFlight, async entry => {
    contents.set(entry, await digestLargeFile(source, entry, signal))
  })
  return digestOf(canonicalJson(source.entries.map(entry => entryJson(entry, contents.get(entry)))))
}

function entryJson(entry: ContextEntry, content: string | undefined): Json {
  const { path, type, mode, target, sameAs, device, xattrs } = entry
  return {
    path,
    type,
    mode,
    content,
    target,
    sameAs,
    device: device === undefined ? undefined : [device.major, device.minor],
    xattrs:
      xattrs.length === 0
        ? undefined
        : xattrs.map(({ name, value }) => [name, value.toString('hex')]),
  }
}

function digestSmallFile(source: ContextSource, entry: ContextEntry): string {
  const fd = source.openFile(entry)
  try {
    return digestOf(readFileSync(fd))
  } finally {
    closeSync(fd)
  }
}

const readAsync = promisify(read)

async function digestLargeFile(
  source: ContextSource,
  entry: ContextEntry,
  signal: AbortSignal | undefined,
): Promise<string> {
  const fd = source.openFile(entry)
  try {
    const hash = createHash('sha256')
    const buffer = Buffer.allocUnsafe(1024 * 1024)
    for (;;) {
      if (signal?.aborted) throw cancelled(signal)
      const { bytesRead } = await readAsync(fd, buffer, 0, buffer.length, null)
      if (bytesRead === 0) return `sha256:${hash.digest('hex')}`
      hash.update(buffer.subarray(0, bytesRead))
    }
  } finally {
    closeSync(fd)
  }
}
