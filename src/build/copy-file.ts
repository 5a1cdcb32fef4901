// Copies one regular file and makes sure that the bytes are those whose digest is in the step's key.

import { hash } from 'node:crypto'
import { closeSync, constants, readFileSync, writeFileSync } from 'node:fs'
import { native } from '../native/native.ts'
import type { SourceEntry } from './source-entry.ts'
import type { SourceXattr } from './source-xattrs.ts'

export interface FileSource {
  readonly directoryFd: number
  readonly entry: SourceEntry
  /** SHA-256 of what it shall be, hexadecimal; undefined where nothing changes it. */
  readonly digest: string | undefined
}

export interface NewCopy {
  readonly directoryFd: number
  /** Nothing has it yet. */
  readonly name: string
}

export interface FileLooks {
  readonly uid: number
  readonly gid: number
  readonly mode: number
  readonly xattrs: readonly SourceXattr[]
}

const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL

/** False where the file is no longer what was digested; the copy is there nevertheless. @throws EEXIST where the name is taken */
export function copyFileVerified(
  { directoryFd, entry, digest }: FileSource,
  { directoryFd: intoFd, name }: NewCopy,
  { uid, gid, mode, xattrs }: FileLooks,
): boolean {
  const calls = native()
  const from = calls.openAt(directoryFd, entry.name, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const into = calls.openAt(intoFd, name, createFlags, 0o600)
    try {
      const bytes = readFileSync(from)
      writeFileSync(into, bytes)
      if (digest !== undefined && digest !== hash('sha256', bytes, 'hex')) return false
      if (xattrs.length > 0) calls.finishFile(into, uid, gid, 0o600, 0, 0)
      for (const xattr of xattrs) calls.setXattrAt(intoFd, name, xattr.name, xattr.value)
      const { mtimeSeconds, mtimeNanoseconds } = entry
      const owner = xattrs.length > 0 ? { uid: -1, gid: -1 } : { uid, gid }
      calls.finishFile(into, owner.uid, owner.gid, mode, mtimeSeconds, mtimeNanoseconds)
      return true
    } finally {
      closeSync(into)
    }
  } finally {
    closeSync(from)
  }
}
