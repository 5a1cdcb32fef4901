// Compiled filters, kept on disk: compiling takes about 10 ms of a cold start, reading 5 KB none.

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { hasErrno } from '../core/errors.ts'
import type { DefaultSeccomp, RuntimeConfig, SeccompConfig } from '../oci/runtime-config.ts'
import { capabilityBits } from './capabilities.ts'
import type { MachineArch } from './default-seccomp.ts'

/** Counts up whenever default-seccomp.ts, syscall-tables.ts or seccomp-filter.ts gives other bytes; a test holds it to them. */
export const filterRevision = 1

/** The container's filter, from the cache where it is there; undefined where it has none. @throws UNSUPPORTED */
export async function seccompFilter(
  { linux: { seccomp }, process: { capabilities } }: RuntimeConfig,
  cacheDirectory: string | undefined,
): Promise<Uint8Array | undefined> {
  if (seccomp === undefined) return undefined
  if (cacheDirectory === undefined) return compile(seccomp, capabilities.bounding)
  const file = path.join(cacheDirectory, nameOf(seccomp, capabilities.bounding))
  const cached = readIfThere(file)
  if (cached !== undefined) return cached
  const filter = await compile(seccomp, capabilities.bounding)
  keep(file, filter)
  return filter
}

function nameOf(seccomp: SeccompConfig | DefaultSeccomp, capabilities: readonly string[]): string {
  if ('kind' in seccomp) {
    const sync = seccomp.fakeSync === true ? '-nosync' : ''
    return `default-${filterRevision}-${machineArch()}-${capabilityBits(capabilities).toString(16)}${sync}.bpf`
  }
  const text = JSON.stringify(seccomp, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  )
  return `${createHash('sha256').update(`${filterRevision} ${text}`).digest('hex')}.bpf`
}

async function compile(
  seccomp: SeccompConfig | DefaultSeccomp,
  capabilities: readonly string[],
): Promise<Uint8Array> {
  const { compileSeccomp } = await import('./seccomp-filter.ts')
  if (!('kind' in seccomp)) return compileSeccomp(seccomp)
  const { defaultSeccomp } = await import('./default-seccomp.ts')
  const { fakeSync = false } = seccomp
  return compileSeccomp(defaultSeccomp({ arch: machineArch(), capabilities, fakeSync }))
}

function machineArch(): MachineArch {
  return process.arch === 'arm64' ? 'arm64' : 'x64'
}

/** Whole instructions only: anything else is a torn write of a crashed machine. */
function readIfThere(file: string): Uint8Array | undefined {
  try {
    const filter = readFileSync(file)
    return filter.length > 0 && filter.length % 8 === 0 ? filter : undefined
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function keep(file: string, filter: Uint8Array): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  const temporary = `${file}.${process.pid}`
  writeFileSync(temporary, filter, { mode: 0o600 })
  renameSync(temporary, file)
}
