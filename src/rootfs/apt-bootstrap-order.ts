// In which order a freshly unpacked root is brought to life: scripts that come before unpacking, essential packages, then
// those whose preinst needs a working system, then everything else at once.

import { KauriError } from '../core/errors.ts'
import { type BootstrappedRoot, dependencyClosure } from './apt-bootstrap.ts'
import type { OpenedDeb } from './deb-unpack.ts'
import type { DpkgContainer } from './dpkg-container.ts'
import { relationNames } from './dpkg-control.ts'
import { incomingDirectory, infoName, removeIncoming, writeIncoming } from './dpkg-database.ts'
import type { Rootfs } from './rootfs.ts'

/** Configures what was unpacked. @throws PACKAGE_INSTALL_FAILED */
export async function configureBootstrap(
  root: BootstrappedRoot,
  details: ConfigureOptions,
): Promise<void> {
  const { container, options, onConfigure } = details
  const dpkg = (...args: string[]): Promise<void> =>
    container.dpkg([...options, ...args], onConfigure)
  const unpack = async (debs: readonly OpenedDeb[], ...force: string[]): Promise<void> => {
    const files = debs.map(deb => root.files.get(deb) ?? '')
    if (files.length > 0) await dpkg(...force, '--unpack', ...(await container.offer(files)))
  }
  const base = [...root.base].toSorted((a, b) => a.rank - b.rank)
  const first = base.find(({ name }) => name === 'base-passwd')
  const others = base.filter(deb => deb !== first)
  const dpkgVersion = base.find(({ name }) => name === 'dpkg')?.version ?? ''
  // Users and groups must be there before any script asks for them; its own dependencies are unpacked and work.
  if (first !== undefined) {
    await runPreinst(first, dpkgVersion, details)
    await dpkg('--force-depends', '--configure', infoName(first))
  }
  for (const deb of others) await runPreinst(deb, dpkgVersion, details)
  const colliding = root.colliding.map(({ deb }) => deb)
  await unpack(
    colliding.filter(deb => root.base.has(deb)),
    '--force-depends',
  )
  const later = [...root.deferred, ...colliding.filter(deb => !root.base.has(deb))]
  if (later.length > 0) {
    await dpkg('--no-triggers', '--configure', ...others.map(infoName))
    for (const round of unpackRounds(later, {
      all: [...root.files.keys()],
      configured: root.base,
    })) {
      if (round.configureFirst.length > 0)
        await dpkg('--no-triggers', '--configure', ...round.configureFirst.map(infoName))
      await unpack(round.debs)
    }
  }
  await dpkg('--configure', '--pending')
}

export interface ConfigureOptions {
  readonly container: DpkgContainer
  readonly root: Rootfs
  /** What dpkg is always given beside its action. */
  readonly options: readonly string[]
  readonly onConfigure: (name: string) => void
}

export interface UnpackRound {
  /** Must be configured before the round. */
  readonly configureFirst: readonly OpenedDeb[]
  readonly debs: readonly OpenedDeb[]
}

export interface RoundContext {
  readonly all: readonly OpenedDeb[]
  readonly configured: ReadonlySet<OpenedDeb>
}

/**
 * Splits packages so that all that one of them needs before unpacking (Pre-Depends, and what that depends on) is
 * unpacked by then and can be configured.
 * @throws PACKAGE_CONFLICT for packages that need one another first
 */
export function unpackRounds(debs: readonly OpenedDeb[], context: RoundContext): UnpackRound[] {
  const rounds: UnpackRound[] = []
  const configured = new Set(context.configured)
  let left = new Set(debs)
  while (left.size > 0) {
    const needs = new Map([...left].map(deb => [deb, neededBefore(deb, context.all)]))
    const ready = [...left].filter(deb => left.isDisjointFrom(needs.get(deb) ?? new Set()))
    if (ready.length === 0)
      throw new KauriError(
        'PACKAGE_CONFLICT',
        `packages need one another before they can be unpacked: ${[...left].map(({ name }) => name).join(', ')}`,
      )
    const needed = new Set(ready.flatMap(deb => [...(needs.get(deb) ?? [])]))
    const configureFirst = [...needed].filter(deb => !configured.has(deb))
    for (const deb of configureFirst) configured.add(deb)
    rounds.push({ configureFirst, debs: ready })
    left = left.difference(new Set(ready))
  }
  return rounds
}

function neededBefore(deb: OpenedDeb, all: readonly OpenedDeb[]): Set<OpenedDeb> {
  const named = relationNames(deb.control.stanza.get('Pre-Depends'))
  return named.length === 0 ? new Set() : dependencyClosure(named, all)
}

/**
 * Runs a preinst as dpkg does (deb-preinst(5)), but after the package's files are there: before that nothing could run
 * it. Every way to start a Debian root does so for essential packages, and their scripts are written for it.
 */
async function runPreinst(
  deb: OpenedDeb,
  dpkgVersion: string,
  { container, root }: ConfigureOptions,
): Promise<void> {
  if (!deb.control.files.has('preinst')) return
  {
    using tree = root.open()
    writeIncoming(tree.fd, deb)
  }
  await container.run([`${incomingDirectory}/preinst`, 'install'], {
    what: `the preinst of package ${deb.name}`,
    environment: [
      `DPKG_MAINTSCRIPT_PACKAGE=${deb.name}`,
      'DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1',
      `DPKG_MAINTSCRIPT_ARCH=${deb.architecture}`,
      'DPKG_MAINTSCRIPT_NAME=preinst',
      'DPKG_MAINTSCRIPT_DEBUG=0',
      `DPKG_RUNNING_VERSION=${dpkgVersion}`,
      'DPKG_ADMINDIR=/var/lib/dpkg',
      'DPKG_ROOT=',
    ],
  })
  using tree = root.open()
  removeIncoming(tree.fd)
}
