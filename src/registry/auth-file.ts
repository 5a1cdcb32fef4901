// Files with credentials: docker's config.json and containers' auth.json have one form. Where they are, what they say,
// and changing one entry with everything else kept as it is.

import { mkdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { writeFileAtomic } from '../core/atomic-file.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import {
  documentPlace,
  mapOf,
  objectReader,
  parseJsonText,
  type ReadJson,
  readMembers,
  readText,
} from '../oci/json-shape.ts'
import type { Credentials, RegistryOptions } from './registry.ts'
import { canonicalRegistry, dockerHub } from './registry-host.ts'

/** What one file says. */
export interface AuthFile {
  readonly file: string
  /** By key as written: a host, an address, or a host and the beginning of a path. */
  readonly credentials: ReadonlyMap<string, Credentials>
  /** Name of the helper for a host, by the host's canonical name. */
  readonly helpers: ReadonlyMap<string, string>
  /** Helper for every other host. */
  readonly store: string | undefined
  /** The whole document, for who changes it. */
  readonly members: Readonly<Record<string, unknown>>
}

type Place = Pick<RegistryOptions, 'environment' | 'userId' | 'authFile'>

/** The files that count, the first one first. One that was named counts alone. */
export function authFilePaths({ environment, userId, authFile }: Place): string[] {
  const named = authFile ?? nonEmpty(environment['REGISTRY_AUTH_FILE'])
  if (named !== undefined) return [path.resolve(named)]
  const home = nonEmpty(environment['HOME']) ?? homedir()
  const runtime = nonEmpty(environment['XDG_RUNTIME_DIR'])
  const config = nonEmpty(environment['XDG_CONFIG_HOME']) ?? path.join(home, '.config')
  return [
    dockerConfigPath(environment, home),
    path.join(
      userId === 0
        ? '/run/containers/0'
        : path.join(runtime ?? `/run/user/${userId}`, 'containers'),
      'auth.json',
    ),
    path.join(config, 'containers/auth.json'),
  ]
}

/** The file that a login changes. */
export function loginFilePath(place: Place): string {
  const [first = ''] = authFilePaths(place)
  return first
}

function dockerConfigPath(environment: Place['environment'], home: string): string {
  const directory = nonEmpty(environment['DOCKER_CONFIG']) ?? path.join(home, '.docker')
  return path.join(path.resolve(directory), 'config.json')
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

const maxAuthFileBytes = 1024 * 1024

/** Reads a file; undefined where there is none. @throws FILE_NOT_FOUND where it may not be read, USAGE where it is no such file */
export function readAuthFile(file: string): AuthFile | undefined {
  const bytes = readBounded(file)
  if (bytes === undefined) return undefined
  const place = documentPlace(file, 'USAGE')
  const limits = { maxBytes: maxAuthFileBytes, maxDepth: 16 }
  const value = bytes.byteLength === 0 ? {} : parseJsonText(bytes, place, limits)
  const members = objectReader(value, place)
  const helpers = members.optional('credHelpers', mapOf(readText)) ?? {}
  return {
    file,
    credentials: credentialsOf(members.optional('auths', mapOf(readEntry)) ?? {}),
    helpers: new Map(
      Object.entries(helpers).map(([host, helper]) => [canonicalRegistry(host), helper]),
    ),
    store: nonEmpty(members.optional('credsStore', readText)),
    members: readMembers(value, place),
  }
}

function readBounded(file: string): Uint8Array | undefined {
  try {
    const { size } = statSync(file)
    if (size > maxAuthFileBytes)
      throw new KauriError(
        'USAGE',
        `${file} has ${size} bytes; at most ${maxAuthFileBytes} are read`,
      )
    return readFileSync(file)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    // Root's runtime directory is closed to others.
    if (hasErrno(error, 'EACCES')) return undefined
    throw error
  }
}

function credentialsOf(
  entries: Readonly<Record<string, Credentials | undefined>>,
): Map<string, Credentials> {
  const found = new Map<string, Credentials>()
  for (const [key, value] of Object.entries(entries)) if (value !== undefined) found.set(key, value)
  return found
}

/** An entry without any credentials says that a helper has them. Nothing of it gets into a message. */
const readEntry: ReadJson<Credentials | undefined> = (value, place) => {
  const members = objectReader(value, place)
  const text = (key: string): string | undefined => nonEmpty(members.optional(key, readText))
  const identity = text('identitytoken')
  if (identity !== undefined) return { kind: 'identity-token', token: identity }
  const token = text('registrytoken')
  if (token !== undefined) return { kind: 'registry-token', token }
  const auth = text('auth')
  if (auth !== undefined) return decodeAuth(auth, `${place.document}: ${place.path}`)
  const username = text('username')
  const password = text('password')
  if (username === undefined || password === undefined) return undefined
  return { kind: 'password', username, password }
}

/** base64 of `user:password`; docker has padded it with NULs at times. */
function decodeAuth(text: string, where: string): Credentials {
  const decoded = Buffer.from(text, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  if (colon < 1)
    throw new KauriError('USAGE', `${where}.auth is not base64 of USER:PASSWORD`, {
      hint: 'log in again with kauri login',
    })
  const password = decoded.slice(colon + 1).replace(/\0+$/, '')
  return { kind: 'password', username: decoded.slice(0, colon), password }
}

/** The credentials for the longest part of a repository's name that has any. */
export function longestMatch(
  { credentials }: AuthFile,
  registry: string,
  repository: string,
): Credentials | undefined {
  const byName = new Map<string, Credentials>()
  for (const [key, value] of credentials) {
    const name = entryName(key)
    if (!byName.has(name)) byName.set(name, value)
  }
  const words = [registry, ...repository.split('/').filter(word => word !== '')]
  for (let length = words.length; length > 0; length--) {
    const found = byName.get(words.slice(0, length).join('/'))
    if (found !== undefined) return found
  }
  return undefined
}

/** `https://index.docker.io/v1/` and `example.org/team` in one form: docker writes addresses, whose paths mean nothing. */
function entryName(key: string): string {
  const host = canonicalRegistry(key)
  if (/^https?:\/\//i.test(key) || host === dockerHub.name) {
    const rest = key.startsWith('docker.io/') ? key.slice('docker.io'.length) : ''
    return `${host}${rest.replace(/\/+$/, '')}`
  }
  return key.replace(/\/+$/, '').replace(/\/v[12]$/, '')
}

/** The keys of a registry's own entries: all of them go at a logout, and make way at a login. */
export function keysOfRegistry({ members }: AuthFile, registry: string): string[] {
  const auths = members['auths']
  const keys = typeof auths === 'object' && auths !== null ? Object.keys(auths) : []
  return keys.filter(key => entryName(key) === registry)
}

/** The key under which every program finds the credentials of a registry. */
export function keyOfRegistry(registry: string): string {
  return registry === dockerHub.name ? dockerHub.credentialsKey : registry
}

/** Writes the document with other `auths`; only its owner may read it. A link to the file stays one. @throws DISK_FULL */
export async function writeAuths(
  file: string,
  before: AuthFile | undefined,
  change: (auths: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>,
): Promise<void> {
  const members = before?.members ?? {}
  const found = members['auths']
  const auths = typeof found === 'object' && found !== null ? { ...found } : {}
  const document = { ...members, auths: change(auths) }
  const target = before === undefined ? file : realpathSync(file)
  mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 })
  await writeFileAtomic(target, `${JSON.stringify(document, undefined, '\t')}\n`, 0o600)
}
