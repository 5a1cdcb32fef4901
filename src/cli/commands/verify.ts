// `kauri verify`: reads an image down to the last byte of its layers.

import { inStep } from '../../core/events.ts'
import { displayName, getImage } from '../../image/find-image.ts'
import { validateImage } from '../../image/validate-image.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { isIndexType, parseIndex } from '../../oci/manifest.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import { readBlob } from '../../store/verified-stream.ts'
import type { CommandSpec } from '../command.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'verify',
  summary: 'Check everything that an image promises',
  details: [
    'Manifest, configuration and layers have the sizes and digests that name them, every layer unpacks to its diff ID, and the history tells of as many layers as there are. Of an image for several platforms, all that are stored.',
    'Prints the digests of the images that are right; fails with the first thing that is wrong.',
  ],
  operands: 'NAME...',
  minOperands: 1,
  options: [],
  async run({ positionals, context }) {
    const store = openStore(context)
    const verified: { name: string; digest: string }[] = []
    for (const text of positionals) {
      const found = await getImage(store, text)
      const name = displayName(found)
      for (const manifest of await storedManifests(store, found.descriptor)) {
        const step = { id: manifest.digest, title: `verify ${name} ${manifest.digest}` }
        await inStep(context.emit, step, () => validateImage(store, manifest, context.signal))
        context.print(`${name} ${manifest.digest}`)
        verified.push({ name, digest: manifest.digest })
      }
    }
    context.printJson(verified)
    return 0
  },
}

/** The image itself, or those of an index that are in the store. */
async function storedManifests(store: DiskStore, descriptor: Descriptor): Promise<Descriptor[]> {
  if (!isIndexType(descriptor.mediaType)) return [descriptor]
  const index = parseIndex(await readBlob(store, descriptor), `index ${descriptor.digest}`)
  const found: Descriptor[] = []
  for (const child of index.manifests)
    if (child.platform?.os !== 'unknown' && (await store.hasBlob(child.digest)))
      found.push(...(await storedManifests(store, child)))
  return found
}
