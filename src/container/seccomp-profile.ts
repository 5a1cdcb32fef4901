// Seccomp profiles from files: docker's JSON form, whose conditions (capabilities, architectures, kernel) are answered
// here for this machine and container, or that of the OCI runtime configuration, which has none.

import { readFile } from 'node:fs/promises'
import { release } from 'node:os'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { SeccompConfig, SeccompRule } from '../oci/runtime-config.ts'

export interface ProfileConditions {
  /** The container's bounding set, as CAP_ names. */
  readonly capabilities: readonly string[]
  /** As Node names it. */
  readonly arch: string
}

const maxProfileBytes = 1024 * 1024

/** Reads a profile. @throws USAGE where it cannot be read or is none */
export async function readSeccompProfile(
  file: string,
  conditions: ProfileConditions,
): Promise<SeccompConfig> {
  try {
    const bytes = await readFile(file)
    if (bytes.length > maxProfileBytes) throw profileError('it is too large')
    return parseSeccompProfile(JSON.parse(bytes.toString('utf8')), conditions)
  } catch (error) {
    if (error instanceof SyntaxError || hasErrno(error, 'ENOENT', 'EISDIR', 'EACCES'))
      throw new KauriError('USAGE', `the seccomp profile ${file} cannot be read`, { cause: error })
    if (!(error instanceof KauriError) || error.code !== 'USAGE') throw error
    throw new KauriError('USAGE', `${file}: ${error.message}`, { hint: error.hint })
  }
}

/** A profile's JSON with its conditions answered. @throws USAGE */
export function parseSeccompProfile(value: unknown, conditions: ProfileConditions): SeccompConfig {
  const profile = objectOf(value, 'the profile')
  const errnoRet = numberOf(profile['defaultErrnoRet'], 'defaultErrnoRet')
  return {
    defaultAction: textOf(profile['defaultAction'], 'defaultAction'),
    ...(errnoRet === undefined ? {} : { defaultErrnoRet: errnoRet }),
    architectures: architecturesOf(profile, conditions),
    syscalls: listOf(profile['syscalls'] ?? [], 'syscalls').flatMap(item =>
      rulesOf(objectOf(item, 'a rule'), conditions),
    ),
  }
}

const archNames: Readonly<Record<string, { readonly docker: string; readonly seccomp: string }>> = {
  x64: { docker: 'amd64', seccomp: 'SCMP_ARCH_X86_64' },
  arm64: { docker: 'arm64', seccomp: 'SCMP_ARCH_AARCH64' },
}

function architecturesOf(profile: JsonObject, { arch }: ProfileConditions): readonly string[] {
  const native = archNames[arch]?.seccomp ?? ''
  if (profile['architectures'] !== undefined)
    return listOf(profile['architectures'], 'architectures').map(name =>
      textOf(name, 'architectures'),
    )
  const entries = listOf(profile['archMap'] ?? [], 'archMap').map(item => objectOf(item, 'archMap'))
  const own = entries.find(({ architecture }) => architecture === native)
  const others = listOf(own?.['subArchitectures'] ?? [], 'subArchitectures')
  return [native, ...others.map(name => textOf(name, 'subArchitectures'))]
}

function rulesOf(rule: JsonObject, conditions: ProfileConditions): readonly SeccompRule[] {
  const includes = objectOf(rule['includes'] ?? {}, 'includes')
  const excludes = objectOf(rule['excludes'] ?? {}, 'excludes')
  if (!meetsAll(includes, conditions) || meetsAny(excludes, conditions)) return []
  const names = rule['names'] === undefined ? [rule['name']] : listOf(rule['names'], 'names')
  const errnoRet = numberOf(rule['errnoRet'], 'errnoRet')
  return [
    {
      names: names.map(name => textOf(name, 'names')),
      action: textOf(rule['action'], 'action'),
      ...(errnoRet === undefined ? {} : { errnoRet }),
      args: listOf(rule['args'] ?? [], 'args').map(item => argumentOf(objectOf(item, 'args'))),
    },
  ]
}

function argumentOf(arg: JsonObject): NonNullable<SeccompRule['args']>[number] {
  const valueTwo = numberOf(arg['valueTwo'], 'valueTwo')
  return {
    index: numberOf(arg['index'], 'index') ?? 0,
    value: numberOf(arg['value'], 'value') ?? 0,
    ...(valueTwo === undefined ? {} : { valueTwo }),
    op: textOf(arg['op'], 'op'),
  }
}

/** Every condition that is there holds; all of its capabilities, one of its architectures. */
function meetsAll(condition: JsonObject, conditions: ProfileConditions): boolean {
  const { caps, arches, minKernel } = condition
  return (
    (caps === undefined || textsOf(caps).every(name => conditions.capabilities.includes(name))) &&
    (arches === undefined || textsOf(arches).includes(archNames[conditions.arch]?.docker ?? '')) &&
    (minKernel === undefined || kernelIsAtLeast(textOf(minKernel, 'minKernel')))
  )
}

/** Some condition that is there holds; one of its capabilities is enough. */
function meetsAny(condition: JsonObject, conditions: ProfileConditions): boolean {
  const { caps, arches, minKernel } = condition
  return (
    (caps !== undefined && textsOf(caps).some(name => conditions.capabilities.includes(name))) ||
    (arches !== undefined && textsOf(arches).includes(archNames[conditions.arch]?.docker ?? '')) ||
    (minKernel !== undefined && kernelIsAtLeast(textOf(minKernel, 'minKernel')))
  )
}

function kernelIsAtLeast(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [ownMajor = 0, ownMinor = 0] = release()
    .split('.')
    .map(part => Number.parseInt(part, 10))
  return ownMajor > major || (ownMajor === major && ownMinor >= minor)
}

type JsonObject = Readonly<Record<string, unknown>>

function profileError(what: string): KauriError {
  return new KauriError('USAGE', `this is no seccomp profile: ${what}`, {
    hint: 'write it as docker or the OCI runtime specification have it',
  })
}

function objectOf(value: unknown, what: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw profileError(`${what} is not an object`)
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw profileError(`${what} is not a list`)
}

function textsOf(value: unknown): readonly string[] {
  return listOf(value, 'a condition').map(item => textOf(item, 'a condition'))
}

function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  throw profileError(`${what} is not a text`)
}

function numberOf(value: unknown, what: string): number | undefined {
  if (value === undefined || typeof value === 'number') return value
  throw profileError(`${what} is not a number`)
}
