// A docker-archive written while its layers are being packed: the tar passes once, into the store and into this file.
// Name and length of a layer are known at its end only, so its header is written last, at its place; that is why the
// layers' bytes do not go through tar-stream, which makes the headers and everything else.

import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { asDiskFull, sweepTemporaries, temporaryBeside } from '../core/atomic-file.ts'
import type { DiffId } from '../oci/digest.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { mostUnderWay, type WriteBehind, writeBehind } from '../store/write-behind.ts'
import {
  blobName,
  padding,
  tarHead,
  tarHeadBytes,
  tarHeader,
  tarHeaderBytes,
  tarTailOf,
} from './archive-entry.ts'
import { type ArchivedImage, dockerArchiveDocuments } from './docker-archive.ts'
import { type LayerTar, tarOfLayer } from './layer-tar.ts'

/** Takes the tar of one layer as it passes. */
export interface LayerSlot {
  /** Appends a copy of the bytes; waits where the disk is behind. @throws DISK_FULL */
  write(chunk: Uint8Array): Promise<void>
  /** Ends the layer; everything is written then. @throws DISK_FULL */
  finish(layer: { readonly diffId: DiffId }): Promise<void>
}

/** An archive being written. Disposing it before `finish` removes what was written; idempotent. */
export interface DockerArchiveFile extends AsyncDisposable {
  /** Begins a layer; the one before it must be finished. */
  startLayer(): LayerSlot
  /** Adds the layers that did not pass through a slot, and the documents; the file then appears under its name. */
  finish(images: readonly ArchivedImage[], signal?: AbortSignal): Promise<void>
}

/** Begins a docker-archive, uncompressed. @throws DISK_FULL, and the operating system's errors for the path */
export function createDockerArchiveFile(store: DiskStore, file: string): DockerArchiveFile {
  sweepTemporaries(file)
  const temporary = temporaryBeside(file)
  const fd = openSync(temporary, 'wx', 0o644)
  const tarBytes = new Map<DiffId, number>()
  let behind: WriteBehind | undefined
  let offset = tarHeadBytes
  let isOpen = true
  const append = (bytes: Uint8Array): void => {
    writeFully(fd, bytes, offset, file)
    offset += bytes.byteLength
  }
  const close = (): void => {
    if (isOpen) closeSync(fd)
    isOpen = false
  }
  return {
    startLayer() {
      const headerAt = offset
      offset += tarHeaderBytes
      const copies = chunkCopies()
      const writer = writeBehind(fd, offset)
      behind = writer
      return {
        async write(chunk) {
          offset += chunk.byteLength
          await toldAsFull(writer.write(copies(chunk)), file)
        },
        async finish({ diffId }) {
          await toldAsFull(writer.settle(), file)
          const size = offset - headerAt - tarHeaderBytes
          append(padding(size))
          writeFully(fd, await tarHeader(blobName(diffId), size), headerAt, file)
          tarBytes.set(diffId, size)
        },
      }
    },
    async finish(images, signal) {
      const missing = new Map<DiffId, LayerTar>()
      for (const layer of images.flatMap(({ image }) => image.layers))
        if (!tarBytes.has(layer.diffId) && !missing.has(layer.diffId))
          missing.set(layer.diffId, await tarOfLayer(store, layer, signal))
      const sizeOf = (diffId: DiffId): number =>
        tarBytes.get(diffId) ?? missing.get(diffId)?.tarBytes ?? 0
      const documents = await dockerArchiveDocuments(store, images, sizeOf)
      const rest = [...[...missing.values()].map(tar => tar.file), ...documents]
      for await (const chunk of tarTailOf(rest)) append(chunk)
      writeFully(fd, await tarHead(), 0, file)
      close()
      renameSync(temporary, file)
    },
    async [Symbol.asyncDispose]() {
      await behind?.[Symbol.asyncDispose]()
      close()
      rmSync(temporary, { force: true })
    },
  }
}

/** Copies into memory that is used again as soon as what it held is written: four writes are under way, one is being made. */
function chunkCopies(): (chunk: Uint8Array) => Uint8Array {
  const ring: Buffer[] = []
  let next = 0
  return chunk => {
    const index = next++ % (mostUnderWay + 1)
    const room = ring[index]
    const copy =
      room !== undefined && room.length >= chunk.length ? room : Buffer.alloc(chunk.length)
    ring[index] = copy
    copy.set(chunk)
    return copy.subarray(0, chunk.length)
  }
}

async function toldAsFull(written: Promise<void>, file: string): Promise<void> {
  try {
    await written
  } catch (error) {
    throw asDiskFull(error, file)
  }
}

function writeFully(fd: number, bytes: Uint8Array, offset: number, file: string): void {
  try {
    for (let at = 0; at < bytes.byteLength; )
      at += writeSync(fd, bytes, at, bytes.byteLength - at, offset + at)
  } catch (error) {
    throw asDiskFull(error, file)
  }
}
