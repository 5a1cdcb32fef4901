// Files that are there only while a script runs. Each is a private copy, bound read-only over the root, so that an editor
// at work on the original changes neither the running script nor what its result is remembered as.

import { chmodSync, closeSync, constants, existsSync, openSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Json } from '../../core/canonical-json.ts'
import { KauriError } from '../../core/errors.ts'
import { existsInRoot, oPath, writeFileInRoot } from '../../native/in-root.ts'
import type { Digest } from '../../oci/digest.ts'
import type { RuntimeMount } from '../../oci/runtime-config.ts'
import { guestPath, type RunStep, type TransientMount } from '../../plan/plan.ts'
import { digestContextSource } from '../context-digest.ts'
import { openContextSource } from '../context-scan.ts'
import { copyEntries, rootOwner } from '../copy-entries.ts'
import { digestStepSource, type NamedSource, openStepSource } from './open-step-source.ts'
import type { StepContext } from './step.ts'

/** The mounts of a step, and the digests of what they read from contexts; text stands in the step itself. */
export interface StepMounts {
  /** Their part of the step's key. */
  readonly reads: Json
  /** Copies everything below `directory`, which the caller removes. @throws PROCESS_FAILED where a source is no longer what was read */
  copyInto(directory: string): Promise<RuntimeMount[]>
}

/** @throws FILE_NOT_FOUND */
export async function readStepMounts(step: RunStep, context: StepContext): Promise<StepMounts> {
  const digests: (Digest | undefined)[] = []
  for (const { content } of step.mounts)
    digests.push(
      content.kind === 'text'
        ? undefined
        : await digestStepSource(context, { source: content.source, where: step.where }),
    )
  return {
    reads: digests.map(digest => digest ?? null),
    async copyInto(directory) {
      const copies: RuntimeMount[] = []
      for (const [index, mount] of step.mounts.entries()) {
        const copy = path.join(directory, String(index))
        await copyMount(mount, copy, { step, context, digest: digests[index] })
        copies.push(bindReadOnly(copy, mount.target))
      }
      return copies
    },
  }
}

interface MountOfStep {
  readonly step: RunStep
  readonly context: StepContext
  readonly digest: Digest | undefined
}

async function copyMount(
  { content }: TransientMount,
  copy: string,
  { step, context, digest }: MountOfStep,
): Promise<void> {
  const rootFd = openSync(path.dirname(copy), oPath | constants.O_DIRECTORY)
  try {
    const target = guestPath(path.basename(copy))
    if (content.kind === 'text') {
      writeFileInRoot(rootFd, target, content.text, { mode: content.mode, ...rootOwner })
      return
    }
    const named: NamedSource = { source: content.source, where: step.where }
    using source = openStepSource(context, named)
    const { signal } = context.options
    await copyEntries(source, { rootFd, target, owner: rootOwner, signal })
    using copied = openContextSource(path.dirname(copy), { context: '', path: target })
    if ((await digestContextSource(copied, signal)) === digest) return
    throw new KauriError('PROCESS_FAILED', `${source.hostPath} changed while it was read`, {
      hint: 'build again when nothing writes there',
      where: step.where,
    })
  } finally {
    closeSync(rootFd)
  }
}

function bindReadOnly(source: string, destination: string): RuntimeMount {
  return { type: 'bind', source, destination, options: ['rbind', 'ro', 'nosuid', 'nodev'] }
}

/** What a container without a network answers to; build containers are called localhost. */
const loopbackHosts = '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n'

/**
 * What names need: on the host's network its resolver and hosts, over whatever the image has there, links included; without
 * a network the names of the loopback interface, where the image has no /etc/hosts of its own. A copy, which scripts may
 * write to: as in docker, nothing of it stays.
 */
export function networkMounts(
  network: RunStep['network'],
  rootFd: number,
  directory: string,
): RuntimeMount[] {
  if (network === 'host')
    return ['/etc/resolv.conf', '/etc/hosts']
      .filter(file => existsSync(file))
      .map(file => bindFile(file, file, ['ro']))
  if (existsInRoot(rootFd, '/etc/hosts')) return []
  const hosts = path.join(directory, 'hosts')
  writeFileSync(hosts, loopbackHosts)
  chmodSync(hosts, 0o644)
  return [bindFile(hosts, '/etc/hosts', [])]
}

function bindFile(source: string, destination: string, more: readonly string[]): RuntimeMount {
  const options = ['bind', ...more, 'nosuid', 'nodev', 'noexec', 'dest-nofollow']
  return { type: 'bind', source, destination, options }
}
