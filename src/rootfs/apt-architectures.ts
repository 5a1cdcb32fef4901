// Machines and what Debian calls them.

import { existsSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import type { InstallRequest } from './package-requests.ts'

const machineNames: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  aarch64: 'arm64',
  armv7l: 'armhf',
  i586: 'i386',
  i686: 'i386',
  ppc64le: 'ppc64el',
  s390x: 's390x',
  riscv64: 'riscv64',
  loongarch64: 'loong64',
}

/** Debian's names: the native architecture, and those that package names ask for. @throws UNSUPPORTED */
export function requestedArchitectures(request: InstallRequest): string[] {
  const native = debianArchitecture(request.machine)
  const foreign = request.packages.flatMap(
    ({ name }) => /^[^=/:]*:([a-z0-9-]+)/.exec(name)?.[1] ?? [],
  )
  const isForeign = (name: string): boolean => !['any', 'all', 'native', native].includes(name)
  return [...new Set([native, ...foreign.filter(isForeign)])]
}

/** @throws UNSUPPORTED for a machine that Debian does not know */
function debianArchitecture(machine: string): string {
  const name = machineNames[machine]
  if (name !== undefined) return name
  throw new KauriError('UNSUPPORTED', `Debian has no name for the architecture ${machine}`)
}

/** What a processor runs beside its own programs. */
const alsoRuns: Readonly<Record<string, string>> = { amd64: 'i386', arm64: 'armhf' }

/**
 * Maintainer scripts have to run here.
 * @throws UNSUPPORTED for packages of a machine that this one cannot run, itself or by emulation
 */
export function checkMachine(machine: string, hostArchitecture: string): void {
  const wanted = debianArchitecture(machine)
  const isNative = wanted === hostArchitecture || alsoRuns[hostArchitecture] === wanted
  if (isNative || existsSync(`/proc/sys/fs/binfmt_misc/qemu-${machine}`)) return
  throw new KauriError(
    'UNSUPPORTED',
    `this machine is ${hostArchitecture} and cannot run the programs of ${wanted} packages`,
    { hint: 'build on such a machine, or install qemu-user-static and binfmt-support' },
  )
}
