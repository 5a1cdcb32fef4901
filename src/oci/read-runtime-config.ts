// Reads config.json of a bundle that another program wrote (runtime-spec v1.2.1 config.md, config-linux.md): bounded in
// size, every value checked, its path in the message. What belongs to other platforms is not looked at.

import path from 'node:path'
import { checkRuntimeConfig } from './check-runtime-config.ts'
import {
  definedMembers,
  documentPlace,
  type JsonPlace,
  listOf,
  mapOf,
  type ObjectReader,
  objectReader,
  parseJsonText,
  type ReadJson,
  readBoolean,
  readSize,
  readText,
  wrongShape,
} from './json-shape.ts'
import {
  oneOf,
  readAbsolute,
  readId,
  readPlainText,
  readProcessConfig,
  readSigned,
  readTexts,
  unique,
} from './read-process-config.ts'
import { readResources } from './read-runtime-resources.ts'
import { readSeccompConfig } from './read-seccomp-config.ts'
import type {
  DeviceNode,
  HookConfig,
  HooksConfig,
  IdMapping,
  MemoryPolicy,
  RuntimeConfig,
  RuntimeMount,
  TimeOffset,
} from './runtime-config.ts'

/** A configuration and what stands only in a bundle's form of it. */
export interface BundleConfig {
  readonly config: RuntimeConfig
  /** As written: absolute, or relative to the bundle. */
  readonly rootPath: string
  /** False where the bundle names no process; then it can be created, but not started. */
  readonly hasProcess: boolean
}

const code = 'USAGE'

/** Numbers that JavaScript would round come as bigints: seccomp compares 64 bits. */
const largeNumber = /\d{16}/

/** @throws USAGE with the path of what is wrong */
export function parseBundleConfig(bytes: Uint8Array, document = 'config.json'): BundleConfig {
  return readBundleConfig(parseExact(bytes, document), documentPlace(document, code))
}

/** Any document of the runtime's: like JSON.parse, bounded, with exact numbers. @throws USAGE */
export function parseExact(bytes: Uint8Array, document: string): unknown {
  const value = parseJsonText(bytes, documentPlace(document, code))
  const text = Buffer.from(bytes).toString('utf8')
  return largeNumber.test(text) ? JSON.parse(text, exactNumber) : value
}

function exactNumber(
  _key: string,
  value: unknown,
  context?: { readonly source?: string },
): unknown {
  const source = context?.source
  const isRounded = typeof value === 'number' && !Number.isSafeInteger(value)
  return isRounded && source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value
}

const noProcess = {
  user: { uid: 0, gid: 0 },
  args: [''],
  env: [],
  cwd: '/',
  capabilities: { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] },
  noNewPrivileges: true,
}

const readBundleConfig: ReadJson<BundleConfig> = (value, place) => {
  const config = objectReader(value, place)
  const root = objectReader(config.required('root', readAsIs), { ...place, path: 'root' })
  const process = config.optional('process', readProcessConfig)
  const read: RuntimeConfig = definedMembers({
    ociVersion: config.required('ociVersion', readVersion),
    hostname: config.optional('hostname', readPlainText) || undefined,
    domainname: config.optional('domainname', readPlainText) || undefined,
    process: process ?? noProcess,
    root: { readonly: root.optional('readonly', readBoolean) ?? false },
    mounts: config.optional('mounts', listOf(readMount)) ?? [],
    annotations: config.optional('annotations', readAnnotations),
    hooks: config.optional('hooks', readHooks),
    linux: readLinux(
      objectReader(config.optional('linux', readAsIs) ?? {}, { ...place, path: 'linux' }),
    ),
  })
  checkRuntimeConfig(read, place)
  return {
    config: read,
    rootPath: root.required('path', readRootPath),
    hasProcess: process !== undefined,
  }
}

/** Left to the reader that follows. */
const readAsIs: ReadJson<unknown> = value => value

const versionPattern = /^(\d+)\.\d+\.\d+(?:[-+][\w.+-]+)?$/

const readVersion: ReadJson<string> = (value, place) => {
  const version = readText(value, place)
  const major = versionPattern.exec(version)?.[1]
  if (major !== '1') throw wrongShape(place, 'a version 1.x.y of the runtime specification', value)
  return version
}

