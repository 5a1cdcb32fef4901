// `kauri fsck`: reads the whole store and says what is wrong with it.

import process from 'node:process'
import { KauriError } from '../../core/errors.ts'
import { inStep } from '../../core/events.ts'
import {
  type CheckStoreOptions,
  checkStore,
  isUnrepaired,
  type StoreCheck,
} from '../../store/check-store.ts'
import { type StoreFinding, storeFinding } from '../../store/store-finding.ts'
import type { CommandContext, CommandInput, CommandSpec } from '../command.ts'
import { humanSize } from '../human-units.ts'
import { openStore } from '../open-store.ts'
import { registryOptions } from '../registry-options.ts'

export const command: CommandSpec = {
  name: 'fsck',
  summary: 'Check every blob, image and record of the store',
  details: [
    'Reads every blob, follows every image to its last layer, and names what is damaged or missing, who needs it, and what to do. Exits with 1 where something is; notes, such as records of blobs that are gone, count for nothing.',
    'With --rebuild damaged blobs are put aside into damaged/ of the store. What is lost is looked for in other packings of the same layer and in unpacked trees, with --pull also in the registries that the names of images say; only the very same bytes are taken. An index that is lost or broken is made again of the images that are found.',
    'It also makes anew what is derived: the pairs of diff IDs and digests are read from the layers; unpacked trees and records of builds are dropped, and the next build or run makes them.',
  ],
  options: [
    { long: 'rebuild', summary: 'Repair what can be repaired, and make anew what is derived' },
    { long: 'pull', summary: 'With --rebuild, ask registries for what is lost' },
    ...registryOptions,
  ],
  run: checkAll,
}

async function checkAll({ options, context }: CommandInput): Promise<number> {
  const repair = options.flag('rebuild')
  if (options.flag('pull') && !repair)
    throw new KauriError('USAGE', '--pull asks for what --rebuild puts back', {
      hint: 'write both of them',
    })
  const store = openStore(context)
  await using restoring = repair ? await openRestoring({ options, context }) : undefined
  const { signal } = context
  const how = { repair, signal, ...(restoring === undefined ? {} : { restore: restoring.restore }) }
  const step = { id: 'fsck', title: `check ${store.root}` }
  const checked = await inStep(context.emit, step, () => checkStore(store, how))
  const rebuilt = repair ? await rebuild(context, checked.broken) : undefined
  const findings = [...checked.findings, ...(rebuilt?.findings ?? [])]
  for (const finding of findings) for (const line of formatFinding(finding)) context.print(line)
  const { images, blobs, bytes, restored } = checked
  context.print(
    `${images} images, ${blobs} blobs, ${humanSize(bytes)}: ${findings.length} findings`,
  )
  if (rebuilt !== undefined)
    context.print(
      `${restored.length} blobs restored, ${rebuilt.layers} layers recorded, dropped ${rebuilt.trees} trees and their records`,
    )
  const dropped = rebuilt === undefined ? null : { trees: rebuilt.trees }
  const { broken: _, ...told } = checked
  context.printJson({ ...told, findings, dropped, recordedLayers: rebuilt?.layers ?? null })
  return findings.some(isUnrepaired) ? 1 : 0
}

interface Restoring extends AsyncDisposable {
  readonly restore: NonNullable<CheckStoreOptions['restore']>
}

/** Opens registries only where they may be asked. */
async function openRestoring({
  options,
  context,
}: Pick<CommandInput, 'options' | 'context'>): Promise<Restoring> {
  if (process.getuid?.() !== 0)
    throw new KauriError('NOT_ROOT', 'unpacked trees are the root user’s', {
      hint: 'run fsck --rebuild as root',
    })
  const { blobRestorer } = await import('../restore-blobs.ts')
  if (!options.flag('pull'))
    return { restore: blobRestorer(context, undefined), [Symbol.asyncDispose]: async () => {} }
  const { openRegistries } = await import('../registry-access.ts')
  const registries = await openRegistries(context, options)
  return {
    restore: blobRestorer(context, registries),
    [Symbol.asyncDispose]: () => registries[Symbol.asyncDispose](),
  }
}

interface Rebuilt {
  readonly trees: number
  readonly layers: number
  readonly findings: readonly StoreFinding[]
}

/** Trees that somebody uses stay, and those of broken images: nobody else may have their files. */
async function rebuild(context: CommandContext, broken: StoreCheck['broken']): Promise<Rebuilt> {
  const store = openStore(context)
  const { dropDerived } = await import('../drop-derived.ts')
  const { imageSnapshotNames } = await import('../../image/snapshot-names.ts')
  const { trees } = await dropDerived(context, await imageSnapshotNames(store, broken))
  const { rememberLayers } = await import('../../image/remember-layers.ts')
  await store.forgetLayers()
  const images = (await store.listEntries()).map(({ descriptor }) => descriptor)
  const { layers, faults } = await rememberLayers(store, images, context.signal)
  const findings = faults.map(({ digest, message }) =>
    storeFinding({ rule: 'image-incomplete', subject: digest, message, images: [digest] }),
  )
  return { trees, layers, findings }
}

function formatFinding(finding: StoreFinding): string[] {
  const { rule, severity, subject, message, repaired, hint } = finding
  const word = severity === 'note' ? `note: ${rule}` : rule
  const line = `${word}: ${subject} ${message}${repaired ? ' (repaired)' : ''}`
  return hint === undefined || repaired ? [line] : [line, `  ${hint}`]
}
