// Uploads that go on after the program that took their first part has ended, or beside another one: a file in ingest/ for
// each, locked while somebody writes it. How much is there is what the file has, and who finds more or less than it knows of
// hashes it again.

import { randomUUID } from 'node:crypto'
import { existsSync, fstatSync, rmSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import { asDiskFull } from '../core/atomic-file.ts'
import { namesIn } from '../core/directory-names.ts'
import { KauriError } from '../core/errors.ts'
import { type FileLock, tryLockFile } from '../native/file-lock.ts'
import type { BlobBatch } from './blob-batch.ts'
import { ensureLayout } from './layout-lock.ts'
import { layoutPaths } from './layout-paths.ts'
import type { PutOptions, StoredBlob } from './store.ts'
import { type PoolDigest, pieceBytes, pieceWriter, poolDigest } from './write-pieces.ts'

/** One upload, which nobody else touches meanwhile. Disposing lets go of it, and keeps what is there. */
export interface OpenUpload extends Disposable {
  /** Bytes that are there. */
  received(): number
  /** Appends; where the source fails what came before is kept. @throws DISK_FULL, and what the source throws */
  append(source: AsyncIterable<Uint8Array>): Promise<void>
  /** Makes it a blob of the batch, and is over with it. @throws CHECKSUM_MISMATCH, after which the upload is gone */
  finish(batch: BlobBatch, expected: NonNullable<PutOptions['expected']>): StoredBlob
  /** Takes it away. */
  remove(): void
}

export interface UploadFiles {
  /** How many there are, of whomever. */
  count(): number
  /** Begins one; its id is a UUID. @throws DISK_FULL */
  create(): string
  /** undefined where there is none of that id, `busy` where somebody else has it. */
  open(id: string): Promise<OpenUpload | 'busy' | undefined>
}

const prefix = 'upload-'
const idForm = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** One that nobody has continued for so long is dropped. */
const idleMs = 30 * 60_000

/** The uploads of a store. What this process has hashed of them is remembered for as long as the result is. */
export function uploadFiles(root: string): UploadFiles {
  const paths = layoutPaths(root)
  const hashed = new Map<string, Hashed>()
  const fileOf = (id: string): string => path.join(paths.ingest, `${prefix}${id}`)
  return {
    count: () => namesIn(paths.ingest).filter(name => name.startsWith(prefix)).length,
    create() {
      ensureLayout(paths)
      const id = randomUUID()
      try {
        tryLockFile(fileOf(id), 'exclusive')?.[Symbol.dispose]()
      } catch (error) {
        throw asDiskFull(error, root)
      }
      hashed.set(id, { digest: poolDigest(), size: 0 })
      return id
    },
    async open(id) {
      if (!idForm.test(id) || !existsSync(fileOf(id))) {
        hashed.delete(id)
        return undefined
      }
      const lock = tryLockFile(fileOf(id), 'exclusive')
      if (lock === undefined) return 'busy'
      try {
        const known = await hashedSoFar(lock.fd, hashed.get(id))
        hashed.set(id, known)
        const forget = (): void => void hashed.delete(id)
        return openUpload({ file: fileOf(id), lock, known, forget })
      } catch (error) {
        lock[Symbol.dispose]()
        throw error
      }
    },
  }
}

interface Hashed {
  readonly digest: PoolDigest
  /** Bytes that are in it. */
  size: number
}

/** What is known already where the file is as long as that; all of the file again where it is not. */
async function hashedSoFar(fd: number, known: Hashed | undefined): Promise<Hashed> {
  const { size } = fstatSync(fd)
  if (known !== undefined && known.size === size) return known
  const digest = poolDigest()
  await using file = await open(`/proc/self/fd/${fd}`, 'r')
  const buffer = Buffer.allocUnsafeSlow(pieceBytes)
  let position = 0
  while (position < size) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
    if (bytesRead === 0) break
    await digest.absorb(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
  return { digest, size: position }
}

interface UploadParts {
  readonly file: string
  readonly lock: FileLock
  readonly known: Hashed
  readonly forget: () => void
}

function openUpload({ file, lock, known, forget }: UploadParts): OpenUpload {
  const remove = (): void => {
    forget()
    lock.removeAndRelease()
  }
  const rethrow = (error: unknown): never => {
    // How much of the piece is there, nobody knows.
    remove()
    throw asDiskFull(error, file)
  }
  return {
    received: () => known.size,
    async append(source) {
      const target = { fd: lock.fd, digest: known.digest, position: known.size }
      await using output = pieceWriter(target, rethrow)
      try {
        for await (const chunk of source) await output.add(chunk)
      } finally {
        known.size = await output.flush()
      }
    },
    finish(batch, { digest, size }) {
      const stored = { digest: known.digest.digest(), size: known.size }
      forget()
      const isRight = stored.digest === digest && (size === undefined || size === stored.size)
      if (isRight) batch.adopt(file, stored)
      else remove()
      lock[Symbol.dispose]()
      if (isRight) return stored
      throw new KauriError(
        'CHECKSUM_MISMATCH',
        `expected the digest ${digest}, got ${stored.digest}`,
      )
    },
    remove,
    [Symbol.dispose]: () => lock[Symbol.dispose](),
  }
}

/** Removes the file of an upload that nobody continues; leaves every other file alone. */
export function sweepUpload(file: string): void {
  if (!path.basename(file).startsWith(prefix)) return
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined || Date.now() - stat.mtimeMs < idleMs) return
  const lock = tryLockFile(file, 'exclusive')
  if (lock === undefined) return
  rmSync(file, { force: true })
  lock[Symbol.dispose]()
}
