// Login and logout: credentials go to the helper that the settings name, else into the file that docker reads.

import {
  type AuthFile,
  authFilePaths,
  keyOfRegistry,
  keysOfRegistry,
  loginFilePath,
  readAuthFile,
  writeAuths,
} from './auth-file.ts'
import { forgetInHelper, tellHelper } from './credential-helper.ts'
import type { Credentials, RegistryOptions, Signalled } from './registry.ts'

type Place = Pick<RegistryOptions, 'environment' | 'userId' | 'authFile'>

/** Where credentials went. */
export type KeptBy =
  | { readonly kind: 'helper'; readonly helper: string }
  | { readonly kind: 'file'; readonly file: string }

/** Keeps the credentials of a registry; they replace earlier ones. @throws DISK_FULL, PREREQUISITE_MISSING, PROCESS_FAILED */
export async function keepCredentials(
  place: Place,
  registry: string,
  credentials: Credentials,
  { signal }: Signalled = {},
): Promise<KeptBy> {
  const path = loginFilePath(place)
  const file = readAuthFile(path)
  const helper = file?.helpers.get(registry) ?? file?.store
  const { environment } = place
  if (helper !== undefined) await tellHelper({ helper, registry, environment, signal }, credentials)
  const stale = file === undefined ? [] : keysOfRegistry(file, registry)
  await writeAuths(path, file, auths => ({
    ...without(auths, stale),
    // docker lists the registries whose credentials a helper has with nothing in them.
    [keyOfRegistry(registry)]: helper === undefined ? entryOf(credentials) : {},
  }))
  return helper === undefined ? { kind: 'file', file: path } : { kind: 'helper', helper }
}

function entryOf(credentials: Credentials): Readonly<Record<string, string>> {
  switch (credentials.kind) {
    case 'password': {
      const { username, password } = credentials
      return { auth: Buffer.from(`${username}:${password}`).toString('base64') }
    }
    case 'identity-token':
      return { identitytoken: credentials.token }
    case 'registry-token':
      return { registrytoken: credentials.token }
    default:
      return credentials satisfies never
  }
}

export interface Forgotten {
  /** False where there was nothing to forget. */
  readonly wasKept: boolean
  /** Other files that still have credentials for the registry; they are other programs'. */
  readonly stillIn: readonly string[]
}

/** Forgets the credentials of a registry. @throws DISK_FULL */
export async function forgetCredentials(
  place: Place,
  registry: string,
  { signal }: Signalled = {},
): Promise<Forgotten> {
  const [path = '', ...others] = authFilePaths(place)
  const file = readAuthFile(path)
  const wasKept = file !== undefined && (await forgetIn(file, registry, place, signal))
  const stillIn = others.filter(other => {
    const found = readAuthFile(other)
    return found !== undefined && keysOfRegistry(found, registry).length > 0
  })
  return { wasKept, stillIn }
}

async function forgetIn(
  file: AuthFile,
  registry: string,
  { environment }: Place,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const helper = file.helpers.get(registry) ?? file.store
  const inHelper =
    helper !== undefined && (await forgetInHelper({ helper, registry, environment, signal }))
  const keys = keysOfRegistry(file, registry)
  if (keys.length > 0) await writeAuths(file.file, file, auths => without(auths, keys))
  return inHelper || keys.length > 0
}

/** The registries that the login file has entries for. */
export function keptRegistries(place: Place): string[] {
  const file = readAuthFile(loginFilePath(place))
  const auths = file?.members['auths']
  if (typeof auths !== 'object' || auths === null) return []
  return Object.keys(auths)
}

function without(
  auths: Readonly<Record<string, unknown>>,
  keys: readonly string[],
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(auths).filter(([key]) => !keys.includes(key)))
}
