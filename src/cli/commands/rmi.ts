// `kauri rmi`: takes names away, and with the last one the image: its blobs and its unpacked trees.

import process from 'node:process'
import { KauriError } from '../../core/errors.ts'
import { getImage } from '../../image/find-image.ts'
import { imageSnapshotNames } from '../../image/snapshot-names.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { familiarName, formatFamiliar, type Reference } from '../../oci/reference.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import type { CommandContext, CommandInput, CommandSpec } from '../command.ts'
import { containersOf } from '../gc-images.ts'
import { openStore } from '../open-store.ts'
import { openTrees } from '../open-trees.ts'

export const command: CommandSpec = {
  name: 'rmi',
  summary: 'Remove images',
  operands: 'IMAGE...',
  minOperands: 1,
  options: [
    {
      long: 'force',
      short: 'f',
      summary:
        'Remove an image by its ID under all its names, also where a container was made from it; ignore what is not there',
    },
  ],
  run: removeImages,
}

interface Removal {
  readonly untagged: readonly string[]
  readonly deleted: string | undefined
}

/** Every name is tried; the first failure is thrown at the end. */
async function removeImages({ options, positionals, context }: CommandInput): Promise<number> {
  const store = openStore(context)
  const isForced = options.flag('force')
  const removals: Removal[] = []
  const failures: unknown[] = []
  for (const name of positionals) {
    try {
      const removal = await removeImage(store, name, { isForced, context })
      for (const untagged of removal.untagged) context.print(`Untagged: ${untagged}`)
      if (removal.deleted !== undefined) context.print(`Deleted: ${removal.deleted}`)
      removals.push(removal)
    } catch (error) {
      if (!(isForced && error instanceof KauriError && error.code === 'IMAGE_NOT_FOUND'))
        failures.push(error)
    }
  }
  context.printJson(removals)
  const [first] = failures
  if (first !== undefined) throw first
  return 0
}

interface RemoveOptions {
  readonly isForced: boolean
  readonly context: CommandContext
}

async function removeImage(
  store: DiskStore,
  name: string,
  { isForced, context }: RemoveOptions,
): Promise<Removal> {
  const { reference, descriptor, memberOf } = await getImage(store, name)
  if (memberOf !== undefined) throw partOfIndex(name, descriptor, memberOf)
  const names = await store.namesOf(descriptor.digest)
  const going = reference === undefined ? names : [reference]
  if (reference === undefined && !isForced) requireOneRepository(name, names)
  if (reference !== undefined && names.length > 1) {
    await store.untagImage(reference)
    return { untagged: [formatFamiliar(reference)], deleted: undefined }
  }
  if (!isForced) await requireUnused(store, descriptor, { name, context })
  const trees = await imageSnapshotNames(store, [descriptor])
  await store.dropImage(descriptor.digest)
  await store.collectGarbage({ graceMs: 0, within: [descriptor], signal: context.signal })
  await dropTrees(store, trees, context)
  return { untagged: going.map(formatFamiliar), deleted: descriptor.digest }
}

function partOfIndex(name: string, { digest }: Descriptor, index: Digest): KauriError {
  return new KauriError('USAGE', `${name} is part of the index ${index}`, {
    hint: `remove that, or take it out with kauri manifest rm NAME ${digest}`,
  })
}

/** @throws NAME_IN_USE where a container was made from it, running or not */
async function requireUnused(
  store: DiskStore,
  descriptor: Descriptor,
  { name, context }: { readonly name: string; readonly context: CommandContext },
): Promise<void> {
  const [user] = await containersOf(store, context.dataRoot, descriptor)
  if (user === undefined) return
  throw new KauriError('NAME_IN_USE', `the container ${user} was made from the image ${name}`, {
    hint: 'remove the container first, or the image with --force; the container keeps its files',
  })
}

function requireOneRepository(name: string, names: readonly Reference[]): void {
  const repositories = new Set(names.map(familiarName))
  if (repositories.size > 1)
    throw new KauriError('USAGE', `${name} has the names ${names.map(formatFamiliar).join(', ')}`, {
      hint: 'remove them one by one, or all with --force',
    })
}

/** Trees belong to root. What a container still stands on stays until garbage collection finds it unused. */
async function dropTrees(
  store: DiskStore,
  names: ReadonlySet<string>,
  context: CommandContext,
): Promise<void> {
  if (process.getuid?.() !== 0 || names.size === 0) return
  const { collectSnapshots } = await import('../../rootfs/collect-snapshots.ts')
  const trees = await openTrees(context)
  // Asking each of ten thousand images what it stands on takes two seconds.
  if (!(await trees.list()).some(({ id }) => names.has(id))) return
  const keep = await imageSnapshotNames(
    store,
    (await store.listEntries()).map(image => image.descriptor),
  )
  await collectSnapshots(trees, { keep, within: names, usedBeforeMs: Number.POSITIVE_INFINITY })
}
