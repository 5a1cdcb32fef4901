// What the build host's apt knows: its repositories, how they are reached, which keys it trusts, and its credentials.
// Read, never written; of its settings only values are used, none of its programs and hooks.

import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { readTextIfThere } from '../core/atomic-file.ts'
import { hasErrno } from '../core/errors.ts'
import {
  type AptSetting,
  type AptSettings,
  acquireSettings,
  pathSetting,
  proxyProgram,
  readAptSettings,
  settingOf,
} from './apt-config.ts'
import { takeCredentials } from './apt-credentials.ts'
import { type AptSource, parseDeb822Sources, parseOneLineSources } from './apt-sources.ts'

export interface AptHost {
  /** Debian's name of the host's architecture. */
  readonly architecture: string
  /** Proxies, certificates, time-outs and the like. */
  readonly acquire: readonly AptSetting[]
  /** The program that would find a proxy; it is not run. */
  readonly proxyProgram?: string | undefined
  /** Enabled repositories for binary packages, without credentials. */
  readonly sources: readonly AptSource[]
  readonly trustedKeyFile?: string | undefined
  readonly trustedKeyDirectory?: string | undefined
  /** The files that these two stand for. */
  readonly trustedKeys: readonly string[]
  /** Text of a netrc file: a secret. */
  readonly netrc: string
  /** What the host calls its own release, the likeliest name first. */
  readonly codenames: readonly string[]
}

export interface AptHostOptions {
  /** Variables that apt and its methods look at: proxies and APT_CONFIG. */
  readonly environment: Readonly<Record<string, string>>
  /** Read for the release's name; /etc/os-release by default. */
  readonly osReleaseFile?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Reads the host's configuration. @throws PREREQUISITE_MISSING without apt */
export async function readAptHost(options: AptHostOptions): Promise<AptHost> {
  const settings = await readAptSettings({ env: options.environment, signal: options.signal })
  const listed = await readSources(settings)
  const parted = listed.map(partCredentials)
  const trustedKeyFile = pathSetting(settings, 'Dir::Etc::trusted')
  const trustedKeyDirectory = pathSetting(settings, 'Dir::Etc::trustedparts')
  const osRelease = (await readTextIfThere(options.osReleaseFile ?? '/etc/os-release')) ?? ''
  return {
    architecture: settingOf(settings, 'APT::Architecture') ?? 'amd64',
    acquire: acquireSettings(settings),
    proxyProgram: proxyProgram(settings),
    sources: parted.map(({ source }) => source),
    trustedKeyFile,
    trustedKeyDirectory,
    trustedKeys: await trustedKeys(trustedKeyFile, trustedKeyDirectory),
    netrc: parted.map(({ netrc }) => netrc).join('') + (await readNetrc(settings)),
    codenames: codenamesOf(osRelease),
  }
}

async function readSources(settings: AptSettings): Promise<AptSource[]> {
  const main = pathSetting(settings, 'Dir::Etc::sourcelist')
  const parts = await partFiles(
    pathSetting(settings, 'Dir::Etc::sourceparts'),
    /\.(?:list|sources)$/,
  )
  const sources: AptSource[] = []
  for (const file of main === undefined ? parts : [main, ...parts]) {
    const text = (await readTextIfThere(file)) ?? ''
    const parse = file.endsWith('.sources') ? parseDeb822Sources : parseOneLineSources
    sources.push(...parse(text))
  }
  return sources
}

async function trustedKeys(
  file: string | undefined,
  directory: string | undefined,
): Promise<string[]> {
  const parts = await partFiles(directory, /\.(?:asc|gpg)$/)
  const isFile = file !== undefined && (await stat(file).catch(() => undefined))?.isFile() === true
  return isFile ? [file, ...parts] : parts
}

async function readNetrc(settings: AptSettings): Promise<string> {
  const main = pathSetting(settings, 'Dir::Etc::netrc')
  const parts = await partFiles(pathSetting(settings, 'Dir::Etc::netrcparts'), /\.conf$|^[^.]+$/)
  const texts: string[] = []
  for (const file of main === undefined ? parts : [main, ...parts])
    texts.push((await readTextIfThere(file)) ?? '')
  return texts.map(text => (text === '' || text.endsWith('\n') ? text : `${text}\n`)).join('')
}

/** Files of a configuration directory, in the order and with the names that apt accepts. */
async function partFiles(directory: string | undefined, accepted: RegExp): Promise<string[]> {
  if (directory === undefined) return []
  try {
    const names = await readdir(directory)
    return names
      .filter(name => /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name) && accepted.test(name))
      .toSorted()
      .map(name => path.join(directory, name))
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}

function partCredentials(source: AptSource): { source: AptSource; netrc: string } {
  const addresses = source.uris.map(uri => takeCredentials(uri))
  return {
    source: { ...source, uris: addresses.map(({ uri }) => uri) },
    netrc: addresses.map(({ netrcLine }) => netrcLine ?? '').join(''),
  }
}

function codenamesOf(osRelease: string): string[] {
  return ['VERSION_CODENAME', 'UBUNTU_CODENAME', 'DEBIAN_CODENAME'].flatMap(key => {
    const value = new RegExp(`^${key}="?([A-Za-z0-9._-]+)"?\\s*$`, 'm').exec(osRelease)?.[1]
    return value === undefined ? [] : [value]
  })
}
