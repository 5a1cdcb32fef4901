// Copies one regular file and makes sure that the bytes are those whose digest is in the step's key: where its numbers would
// tell of a change they are compared before and after, otherwise the bytes are hashed once more.

import { hash } from 'node:crypto'
import { closeSync, constants, readFileSync, writeFileSync } from 'node:fs'
import { copyFields, copyWidth, native } from '../native/native.ts'
import type { SourceEntry } from './source-entry.ts'
import type { SourceXattr } from './source-xattrs.ts'

export interface FileSource {
  readonly directoryFd: number
  readonly entry: SourceEntry
  /** What tells that it is the file that was digested: nothing does, its numbers, or SHA-256, a character for each byte. */
  readonly proof: 'unneeded' | 'numbers' | { readonly digest: string }
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

/** False where the file is no longer what was digested; there may be a copy nevertheless. @throws EEXIST where the name is taken */
export function copyFileVerified(source: FileSource, copy: NewCopy, looks: FileLooks): boolean {
  const { proof } = source
  const isCopied =
    typeof proof === 'string'
      ? copyByNumbers(source, copy, looks)
      : copyByDigest(source, proof.digest, { copy, looks })
  if (!isCopied || looks.xattrs.length === 0) return isCopied
  // After the owner: a change of owner takes file capabilities away. An access list changes the mode.
  for (const { name, value } of looks.xattrs)
    native().setXattrAt(copy.directoryFd, copy.name, name, value)
  native().setModeAt(copy.directoryFd, copy.name, looks.mode)
  return true
}

/** One for all calls: they are synchronous. */
const numbers = new Float64Array(copyWidth)

function copyByNumbers(
  { directoryFd, entry, proof }: FileSource,
  copy: NewCopy,
  { uid, gid, mode }: FileLooks,
): boolean {
  numbers[copyFields.isChecked] = proof === 'numbers' ? 1 : 0
  numbers[copyFields.size] = entry.sizeBytes
  numbers[copyFields.mtimeSeconds] = entry.mtimeSeconds
  numbers[copyFields.mtimeNanoseconds] = entry.mtimeNanoseconds
  numbers[copyFields.ctimeSeconds] = entry.ctimeSeconds
  numbers[copyFields.ctimeNanoseconds] = entry.ctimeNanoseconds
  numbers[copyFields.inodeHigh] = entry.inodeHigh
  numbers[copyFields.inodeLow] = entry.inodeLow
  numbers[copyFields.uid] = uid
  numbers[copyFields.gid] = gid
  numbers[copyFields.mode] = mode
  return native().copyFileAt(directoryFd, entry.name, copy.directoryFd, copy.name, numbers)
}

const readFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY
const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL

function copyByDigest(
  { directoryFd, entry }: FileSource,
  digest: string,
  { copy, looks }: { readonly copy: NewCopy; readonly looks: FileLooks },
): boolean {
  const from = native().openAt(directoryFd, entry.name, readFlags)
  try {
    const into = native().openAt(copy.directoryFd, copy.name, createFlags, 0o600)
    try {
      const bytes = readFileSync(from)
      if (hash('sha256', bytes, 'latin1') !== digest) return false
      writeFileSync(into, bytes)
      const { mtimeSeconds, mtimeNanoseconds } = entry
      native().finishFile(into, looks.uid, looks.gid, looks.mode, mtimeSeconds, mtimeNanoseconds)
      return true
    } finally {
      closeSync(into)
    }
  } finally {
    closeSync(from)
  }
}
