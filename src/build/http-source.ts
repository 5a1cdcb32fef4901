// Files that ADD takes over HTTP(S). A file is kept under its sha256, and a record for each address says which file it
// was last time, so that the server only has to say that nothing changed.

import { mkdirSync, renameSync, rmSync, utimesSync } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import {
  asDiskFull,
  readTextIfThere,
  sweepTemporaries,
  temporaryBeside,
  writeCacheRecord,
} from '../core/atomic-file.ts'
import {
  type Download,
  openDownload,
  openDownloadIfChanged,
  type Validators,
} from '../core/download.ts'
import { hasErrno, KauriError, redactCredentials } from '../core/errors.ts'
import {
  createDigester,
  type Digest,
  digestOf,
  hexOf,
  isDigest,
  parseDigest,
} from '../oci/digest.ts'
import { httpAuthorization } from './remote-credentials.ts'
import type {
  RemoteParts,
  RemoteSource,
  ResolvedSource,
  ResolveOptions,
  SourceFetcher,
} from './remote-source.ts'

type HttpSource = Extract<RemoteSource, { readonly kind: 'http' }>

/** What is known of an address since it was asked last. */
interface AddressRecord extends Validators {
  readonly digest: Digest
}

/** Larger files are refused: a server that never stops must not fill the disk. */
const maxBytes = 64 * 1024 ** 3

/** Fetches files, with the caller's credentials for their hosts. */
export function httpFetcher(parts: RemoteParts): SourceFetcher<HttpSource> {
  const cache = fileCache(path.join(parts.dataRoot, 'cache', 'http'))
  const resolved = (source: HttpSource, record: AddressRecord): ResolvedSource => ({
    digest: record.digest,
    name: fileNameOf(source.url),
    async open(signal) {
      const file = cache.pathOf(record.digest)
      if (!cache.has(record.digest)) checkSum(source, await download(source, { signal }))
      const mtimeSeconds = secondsOf(record.lastModified)
      return { kind: 'file', path: file, mode: 0o600, mtimeSeconds }
    },
    async madeSeconds(signal) {
      const { lastModified } = cache.has(record.digest)
        ? record
        : await download(source, { signal })
      return lastModified === undefined ? undefined : secondsOf(lastModified)
    },
  })
  const download = async (
    source: HttpSource,
    options: Partial<ResolveOptions>,
  ): Promise<AddressRecord> => {
    if (parts.offline) throw offline(source)
    const authorization = httpAuthorization(source.url, parts.secrets)
    const { url } = source
    const known = await cache.findRecord(url)
    const request = { signal: options.signal, authorization }
    const answer =
      known !== undefined && cache.has(known.digest)
        ? await openDownloadIfChanged(url, known, request)
        : await openDownload(url, request)
    if (answer === undefined && known !== undefined) return known
    if (answer === undefined)
      throw new KauriError('INTERNAL', 'an unknown file cannot be unchanged')
    const bytes = withProgress(answer, options)
    const record = { digest: await cache.store(bytes, url), ...answer.validators }
    await cache.remember(url, record)
    return record
  }
  return {
    async resolve(source, options) {
      const { url, checksum } = source
      const known = await cache.findRecord(url)
      // Who says the checksum says the content: nobody has to be asked.
      if (checksum !== undefined) {
        const record = known?.digest === checksum ? known : { digest: checksum }
        return resolved(source, record)
      }
      if (parts.offline && known !== undefined && cache.has(known.digest))
        return resolved(source, known)
      return resolved(source, await download(source, options))
    },
  }
}

/** Tells how much is there, to the step that asks. */
async function* withProgress(
  { bytes, totalBytes }: Download,
  { emit, stepId }: Partial<ResolveOptions>,
): AsyncGenerator<Uint8Array> {
  let done = 0
  for await (const chunk of bytes) {
    done += chunk.byteLength
    if (stepId !== undefined)
      emit?.({ kind: 'step-progress', id: stepId, done, total: totalBytes, unit: 'bytes' })
    yield chunk
  }
}

