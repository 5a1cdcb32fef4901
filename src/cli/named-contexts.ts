// --build-context NAME=VALUE: directories, images, layouts and addresses that a Dockerfile reads from by name.

import { statSync } from 'node:fs'
import path from 'node:path'
import type { RemoteSources } from '../build/remote-source.ts'
import { openScratchDirectory } from '../build/scratch-directory.ts'
import { KauriError } from '../core/errors.ts'
import type { NamedContext } from '../dockerfile/lower-options.ts'
import { findContextAddress } from '../dockerfile/source-address.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { formatFamiliar, parseReference } from '../oci/reference.ts'
import type { PlanContext } from '../plan/plan.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { CommandContext } from './command.ts'
import { findIgnoreFile } from './dockerfile-file.ts'
import { badValue } from './option-values.ts'
import type { MadeSeconds } from './remote-context.ts'

/** Everything that names stand for; disposing removes what was downloaded. */
export interface NamedContexts extends AsyncDisposable {
  readonly named: ReadonlyMap<string, NamedContext>
  /** Directories, for the plan. */
  readonly contexts: Readonly<Record<string, PlanContext>>
  /** Images of layouts, by the text that `named` has for them. */
  readonly layouts: ReadonlyMap<string, Descriptor>
  /** When those of `contexts` were made that came from elsewhere. */
  readonly times: ReadonlyMap<string, MadeSeconds>
}

export interface NamedContextParts {
  readonly remoteSources: RemoteSources
  readonly store: DiskStore
  readonly command: Pick<CommandContext, 'dataRoot' | 'signal' | 'emit'>
}

/** @throws USAGE, FILE_NOT_FOUND, REFERENCE_INVALID, DOWNLOAD_FAILED */
export async function openNamedContexts(
  texts: readonly string[],
  parts: NamedContextParts,
): Promise<NamedContexts> {
  await using stack = new AsyncDisposableStack()
  const named = new Map<string, NamedContext>()
  const contexts: Record<string, PlanContext> = {}
  const layouts = new Map<string, Descriptor>()
  const times = new Map<string, MadeSeconds>()
  for (const text of texts.filter(Boolean)) {
    const { name, value } = splitContext(text)
    const found = await openNamed(name, value, { parts, stack })
    named.set(name, found.named)
    if (found.context !== undefined) contexts[contextName(name)] = found.context
    if (found.madeSeconds !== undefined) times.set(contextName(name), found.madeSeconds)
    if (found.layout !== undefined) layouts.set(value, found.layout)
  }
  const kept = stack.move()
  return { named, contexts, layouts, times, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** Names of images are normal forms: `busybox:latest` is `busybox`. */
function splitContext(text: string): { readonly name: string; readonly value: string } {
  const equals = text.indexOf('=')
  if (equals <= 0) throw badValue('--build-context', text, 'write NAME=VALUE')
  const [image = '', ...platform] = text.slice(0, equals).split('::')
  const familiar = formatFamiliar(parseReference(image)).replace(/:latest$/, '')
  return { name: [familiar, ...platform].join('::'), value: text.slice(equals + 1) }
}

function contextName(name: string): string {
  return `context ${name}`
}

interface FoundNamed {
  readonly named: NamedContext
  readonly context?: PlanContext
  readonly layout?: Descriptor
  readonly madeSeconds?: MadeSeconds
}

interface OpenNamed {
  readonly parts: NamedContextParts
  readonly stack: AsyncDisposableStack
}

async function openNamed(name: string, value: string, open: OpenNamed): Promise<FoundNamed> {
  const image = /^docker-image:(?:\/\/)?(.+)$/.exec(value)?.[1]
  if (image !== undefined) {
    if (image !== 'scratch') parseReference(image)
    return { named: { kind: 'image', reference: image } }
  }
  const layout = /^oci-layout:(?:\/\/)?(.+)$/.exec(value)?.[1]
  if (layout !== undefined) {
    // Nothing names the image yet, and nobody may collect it while the build works.
    open.stack.use(open.parts.store.openBatch())
    return {
      named: { kind: 'oci-layout', reference: value },
      layout: await openLayout(layout, open.parts),
    }
  }
  if (value.startsWith('target:'))
    throw new KauriError('UNSUPPORTED', `--build-context ${name}: kauri knows no bake targets`)
  const directory = await openDirectory(name, value, open)
  return { named: { kind: 'directory', context: contextName(name) }, ...directory }
}

/** `DIR`, `DIR:TAG`, `DIR@DIGEST`. */
async function openLayout(
  text: string,
  { store, command }: NamedContextParts,
): Promise<Descriptor> {
  const [, directory = '', tag, digest] =
    /^(.*?)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(text) ?? []
  const { copyFromLayout } = await import('../image/layout-image.ts')
  const { signal } = command
  return await copyFromLayout(store, path.resolve(directory), { tag, digest, signal })
}

async function openDirectory(
  name: string,
  value: string,
  { parts, stack }: OpenNamed,
): Promise<Pick<FoundNamed, 'context' | 'madeSeconds'>> {
  const { command, remoteSources } = parts
  const { signal, emit } = command
  const found = statSync(value, { throwIfNoEntry: false })
  const address = found === undefined ? findContextAddress(value) : undefined
  if (address !== undefined) {
    const { directoryWithFile, fetchFile, fetchTree, gitSourceOf } = await import(
      './remote-context.ts'
    )
    const options = { signal, emit }
    if (address.kind === 'git') {
      const tree = await fetchTree(gitSourceOf(address), remoteSources, options)
      return { context: { directory: tree.directory }, madeSeconds: tree.madeSeconds }
    }
    const scratch = stack.use(await openScratchDirectory(command.dataRoot)).path
    const file = await fetchFile(address.url, remoteSources, options)
    const directory = directoryWithFile(file, scratch, 'files')
    return { context: { directory }, madeSeconds: file.madeSeconds }
  }
  if (found === undefined)
    throw new KauriError(
      'FILE_NOT_FOUND',
      `failed to get build context ${name}: stat ${value}: no such file or directory`,
    )
  if (!found.isDirectory())
    throw new KauriError('USAGE', `failed to get build context path ${value}: not a directory`)
  const directory = path.resolve(value)
  const ignore = await findIgnoreFile(directory)
  return { context: { directory, ...(ignore === undefined ? {} : { ignore }) } }
}
