// Runs the image's own dpkg inside its root: no network, docker's rights, a clean environment, and services that stay
// down. What keeps them down is mounted while it runs and never part of the tree.

import { randomUUID } from 'node:crypto'
import { chmod, link, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import type { RuntimeMount } from '../oci/runtime-config.ts'
import type { PackageRequest } from '../plan/plan.ts'
import { buildStepConfig } from '../runtime/build-step-config.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { plainName } from './apt-failure.ts'
import type { PackageWork } from './package-manager.ts'
import type { Rootfs } from './rootfs.ts'

export interface DpkgContainerOptions {
  readonly runtime: Runtime
  readonly root: Rootfs
  readonly work: PackageWork
  /** A private directory on the file system of the package cache. */
  readonly directory: string
  /** For the positions of packages that fail. */
  readonly requests: readonly PackageRequest[]
  /** What maintainer scripts find as SOURCE_DATE_EPOCH, so that dates they write do not depend on the day of the build. */
  readonly epochSeconds: number
  /** Where the root has start-stop-daemon; undefined: nowhere, or dpkg is about to replace it. */
  readonly startStopDaemon: string | undefined
}

export interface DpkgContainer {
  /** Makes package files visible to dpkg; their paths inside, in order. */
  offer(files: readonly string[]): Promise<string[]>
  /** dpkg with these arguments. @throws PACKAGE_INSTALL_FAILED with the package and its last output */
  dpkg(args: readonly string[], onConfigure?: (name: string) => void): Promise<void>
  /** Any program; @throws PACKAGE_INSTALL_FAILED unless it exits with 0 */
  run(command: readonly string[], options: ProgramOptions): Promise<void>
}

export interface ProgramOptions {
  /** What messages call it. */
  readonly what: string
  readonly environment?: readonly string[]
}

/** Where the helpers are seen inside; /run is on no disk of a running system. */
const insidePath = '/run/.kauri'
const keptLines = 200

/** Keeps services down (invoke-rc.d's policy interface), and init scripts that ask nobody. */
const shims: Readonly<Record<string, string>> = {
  'policy-rc.d': '#!/bin/sh\nexit 101\n',
  'start-stop-daemon':
    '#!/bin/sh\necho "start-stop-daemon: not while an image is built" >&2\nexit 0\n',
  initctl: '#!/bin/sh\n[ "$1" = version ] && exec echo "initctl (upstart 0.0)"\nexit 0\n',
  // libc6 and others ask it whether there is an init to be restarted; a root under construction has none.
  ischroot: '#!/bin/sh\nexit 0\n',
}

/** Prepares the helpers. Close every OpenTree of the root before dpkg runs. */
export async function openDpkgContainer(options: DpkgContainerOptions): Promise<DpkgContainer> {
  const directory = path.join(options.directory, `inside-${randomUUID()}`)
  await makeHelpers(directory)
  const mounts = helperMounts(directory, options.startStopDaemon)
  let offered = 0
  return {
    async offer(files) {
      const inside: string[] = []
      for (const file of files) {
        const name = `${offered++}.deb`
        await link(file, path.join(directory, 'debs', name))
        inside.push(`${insidePath}/debs/${name}`)
      }
      return inside
    },
    async dpkg(args, onConfigure) {
      const command = ['dpkg', '--abort-after=1', '--log=/dev/null', ...args]
      const { code, lines } = await runInside(
        options,
        { command, environment: [], mounts },
        line => {
          const name = /^Setting up (\S+) \(/.exec(line)?.[1]
          if (name !== undefined) onConfigure?.(name)
        },
      )
      if (code !== 0) throw dpkgError(code, lines, options.requests)
    },
    async run(command, { what, environment = [] }) {
      const { code, lines } = await runInside(options, { command, environment, mounts })
      if (code === 0) return
      const output = lines.slice(-20).join('\n')
      throw new KauriError(
        'PACKAGE_INSTALL_FAILED',
        `${what} failed with exit code ${code}${output === '' ? '' : `:\n${output}`}`,
      )
    },
  }
}

interface InsideProgram {
  readonly command: readonly string[]
  readonly environment: readonly string[]
  readonly mounts: readonly RuntimeMount[]
}

/** Runs a program to its end; its last lines come back with its exit code. */
async function runInside(
  { runtime, root, work, epochSeconds }: DpkgContainerOptions,
  { command, environment, mounts }: InsideProgram,
  onLine?: (line: string) => void,
): Promise<{ code: number; lines: readonly string[] }> {
  const lines: string[] = []
  const config = buildStepConfig({
    command,
    environment: [...baseEnvironment(epochSeconds), ...environment],
    directory: '/',
    network: 'none',
    mounts,
  })
  const exit = await runtime.run(
    { id: `dpkg-${randomUUID()}`, config, root: root.mount },
    {
      signal: work.signal,
      io: {
        kind: 'lines',
        onLine(line) {
          lines.push(line)
          if (lines.length > keptLines) lines.shift()
          work.emit({ kind: 'step-output', id: work.stepId, line })
          onLine?.(line)
        },
      },
    },
  )
  return { code: exit.code, lines }
}

async function makeHelpers(directory: string): Promise<void> {
  for (const name of ['bin', 'debs'])
    await mkdir(path.join(directory, name), { recursive: true, mode: 0o755 })
  for (const [name, text] of Object.entries(shims)) {
    const file = path.join(directory, 'bin', name)
    await writeFile(file, text)
    await chmod(file, 0o755)
  }
}

function helperMounts(directory: string, startStopDaemon: string | undefined): RuntimeMount[] {
  const shim = (name: string): string => path.join(directory, 'bin', name)
  return [
    bindMount(directory, insidePath),
    bindMount(shim('policy-rc.d'), '/usr/sbin/policy-rc.d'),
    ...(startStopDaemon === undefined
      ? []
      : [bindMount(shim('start-stop-daemon'), startStopDaemon)]),
  ]
}

function bindMount(source: string, destination: string): RuntimeMount {
  return { type: 'bind', source, destination, options: ['rbind', 'ro', 'nosuid', 'nodev'] }
}

function baseEnvironment(epochSeconds: number): string[] {
  return [
    `PATH=${insidePath}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    'HOME=/root',
    'LC_ALL=C',
    'LANGUAGE=C',
    'TERM=dumb',
    'DEBIAN_FRONTEND=noninteractive',
    'DEBCONF_NONINTERACTIVE_SEEN=true',
    `SOURCE_DATE_EPOCH=${epochSeconds}`,
  ]
}

/** The failed package with what its scripts said, from the line where dpkg began with it. */
function dpkgError(
  exitCode: number,
  lines: readonly string[],
  requests: readonly PackageRequest[],
): KauriError {
  const failed = lines.findIndex(line => /^dpkg: error processing (?:package|archive) /.test(line))
  const [, subject = ''] =
    /^dpkg: error processing (?:package|archive) (\S+)/.exec(lines[failed] ?? '') ?? []
  const name = subject.startsWith('/') ? (unpackedName(lines, failed) ?? subject) : subject
  const start = lines.findLastIndex(
    (line, index) =>
      index < failed && /^(?:Setting up|Preparing to unpack|Unpacking|Removing) /.test(line),
  )
  const output =
    failed < 0 ? lines.slice(-20) : lines.slice(Math.max(start, failed - 30, 0), failed + 3)
  const request = requests.find(entry => plainName(entry.name) === name.replace(/:.*/, ''))
  const what =
    name === '' ? `dpkg failed with exit code ${exitCode}` : `package ${name} cannot be installed`
  const isFull = lines.some(line => line.includes('No space left on device'))
  const code = isFull ? 'DISK_FULL' : 'PACKAGE_INSTALL_FAILED'
  return new KauriError(code, `${what}:\n${output.join('\n')}`, {
    hint: isFull ? 'free space, or put the state elsewhere with --data-root DIR' : undefined,
    where: request?.where,
  })
}

function unpackedName(lines: readonly string[], before: number): string | undefined {
  const line = lines.findLast((text, index) => index <= before && text.startsWith('Unpacking '))
  return /^Unpacking (\S+)/.exec(line ?? '')?.[1]
}
