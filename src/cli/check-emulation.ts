// Whether this machine can run the programs of another platform: natively, or through an emulator that the kernel knows.

import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { formatPlatform, hostPlatform, machineOfPlatform, type Platform } from '../oci/platform.ts'
import type { BuildPlan } from '../plan/plan.ts'

const registrations = '/proc/sys/fs/binfmt_misc'

/** Refuses plans that run programs which this machine cannot. Plans that only copy are fine. @throws UNSUPPORTED */
export function checkEmulation(plans: readonly BuildPlan[]): void {
  const host = hostPlatform()
  for (const { platform, steps } of plans.flatMap(({ stages }) => stages)) {
    const run = steps.find(step => step.kind === 'run')
    if (run === undefined || runsNatively(platform, host) || hasEmulator(platform)) continue
    throw new KauriError(
      'UNSUPPORTED',
      `this machine is ${formatPlatform(host)} and cannot run programs for ${formatPlatform(platform)}`,
      { where: run.where, hint: 'apt-get install qemu-user-static, which registers emulators' },
    )
  }
}

/** Processors that run an older architecture's programs, too. */
const alsoRuns: Readonly<Record<string, readonly string[]>> = {
  amd64: ['386'],
  arm64: ['arm'],
}

function runsNatively(platform: Platform, host: Platform): boolean {
  if (platform.os !== host.os) return false
  const { architecture } = platform
  return (
    architecture === host.architecture ||
    (alsoRuns[host.architecture]?.includes(architecture) ?? false)
  )
}

/** QEMU's names where they are not those of `uname -m`. */
const emulatorNames: Readonly<Record<string, string>> = {
  i686: 'i386',
  armv7l: 'arm',
  armv6l: 'arm',
}

/** An emulator that the kernel opened when it was registered (flag F) works in every root. */
function hasEmulator(platform: Platform): boolean {
  if (platform.os !== 'linux') return false
  const machine = machineOfPlatform(platform)
  const name = `qemu-${emulatorNames[machine] ?? machine}`
  return registeredFormats().some(
    text =>
      /^enabled$/m.test(text) &&
      /^flags: .*F/m.test(text) &&
      new RegExp(`^interpreter .*/${name}(?:-static)?$`, 'm').test(text),
  )
}

function registeredFormats(): string[] {
  try {
    return readdirSync(registrations)
      .filter(name => name !== 'register' && name !== 'status')
      .map(name => readFileSync(path.join(registrations, name), 'utf8'))
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'EACCES')) return []
    throw error
  }
}
