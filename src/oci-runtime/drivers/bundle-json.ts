// kauri's configuration as config.json for another OCI runtime: its short forms are written out.

import process from 'node:process'
import type { Resources, Rlimit, RuntimeConfig, SeccompConfig } from '../../oci/runtime-config.ts'
import { defaultSeccomp } from '../../runtime/default-seccomp.ts'

/** The document; the root is the directory `rootfs` beside it. */
export function bundleJson(config: RuntimeConfig): object {
  const { linux } = config
  return {
    ...config,
    // All of it is in the first version, and older runtimes refuse numbers that they do not know.
    ociVersion: '1.0.2',
    process: { ...config.process, rlimits: (config.process.rlimits ?? []).map(plainLimit) },
    root: { path: 'rootfs', readonly: config.root.readonly },
    linux: { ...linux, resources: plainResources(linux.resources), seccomp: writtenOut(config) },
  }
}

/** runc wants to be told of every access. */
function plainResources(resources: Resources = {}): Resources {
  const devices = (resources.devices ?? []).map(rule => ({ ...rule, access: rule.access ?? 'rwm' }))
  return { ...resources, devices }
}

/** Undefined where no filter is asked for. */
export function writtenOut({ linux, process: own }: RuntimeConfig): SeccompConfig | undefined {
  const { seccomp } = linux
  if (seccomp === undefined || !('kind' in seccomp)) return seccomp
  const { fakeSync = false } = seccomp
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64'
  return defaultSeccomp({ arch, capabilities: own.capabilities.bounding, fakeSync })
}

/** Unlimited is a number with all bits set. */
function plainLimit({ type, soft, hard }: Rlimit): object {
  return { type, soft: limitNumber(soft), hard: limitNumber(hard) }
}

function limitNumber(value: number): number | bigint {
  return value < 0 || !Number.isFinite(value) ? 0xffff_ffff_ffff_ffffn : value
}