const readRootPath: ReadJson<string> = (value, place) => {
  const rootPath = readPlainText(value, place)
  if (rootPath === '') throw wrongShape(place, 'a directory', value)
  return rootPath
}

const readAnnotations: ReadJson<Readonly<Record<string, string>>> = (value, place) => {
  const annotations = mapOf(readText)(value, place)
  if ('' in annotations) throw wrongShape(place, 'keys that are not empty', '')
  return annotations
}

/** Relative destinations are an old form, and mean the root (config.md#mounts). */
const readMount: ReadJson<RuntimeMount> = (value, place) => {
  const mount = objectReader(value, place)
  const destination = mount.required('destination', readPlainText)
  if (destination === '') throw wrongShape(place, 'a destination', destination)
  const uidMappings = mount.optional('uidMappings', readMappings)
  const gidMappings = mount.optional('gidMappings', readMappings)
  if ((uidMappings === undefined) !== (gidMappings === undefined))
    throw wrongShape(place, 'both uidMappings and gidMappings', value)
  return definedMembers({
    destination: path.posix.resolve('/', destination),
    type: mount.optional('type', readPlainText) ?? '',
    source: mount.optional('source', readPlainText) ?? '',
    options: mount.optional('options', readTexts) ?? [],
    uidMappings,
    gidMappings,
  })
}

const readMapping: ReadJson<IdMapping> = (value, place) => {
  const mapping = objectReader(value, place)
  const size = mapping.required('size', readSize)
  if (size < 1 || size > 0xffff_ffff) throw wrongShape(place, 'a size from 1', value)
  return {
    containerID: mapping.required('containerID', readId),
    hostID: mapping.required('hostID', readId),
    size,
  }
}

/** The kernel takes 340 lines; an empty list says nothing. */
const readMappings: ReadJson<readonly IdMapping[] | undefined> = (value, place) => {
  const mappings = listOf(readMapping)(value, place)
  if (mappings.length > 340) throw wrongShape(place, 'at most 340 mappings', mappings.length)
  return mappings.length === 0 ? undefined : mappings
}

const readHook: ReadJson<HookConfig> = (value, place) => {
  const hook = objectReader(value, place)
  return definedMembers({
    path: hook.required('path', readAbsolute),
    args: hook.optional('args', readTexts),
    env: hook.optional('env', readTexts),
    timeout: hook.optional('timeout', readTimeout),
  })
}

const readTimeout: ReadJson<number> = (value, place) => {
  const seconds = readSize(value, place)
  if (seconds === 0) throw wrongShape(place, 'seconds from 1', value)
  return seconds
}

const readHooks: ReadJson<HooksConfig> = (value, place) => {
  const hooks = objectReader(value, place)
  const list = (name: string): readonly HookConfig[] | undefined =>
    hooks.optional(name, listOf(readHook))
  return definedMembers({
    prestart: list('prestart'),
    createRuntime: list('createRuntime'),
    createContainer: list('createContainer'),
    startContainer: list('startContainer'),
    poststart: list('poststart'),
    poststop: list('poststop'),
  })
}

const namespaceTypes = ['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'] as const

const readNamespace: ReadJson<RuntimeConfig['linux']['namespaces'][number]> = (value, place) => {
  const namespace = objectReader(value, place)
  return definedMembers({
    type: namespace.required('type', oneOf(namespaceTypes)),
    path: namespace.optional('path', (text, at) =>
      text === '' ? undefined : readAbsolute(text, at),
    ),
  })
}

const readDevice: ReadJson<DeviceNode> = (value, place) => {
  const device = objectReader(value, place)
  const type = device.required('type', oneOf(['b', 'c', 'u', 'p'] as const))
  const number = (name: string): number | undefined =>
    type === 'p' ? device.optional(name, readSigned) : device.required(name, readSize)
  return definedMembers({
    path: path.posix.resolve(device.required('path', readAbsolute)),
    type: type === 'u' ? 'c' : type,
    major: number('major'),
    minor: number('minor'),
    fileMode: device.optional('fileMode', readSize),
    uid: device.optional('uid', readId),
    gid: device.optional('gid', readId),
  })
}