function checkSum({ url, checksum }: HttpSource, { digest }: AddressRecord): void {
  if (checksum === undefined || digest === checksum) return
  throw new KauriError(
    'CHECKSUM_MISMATCH',
    `digest mismatch for ${redactCredentials(url)}: ${digest} (expected: ${checksum})`,
  )
}

function offline({ url }: HttpSource): KauriError {
  return new KauriError('OFFLINE', `${redactCredentials(url)} is not here`, {
    hint: 'build once without --offline',
  })
}

/** Files by digest, and records by address. */
interface FileCache {
  pathOf(digest: Digest): string
  has(digest: Digest): boolean
  findRecord(url: string): Promise<AddressRecord | undefined>
  remember(url: string, record: AddressRecord): Promise<void>
  /** Takes all bytes; the file appears under its digest. @throws DOWNLOAD_FAILED, DISK_FULL */
  store(bytes: AsyncIterable<Uint8Array>, url: string): Promise<Digest>
}

function fileCache(directory: string): FileCache {
  const pathOf = (digest: Digest): string => path.join(directory, 'files', hexOf(digest))
  // Addresses carry passwords, so only their digests are written down.
  const recordOf = (url: string): string =>
    path.join(directory, 'addresses', `${hexOf(digestOf(url))}.json`)
  return {
    pathOf,
    has: digest => markAsUsed(pathOf(digest)),
    findRecord: async url => parseRecord(await readTextIfThere(recordOf(url))),
    remember: (url, record) => writeCacheRecord(recordOf(url), JSON.stringify(record), 0o600),
    async store(bytes, url) {
      mkdirSync(path.join(directory, 'files'), { recursive: true, mode: 0o700 })
      const temporary = temporaryBeside(path.join(directory, 'files', 'file'))
      sweepTemporaries(temporary)
      try {
        const digest = await writeBytes(bytes, temporary, url)
        renameSync(temporary, pathOf(digest))
        return digest
      } catch (error) {
        rmSync(temporary, { force: true })
        throw asDiskFull(error, directory)
      }
    },
  }
}

/** False where there is no such file. What nobody uses for long is collected. */
function markAsUsed(file: string): boolean {
  const now = new Date()
  try {
    utimesSync(file, now, now)
    return true
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return false
    throw error
  }
}

async function writeBytes(
  bytes: AsyncIterable<Uint8Array>,
  file: string,
  url: string,
): Promise<Digest> {
  const digester = createDigester()
  await using handle = await open(file, 'wx', 0o600)
  let total = 0
  for await (const chunk of bytes) {
    total += chunk.byteLength
    if (total > maxBytes)
      throw new KauriError(
        'DOWNLOAD_FAILED',
        `${redactCredentials(url)} is larger than ${maxBytes} bytes`,
      )
    digester.update(chunk)
    await handle.writeFile(chunk)
  }
  return digester.digest()
}

/** What is broken counts as unknown. */
function parseRecord(text: string | undefined): AddressRecord | undefined {
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('digest' in value)) return undefined
    const { digest } = value
    if (typeof digest !== 'string' || !isDigest(digest)) return undefined
    return {
      digest: parseDigest(digest),
      ...('etag' in value && typeof value.etag === 'string' ? { etag: value.etag } : {}),
      ...('lastModified' in value && typeof value.lastModified === 'string'
        ? { lastModified: value.lastModified }
        : {}),
      isFirm: 'isFirm' in value && value.isFirm === true,
    }
  } catch {
    return undefined
  }
}

function secondsOf(lastModified: string | undefined): number {
  const milliseconds = lastModified === undefined ? Number.NaN : Date.parse(lastModified)
  return Number.isNaN(milliseconds) ? 0 : Math.max(0, Math.floor(milliseconds / 1000))
}

/** The last part of the address's path, as BuildKit names it. */
export function fileNameOf(url: string): string {
  const base = URL.parse(url)?.pathname.split('/').filter(Boolean).at(-1) ?? ''
  return safeFileName(decoded(base))
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What could lead out of a directory has no name of its own. */
function safeFileName(name: string): string {
  const base = name.split('/').at(-1) ?? ''
  return base === '' || base === '.' || base === '..' || base.includes('\0') ? unnamed : base
}

const unnamed = '__unnamed__'
