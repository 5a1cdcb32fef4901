// Certificates for one registry: the authorities of the machine, and what docker and containers keep for a host in
// certs.d/HOST[:PORT]: ca.crt, and client.cert with client.key.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { Endpoint } from './endpoints.ts'
import type { RegistryOptions } from './registry.ts'
import type { TlsSettings } from './transport.ts'

type Options = Pick<RegistryOptions, 'environment' | 'certDirectory'>

/** Reads the settings of each host once. */
export function tlsFinder(
  options: Options,
): (host: string, insecure: boolean, own?: Endpoint['tls']) => TlsSettings {
  const known = new Map<string, TlsSettings>()
  let common: readonly string[] | undefined | null = null
  return (host, insecure, own) => {
    const key = JSON.stringify([host, insecure, own?.authorities, own?.client])
    common = common === null ? commonAuthorities(options.environment) : common
    const settings = known.get(key) ?? {
      ...readHostFiles(options, host, common),
      ...ownFiles(own),
      verify: !insecure,
    }
    known.set(key, settings)
    return settings
  }
}

/** What containerd's hosts.toml names; it lacks what it does not name. */
function ownFiles(own: Endpoint['tls']): Partial<Omit<TlsSettings, 'verify'>> {
  if (own === undefined) return {}
  const { authorities, client } = own
  return {
    ...(authorities.length === 0 ? {} : { authorities: authorities.map(readPem) }),
    ...(client === undefined
      ? {}
      : { certificate: readPem(client.certificate), key: readPem(client.key) }),
  }
}

/** Where distributions keep the authorities that all programs trust. */
const systemBundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

/** As programs in Go have it: SSL_CERT_FILE replaces the machine's. undefined: those that Node brings. */
function commonAuthorities(environment: Options['environment']): readonly string[] | undefined {
  const named = environment['SSL_CERT_FILE']
  const file = named === undefined || named === '' ? systemBundles.find(existsSync) : named
  return file === undefined ? undefined : [readPem(file)]
}

function readHostFiles(
  { environment, certDirectory }: Options,
  host: string,
  common: readonly string[] | undefined,
): Omit<TlsSettings, 'verify'> {
  const directory =
    certDirectory ?? certDirectories(environment, host).find(candidate => existsSync(candidate))
  if (directory === undefined) return { authorities: common }
  const names = namesIn(directory)
  const own = names
    .filter(name => name.endsWith('.crt'))
    .map(name => readPem(path.join(directory, name)))
  const certificate = names.find(name => name.endsWith('.cert'))
  const authorities = own.length === 0 ? common : [...(common ?? []), ...own]
  if (certificate === undefined) return { authorities }
  const key = certificate.replace(/\.cert$/, '.key')
  if (!names.includes(key))
    throw new KauriError(
      'FILE_NOT_FOUND',
      `${path.join(directory, certificate)} has no ${key} beside it`,
    )
  return {
    authorities,
    certificate: readPem(path.join(directory, certificate)),
    key: readPem(path.join(directory, key)),
  }
}

function certDirectories(environment: Options['environment'], host: string): string[] {
  const home = environment['HOME'] ?? homedir()
  const config = environment['XDG_CONFIG_HOME'] ?? path.join(home, '.config')
  return [
    path.join(config, 'containers/certs.d', host),
    path.join('/etc/containers/certs.d', host),
    path.join('/etc/docker/certs.d', host),
  ]
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).toSorted()
  } catch (error) {
    if (hasErrno(error, 'ENOENT'))
      throw new KauriError('FILE_NOT_FOUND', `there is no directory ${directory}`)
    throw error
  }
}

function readPem(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new KauriError('FILE_NOT_FOUND', `the certificates in ${file} cannot be read`, {
      cause: error,
    })
  }
}
