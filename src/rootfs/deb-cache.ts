// Package files, kept by their checksum and shared by all builds. A file gets its name only when its content was checked,
// and is checked again when it is used; who writes it first does not matter.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, rename, rm, utimes } from 'node:fs/promises'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { ResolvedPackage } from './package-manager.ts'

export interface DebCache {
  /** The file of a package; undefined where it is not there, or not whole. */
  find(wanted: ResolvedPackage): Promise<string | undefined>
  /** Moves a downloaded file in. @throws CHECKSUM_MISMATCH */
  add(wanted: ResolvedPackage, file: string): Promise<string>
}

/** The cache below a directory; nothing is made before something is added. */
export function debCache(directory: string): DebCache {
  const place = ({ checksum }: ResolvedPackage): string => {
    const hex = checksum.replace(/^sha256:/, '')
    return path.join(directory, hex.slice(0, 2), `${hex}.deb`)
  }
  return {
    async find(wanted) {
      const file = place(wanted)
      const checksum = await checksumOf(file)
      if (checksum === undefined) return undefined
      if (checksum !== wanted.checksum) {
        await rm(file, { force: true })
        return undefined
      }
      const now = new Date()
      await utimes(file, now, now)
      return file
    },
    async add(wanted, file) {
      const checksum = await checksumOf(file)
      if (checksum !== wanted.checksum)
        throw new KauriError(
          'CHECKSUM_MISMATCH',
          `${wanted.url} is not what the repository's index says: expected ${wanted.checksum}, got ${checksum ?? 'nothing'}`,
          { hint: 'the mirror may be changing right now: try again' },
        )
      const target = place(wanted)
      await mkdir(path.dirname(target), { recursive: true, mode: 0o755 })
      await rename(file, target)
      return target
    },
  }
}

async function checksumOf(file: string): Promise<string | undefined> {
  const hash = createHash('sha256')
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 }))
      hash.update(chunk)
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
  return `sha256:${hash.digest('hex')}`
}
