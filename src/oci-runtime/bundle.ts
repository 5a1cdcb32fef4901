// Bundles of other programs: a directory with config.json and a root (runtime-spec v1.2.1 bundle.md), read once, when
// the container is created. What the specification asks of a runtime beyond the file's words is added here.

import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { parseBundleConfig } from '../oci/read-runtime-config.ts'
import type { DeviceRule, RuntimeConfig, RuntimeMount } from '../oci/runtime-config.ts'

/** A bundle, ready to be created. */
export interface OciBundle {
  /** Absolute. */
  readonly directory: string
  /** Absolute. */
  readonly rootPath: string
  readonly config: RuntimeConfig
  /** False: it can be created, but not started. */
  readonly hasProcess: boolean
}

/** @throws USAGE for a bundle that is not whole */
export function readBundle(directory: string, configFile = 'config.json'): OciBundle {
  const bundle = path.resolve(directory)
  const file = path.resolve(bundle, configFile)
  const { config, rootPath, hasProcess } = parseBundleConfig(readConfig(file), file)
  const root = path.resolve(bundle, rootPath)
  if (!isDirectory(root))
    throw new KauriError('USAGE', `the root ${root} of the bundle is not a directory`)
  return { directory: bundle, rootPath: root, config: completed(config, bundle), hasProcess }
}

function readConfig(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) throw error
    throw new KauriError('USAGE', `there is no configuration ${file}: no such file or directory`, {
      hint: 'name the bundle with --bundle',
      cause: error,
    })
  }
}

function isDirectory(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() === true
}

function completed(config: RuntimeConfig, bundle: string): RuntimeConfig {
  const { linux } = config
  const devices = [...(linux.resources?.devices ?? denyAll), ...defaultRules]
  return {
    ...config,
    mounts: config.mounts.map(mount => withAbsoluteSource(mount, bundle)),
    linux: { ...linux, resources: { ...linux.resources, devices } },
  }
}

/** Sources of binds may be relative to the bundle (config.md#mounts). */
function withAbsoluteSource(mount: RuntimeMount, bundle: string): RuntimeMount {
  const isBind = mount.type === 'bind' || mount.options.some(word => /^r?bind$/.test(word))
  return isBind ? { ...mount, source: path.resolve(bundle, mount.source) } : mount
}

const denyAll: readonly DeviceRule[] = [{ allow: false, access: 'rwm' }]

/** The devices that every container has (config-linux.md#default-devices); nodes of others may be made, but not opened. */
const defaultRules: readonly DeviceRule[] = [
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  ...['1:3', '1:5', '1:7', '1:8', '1:9', '5:0', '5:1', '5:2'].map(characterDevice),
  { allow: true, type: 'c', major: 136, access: 'rwm' },
]

/** `MAJOR:MINOR` */
function characterDevice(numbers: string): DeviceRule {
  const [major = 0, minor = 0] = numbers.split(':').map(Number)
  return { allow: true, type: 'c', major, minor, access: 'rwm' }
}
