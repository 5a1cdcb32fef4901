// What `kauri cp` does: an archive is packed at one side while it is unpacked at the other.

import { closeSync, constants, openSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import type { ContainerState } from '../container/container.ts'
import {
  type ContainerView,
  openViewed,
  requireFiles,
  viewContainer,
} from '../container/container-view.ts'
import {
  type CopyInOptions,
  copyIn,
  copyOut,
  destinationAt,
  isDirectoryAt,
  type RootedPath,
} from '../container/copy-files.ts'
import { baseName, planCopy } from '../container/copy-rules.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { oPath } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import { writeArchiveTo } from './archive-sink.ts'
import type { CommandContext, CommandInput, ParsedOptions } from './command.ts'
import { type Containers, openContainers } from './container-host.ts'

/** Prints nothing. */
export async function copyCommand({
  options,
  positionals: [from = '', to = ''],
  context,
}: CommandInput): Promise<number> {
  const [source, destination] = [parsePlace(from), parsePlace(to)]
  if (source.container !== undefined && destination.container !== undefined)
    throw new KauriError('USAGE', 'copying between containers is not supported')
  const name = source.container ?? destination.container
  if (name === undefined)
    throw new KauriError('USAGE', 'must specify at least one container source', {
      hint: 'write the one in the container as CONTAINER:PATH',
    })
  const containers = await openContainers(context)
  using view = await openView(containers.get(name), containers)
  using host = hostRoot()
  const sides = { view, host, options, context }
  if (source.container === undefined) await copyInto(source.path, destination.path, sides)
  else await copyFrom(source.path, destination.path, sides)
  return 0
}

interface Place {
  readonly container: string | undefined
  readonly path: string
}

/** Paths that begin with a slash or a dot are this machine's, whatever colons they have. */
function parsePlace(text: string): Place {
  const colon = text.indexOf(':')
  if (text.startsWith('/') || text.startsWith('.') || colon < 0)
    return { container: undefined, path: text }
  return { container: text.slice(0, colon), path: text.slice(colon + 1) }
}

async function openView(state: ContainerState, containers: Containers): Promise<ContainerView> {
  return viewContainer(state, await containers.lifeHost())
}

interface HostRoot extends Disposable {
  readonly fd: number
}

function hostRoot(): HostRoot {
  const fd = openSync('/', oPath | constants.O_DIRECTORY)
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}

interface Sides {
  readonly view: ContainerView
  readonly host: HostRoot
  readonly options: ParsedOptions
  readonly context: CommandContext
}

function onHost(text: string, { host }: Sides): RootedPath {
  return { rootFd: host.fd, path: path.resolve(text), text }
}

function inContainer(text: string, { view }: Sides): RootedPath & { readonly isReadOnly: boolean } {
  const { rootFd, path: at, isReadOnly } = view.find(text)
  // Without a name a path is the root.
  return { rootFd, path: at, isReadOnly, text: text === '' ? '/' : text }
}

async function copyInto(from: string, to: string, sides: Sides): Promise<void> {
  const { context } = sides
  const target = inContainer(to, sides)
  if (target.isReadOnly)
    throw new KauriError('PERMISSION_DENIED', 'container rootfs is marked read-only')
  if (from === '-') {
    if (!isDirectoryAt(target))
      throw new KauriError('USAGE', `destination "${to}" must be a directory`)
    return await unpackStandardInput(target, sides)
  }
  const source = onHost(from, sides)
  const tar = packed(source, [], sides)
  await unpackAt(tar, { source, target, ownership: 'archive' }, context)
}

async function unpackStandardInput(target: RootedPath, { context }: Sides): Promise<void> {
  const { signal, emit } = context
  const [{ standardInput }, { decompress }] = await Promise.all([
    import('./standard-input.ts'),
    import('../layer/decompress.ts'),
  ])
  const input = standardInput(signal, 'pipe a tar into kauri cp - CONTAINER:PATH')
  const { bytes } = await decompress(input.bytes, { signal, name: 'standard input' })
  await intoDirectory(target, async fd => {
    await copyIn(bytes, fd, { signal, emit })
  })
}

async function copyFrom(from: string, to: string, sides: Sides): Promise<void> {
  const { view, options, context } = sides
  const source = inContainer(from, sides)
  requireOrdinary(source)
  const tar = packed(source, view.kernelDirectories, sides)
  if (to === '-') return await writeArchiveTo({ output: undefined, what: 'tar' }, tar, context)
  const own = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  const ownership = options.flag('archive') ? 'archive' : own
  await unpackAt(tar, { source, target: onHost(to, sides), ownership }, context)
}

function packed(
  source: RootedPath,
  without: readonly string[],
  { options, context: { signal, emit } }: Sides,
): AsyncIterable<Uint8Array> {
  return copyOut(source, { follows: options.flag('follow-link'), without, signal, emit })
}

/** What the kernel makes up as it is read has no size, and no end. */
function requireOrdinary({ rootFd, path: at, text }: RootedPath): void {
  let fd: number
  try {
    fd = native().openInRoot(rootFd, at, oPath)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return
    throw error
  }
  try {
    requireFiles(fd, text)
  } finally {
    closeSync(fd)
  }
}

interface Unpacking {
  readonly source: RootedPath
  readonly target: RootedPath
  readonly ownership: NonNullable<CopyInOptions['ownership']>
}

async function unpackAt(
  tar: AsyncIterable<Uint8Array>,
  { source, target, ownership }: Unpacking,
  { signal, emit }: CommandContext,
): Promise<void> {
  const isDirectory = isDirectoryAt(source)
  const { into, rename } = planCopy(
    { text: source.text, isDirectory },
    destinationAt(target),
    target.text,
  )
  const directory =
    into === 'destination' ? target : { ...target, path: path.posix.dirname(target.path) }
  const renaming =
    rename === undefined ? {} : { rename: { from: baseName(source.text), to: rename } }
  await intoDirectory(directory, async fd => {
    await copyIn(tar, fd, { ...renaming, ownership, signal, emit })
  })
}

async function intoDirectory(
  directory: RootedPath,
  work: (fd: number) => Promise<void>,
): Promise<void> {
  const fd = openViewed({ ...directory, isReadOnly: false })
  try {
    await work(fd)
  } finally {
    closeSync(fd)
  }
}