const propagations = ['shared', 'slave', 'private', 'unbindable'].flatMap(word => [
  word,
  `r${word}`,
])

const readPropagation: ReadJson<string | undefined> = (value, place) =>
  value === '' ? undefined : oneOf(propagations)(value, place)

/** `/a/b`, `a/b`, or systemd's `slice:prefix:name`; never a step upward (CVE-2022-0811 was led that way). */
const readCgroupsPath: ReadJson<string | undefined> = (value, place) => {
  const cgroup = readPlainText(value, place)
  if (cgroup.split('/').includes('..')) throw wrongShape(place, 'a path without ..', value)
  if (/[\n\r]/.test(cgroup)) throw wrongShape(place, 'a path of one line', value)
  return cgroup === '' ? undefined : cgroup
}

const readTimeOffset: ReadJson<TimeOffset> = (value, place) => {
  const offset = objectReader(value, place)
  return definedMembers({
    secs: offset.optional('secs', readSigned),
    nanosecs: offset.optional('nanosecs', readSize),
  })
}

const memoryModes = 'DEFAULT BIND INTERLEAVE WEIGHTED_INTERLEAVE PREFERRED PREFERRED_MANY LOCAL'
  .split(' ')
  .map(name => `MPOL_${name}`)

const memoryFlags = ['NUMA_BALANCING', 'RELATIVE_NODES', 'STATIC_NODES'].map(
  name => `MPOL_F_${name}`,
)

const readMemoryPolicy: ReadJson<MemoryPolicy> = (value, place) => {
  const policy = objectReader(value, place)
  return definedMembers({
    mode: policy.required('mode', oneOf(memoryModes)),
    nodes: policy.optional('nodes', readText) || undefined,
    flags: policy.optional('flags', listOf(oneOf(memoryFlags))),
  })
}

const readPersonality: ReadJson<NonNullable<RuntimeConfig['linux']['personality']>> = (
  value,
  place,
) => {
  const personality = objectReader(value, place)
  const flags = personality.optional('flags', readTexts) ?? []
  if (flags.length > 0) throw wrongShape(place, 'no flags, of which none is defined', flags)
  return { domain: personality.required('domain', oneOf(['LINUX', 'LINUX32'] as const)) }
}

/** Nothing here can apply them, and an agreed property must not be passed over. */
function refuseForeign(linux: ObjectReader): void {
  for (const name of ['intelRdt', 'netDevices']) {
    const value = linux.optional(name, readAsIs)
    if (typeof value === 'object' && value !== null && Object.keys(value).length > 0)
      throw wrongShape(nested(linux.place, name), 'nothing, as this runtime cannot apply it', value)
  }
}

function nested(place: JsonPlace, name: string): JsonPlace {
  return { ...place, path: `${place.path}.${name}` }
}

function readLinux(linux: ObjectReader): RuntimeConfig['linux'] {
  refuseForeign(linux)
  const namespaces = unique(listOf(readNamespace), ({ type }) => type)
  return definedMembers({
    namespaces: linux.optional('namespaces', namespaces) ?? [],
    uidMappings: linux.optional('uidMappings', readMappings),
    gidMappings: linux.optional('gidMappings', readMappings),
    timeOffsets: linux.optional('timeOffsets', mapOf(readTimeOffset)),
    rootfsPropagation: linux.optional('rootfsPropagation', readPropagation),
    mountLabel: linux.optional('mountLabel', readPlainText) || undefined,
    personality: linux.optional('personality', readPersonality),
    memoryPolicy: linux.optional('memoryPolicy', readMemoryPolicy),
    resources: linux.optional('resources', readResources),
    cgroupsPath: linux.optional('cgroupsPath', readCgroupsPath),
    seccomp: linux.optional('seccomp', readSeccompConfig),
    maskedPaths: linux.optional('maskedPaths', listOf(readAbsolute)) ?? [],
    readonlyPaths: linux.optional('readonlyPaths', listOf(readAbsolute)) ?? [],
    sysctl: linux.optional('sysctl', mapOf(readPlainText)),
    devices: linux.optional('devices', listOf(readDevice)) ?? [],
  })
}
