// Where the Dockerfile of a build is, and the ignore file that goes with it.

import { closeSync, constants, openSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { parseIgnoreFile } from '../dockerfile/ignore-file.ts'
import { oPath, readTextInRoot } from '../native/in-root.ts'

export interface FoundDockerfile {
  readonly text: string
  /** As messages show it: reachable from the working directory, or a name inside a remote context. */
  readonly name: string
  /** Host path; undefined where it is no file of this machine's user. */
  readonly path?: string
}

export interface DockerfileRequest {
  readonly directory: string
  /** The user's own directory, where names are relative to the working directory. */
  readonly isLocal: boolean
  /** The context as typed. */
  readonly shownDirectory: string
  readonly file: string | undefined
}

/** Docker's name, the same in lower case, and the name that podman's users give it. */
const defaultNames = ['Dockerfile', 'dockerfile', 'Containerfile']

/** The names that make a directory one of a Dockerfile build. */
export function defaultDockerfileNames(): readonly string[] {
  return defaultNames
}

/** @throws FILE_NOT_FOUND in docker's words */
export async function findDockerfile(request: DockerfileRequest): Promise<FoundDockerfile> {
  const { file, directory, isLocal, shownDirectory } = request
  if (file !== undefined && (isLocal || path.isAbsolute(file))) return readNamed(file)
  const names = file === undefined ? defaultNames : [file]
  for (const name of names) {
    const text = readBelow(directory, name)
    if (text === undefined) continue
    if (!isLocal) return { text, name }
    return { text, name: path.join(shownDirectory, name), path: path.join(directory, name) }
  }
  throw notFound(file ?? 'Dockerfile')
}

/** Relative to the working directory; a Dockerfile may be written in lower case. */
function readNamed(file: string): FoundDockerfile {
  const base = path.basename(file)
  const candidates =
    base === 'Dockerfile' ? [file, path.join(path.dirname(file), 'dockerfile')] : [file]
  for (const candidate of candidates) {
    const text = readIfThere(candidate)
    if (text !== undefined) return { text, name: candidate, path: path.resolve(candidate) }
  }
  throw notFound(base)
}

/** A file of a context. Strangers may have filled it, and messages quote what is read: links lead nowhere else. */
function readBelow(directory: string, name: string): string | undefined {
  const rootFd = openSync(directory, oPath | constants.O_DIRECTORY)
  try {
    return readTextInRoot(rootFd, name)
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    throw new KauriError(
      'FILE_NOT_FOUND',
      `failed to read dockerfile: read ${name}: not a regular file, or too large`,
      { cause: error },
    )
  } finally {
    closeSync(rootFd)
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    const reason = hasErrno(error, 'EISDIR') ? 'is a directory' : 'permission denied'
    if (!hasErrno(error, 'EISDIR', 'EACCES', 'ELOOP')) throw error
    throw new KauriError(
      'FILE_NOT_FOUND',
      `failed to read dockerfile: read ${path.basename(file)}: ${reason}`,
      { cause: error },
    )
  }
}

function notFound(name: string): KauriError {
  return new KauriError(
    'FILE_NOT_FOUND',
    `failed to read dockerfile: open ${name}: no such file or directory`,
    { hint: 'name it with -f FILE' },
  )
}

/** Patterns of the ignore file that belongs to the Dockerfile, or else of the context's own; undefined without one. */
export async function findIgnoreFile(
  directory: string,
  dockerfile: Pick<FoundDockerfile, 'path'> = {},
): Promise<readonly string[] | undefined> {
  const own = dockerfile.path
  const text =
    (own === undefined
      ? undefined
      : readBelow(path.dirname(own), `${path.basename(own)}.dockerignore`)) ??
    readBelow(directory, '.dockerignore')
  return text === undefined ? undefined : parseIgnoreFile(text)
}
