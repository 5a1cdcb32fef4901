// Which runtime a word names: `builtin` is not of these; `crun`, `runc` and any path are OCI runtimes, `lxc` and `nspawn`
// have languages of their own. What is not installed is refused with the line that installs it.

import { accessSync, constants, statSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../../core/errors.ts'
import type { ContainerDriver } from './driver.ts'

/** Programs by the driver's word, and the Debian package that has them. */
const programs: Readonly<Record<string, { readonly program: string; readonly debian: string }>> = {
  crun: { program: 'crun', debian: 'crun' },
  runc: { program: 'runc', debian: 'runc' },
  lxc: { program: 'lxc-execute', debian: 'lxc' },
  nspawn: { program: 'systemd-nspawn', debian: 'systemd-container' },
}

const searchPath = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** @throws USAGE for a word that names none, PREREQUISITE_MISSING, UNSUPPORTED */
export async function findDriver(word: string): Promise<ContainerDriver> {
  if (word.includes('/')) return await ociDriverAt(path.resolve(word))
  if (/^libvirt(?:-?lxc)?$/.test(word))
    throw new KauriError(
      'UNSUPPORTED',
      'libvirt’s own LXC driver is not supported: it needs libvirtd',
      {
        hint: 'use --runtime lxc, which runs the same kind of container without a daemon, or leave --runtime out',
      },
    )
  const known = programs[word]
  if (known === undefined)
    throw new KauriError('USAGE', `there is no runtime ${JSON.stringify(word)}`, {
      hint: `use builtin, ${Object.keys(programs).join(', ')}, or the path of an OCI runtime`,
    })
  const program = searchPath.map(place => path.join(place, known.program)).find(isProgram)
  if (program === undefined)
    throw new KauriError('PREREQUISITE_MISSING', `the runtime ${word} is not installed`, {
      hint: `apt-get install ${known.debian}`,
    })
  return await driverOf(word, program)
}

async function driverOf(word: string, program: string): Promise<ContainerDriver> {
  if (word === 'lxc') return (await import('./lxc-driver.ts')).lxcDriver(program)
  if (word === 'nspawn') return (await import('./nspawn-driver.ts')).nspawnDriver(program)
  return (await import('./oci-driver.ts')).ociDriver(word, program)
}

async function ociDriverAt(program: string): Promise<ContainerDriver> {
  if (!isProgram(program))
    throw new KauriError('USAGE', `the runtime ${program} is no program`, {
      hint: 'name an OCI runtime by its path, such as /usr/bin/crun',
    })
  return (await import('./oci-driver.ts')).ociDriver(path.basename(program), program)
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
