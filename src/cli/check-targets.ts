// What `kauri check PATH` means: a description, Dockerfiles, or both in one directory.

import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { findIgnoreFile } from './dockerfile-file.ts'

export type CheckTarget =
  | { readonly kind: 'description'; readonly directory: string; readonly kiwiFile?: string }
  | { readonly kind: 'dockerfile'; readonly file: string }

/** What a path holds; never empty. @throws DESCRIPTION_NOT_FOUND, USAGE for files of another kind */
export async function locateTargets(target: string): Promise<readonly CheckTarget[]> {
  const status = await stat(target).catch((error: unknown) => {
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR')) throw error
    throw new KauriError('DESCRIPTION_NOT_FOUND', `${target} does not exist`, { cause: error })
  })
  if (status.isDirectory()) return locateInDirectory(target)
  if (/\.(?:xml|kiwi)$/.test(target))
    return [
      { kind: 'description', directory: path.dirname(target), kiwiFile: path.basename(target) },
    ]
  if (isDockerfileName(path.basename(target))) return [{ kind: 'dockerfile', file: target }]
  throw new KauriError('USAGE', `${target} is no description and no Dockerfile`, {
    hint: 'name a directory that holds one, a file ending in .xml or .kiwi, or one called Dockerfile, Containerfile, Dockerfile.NAME or NAME.Dockerfile',
  })
}

async function locateInDirectory(directory: string): Promise<readonly CheckTarget[]> {
  const names = (await readdir(directory)).toSorted()
  const dockerfiles = names.filter(isDockerfileName)
  const targets: CheckTarget[] = dockerfiles.map(name => ({
    kind: 'dockerfile',
    file: path.join(directory, name),
  }))
  if (await hasDescription(directory, names)) targets.unshift({ kind: 'description', directory })
  if (targets.length > 0) return targets
  throw new KauriError(
    'DESCRIPTION_NOT_FOUND',
    `${directory} holds no description and no Dockerfile`,
    { hint: 'put a config.xml, a file ending in .kiwi or a Dockerfile there, or name another one' },
  )
}

async function hasDescription(directory: string, names: readonly string[]): Promise<boolean> {
  if (names.some(name => name === 'config.xml' || name.endsWith('.kiwi'))) return true
  if (!names.includes('image')) return false
  const inner = await readdir(path.join(directory, 'image')).catch((): string[] => [])
  return inner.includes('config.xml')
}

const dockerfileName = /^(?:dockerfile|containerfile)(?:\.[^.]+)*$|\.(?:dockerfile|containerfile)$/i
/** Ignore files, leftovers of editors and patches, and templates: they are no Dockerfiles yet. */
const otherName = /(?:ignore|~|\.(?:orig|rej|bak|swp|md|in|j2|erb|tmpl|template))$/i

/** True for `Dockerfile`, `Dockerfile.NAME`, `NAME.Dockerfile`, and the same with Containerfile. */
export function isDockerfileName(name: string): boolean {
  return dockerfileName.test(name) && !otherName.test(name)
}

/** The largest Dockerfile that is read; those in use have a few kilobytes. */
const maxDockerfileBytes = 4 * 1024 * 1024

/** @throws FILE_NOT_FOUND, DESCRIPTION_INVALID for what is no file, or far too large */
export async function readDockerfileText(file: string): Promise<string> {
  const status = await stat(file).catch((error: unknown) => {
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw error
    throw new KauriError('FILE_NOT_FOUND', `${file} cannot be read`, { cause: error })
  })
  if (!status.isFile() || status.size > maxDockerfileBytes)
    throw new KauriError(
      'DESCRIPTION_INVALID',
      `${file} is ${status.isFile() ? `${status.size} bytes large` : 'not a regular file'}, so it is no Dockerfile`,
    )
  return await readFile(file, 'utf8')
}

/** Patterns of the ignore file beside a Dockerfile, taking its directory for the context. */
export async function ignorePatternsOf(file: string): Promise<readonly string[] | undefined> {
  return await findIgnoreFile(path.dirname(file), { path: file })
}
