// Signing keys of repositories: read from files of the host or fetched with apt's own downloader, so that its proxies,
// certificates and credentials count. What was fetched is kept for builds without network.

import { createHash, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeCacheRecord } from '../core/atomic-file.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { lastLines } from '../core/process.ts'
import type { PackageRepository } from '../plan/plan.ts'
import { takeCredentials } from './apt-credentials.ts'
import type { AptWorkspace } from './apt-workspace.ts'
import { binaryKeyring } from './openpgp-keyring.ts'
import type { PackageWork } from './package-manager.ts'

export interface KeySource {
  readonly cacheDirectory: string
  readonly workspace: AptWorkspace
  readonly work: PackageWork
}

/**
 * All keys of a repository as one keyring; undefined where it names none.
 * @throws FILE_NOT_FOUND, DOWNLOAD_FAILED, OFFLINE, REPOSITORY_INVALID with the repository's position
 */
export async function readKeyring(
  repository: PackageRepository,
  source: KeySource,
): Promise<Buffer | undefined> {
  if (repository.keys.length === 0) return undefined
  const keyrings: Buffer[] = []
  for (const key of repository.keys) {
    const content = isRemote(key)
      ? await fetchKey(key, repository, source)
      : await readKeyFile(key, repository)
    keyrings.push(binaryKeyring(content, takeCredentials(key).uri, repository.where))
  }
  return Buffer.concat(keyrings)
}

/** True for a key that has an address in the network. */
export function isRemote(key: string): boolean {
  return /^(?:https?|ftp):\/\//i.test(key)
}

async function readKeyFile(key: string, { where }: PackageRepository): Promise<Buffer> {
  const file = filePath(key)
  if (file === undefined)
    throw new KauriError(
      'REPOSITORY_INVALID',
      `signing key ${key} is not an address kauri can read`,
      {
        hint: 'use file:///, http://, https://, ftp:// or an absolute path',
        where,
      },
    )
  try {
    return await readFile(file)
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'EISDIR', 'ENOTDIR', 'EACCES')) throw error
    throw new KauriError('FILE_NOT_FOUND', `signing key ${file} cannot be read`, {
      hint: 'check the path of the key',
      where,
      cause: error,
    })
  }
}

function filePath(key: string): string | undefined {
  if (key.startsWith('/')) return key
  try {
    return /^file:\//i.test(key) ? fileURLToPath(key) : undefined
  } catch {
    return undefined
  }
}

async function fetchKey(
  key: string,
  { where }: PackageRepository,
  { cacheDirectory, workspace, work }: KeySource,
): Promise<Buffer> {
  const { uri } = takeCredentials(key)
  const name = createHash('sha256').update(uri).digest('hex').slice(0, 40)
  const kept = path.join(cacheDirectory, 'keys', name)
  const remembered = await readFile(kept).catch(() => undefined)
  if (work.offline && remembered !== undefined && remembered.length > 0) return remembered
  if (work.offline)
    throw new KauriError('OFFLINE', `the signing key ${uri} was never fetched`, {
      hint: 'build once without --offline',
      where,
    })
  const target = path.join(workspace.directory, 'tmp', randomUUID())
  const { exitCode, stdout, stderr } = await workspace.run(
    '/usr/lib/apt/apt-helper',
    ['download-file', uri, target],
    { signal: work.signal },
  )
  if (exitCode === 0) {
    const content = await readFile(target)
    await writeCacheRecord(kept, content)
    return content
  }
  const reason = /^Err:.*\n\s*(.*)/m.exec(stdout)?.[1] ?? lastLines(stderr, 3)
  throw new KauriError('DOWNLOAD_FAILED', `cannot fetch the signing key ${uri}: ${reason}`, {
    hint: 'check its address, or give the key as a file',
    where,
  })
}
