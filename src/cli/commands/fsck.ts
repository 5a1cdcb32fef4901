// `kauri fsck`: reads the whole store and says what is wrong with it.

import { KauriError } from '../../core/errors.ts'
import { inStep } from '../../core/events.ts'
import { checkStore, type StoreFinding } from '../../store/check-store.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { humanSize } from '../human-units.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'fsck',
  summary: 'Check every blob, image and record of the store',
  details: [
    'Reads every blob, follows every image to its last layer, and names what is damaged or missing. Exits with 1 where something is.',
    'With --rebuild damaged blobs are put aside into damaged/ of the store, so that they can be pulled, loaded or built again, and everything that can be derived (unpacked trees, records of steps and layers) is dropped; the next build or run makes it anew.',
  ],
  options: [
    { long: 'rebuild', summary: 'Put damaged blobs aside and drop what can be derived again' },
  ],
  async run({ options, context }) {
    const store = openStore(context)
    const repair = options.flag('rebuild')
    const step = { id: 'fsck', title: `check ${store.root}` }
    const checked = await inStep(context.emit, step, () =>
      checkStore(store, { repair, signal: context.signal }),
    )
    const dropped = repair ? await dropAsRoot(context) : undefined
    const { findings, blobs, bytes, images } = checked
    for (const finding of findings) context.print(formatFinding(finding))
    context.print(
      `${images} images, ${blobs} blobs, ${humanSize(bytes)}: ${findings.length} findings`,
    )
    if (dropped !== undefined) context.print(`dropped ${dropped.trees} trees and their records`)
    context.printJson({ ...checked, dropped: dropped ?? null })
    return findings.every(({ repaired }) => repaired) ? 0 : 1
  },
}

function formatFinding({ rule, subject, message, repaired }: StoreFinding): string {
  return `${rule}: ${subject} ${message}${repaired ? ' (put aside)' : ''}`
}

/** Trees that somebody uses stay. */
async function dropAsRoot(context: CommandContext): Promise<{ readonly trees: number }> {
  if (process.getuid?.() !== 0)
    throw new KauriError('NOT_ROOT', 'unpacked trees are the root user’s', {
      hint: 'run fsck --rebuild as root',
    })
  const { dropDerived } = await import('../drop-derived.ts')
  return await dropDerived(context)
}
