// `kauri image rebase`: puts what stands on one base image onto another.

import type { ImageParts } from '../../image/create-image.ts'
import { partsOf, rebase, wholePartsOf } from '../../image/edit-image.ts'
import { formatReference } from '../../oci/reference.ts'
import type { CommandSpec } from '../command.ts'
import { type EditedImage, editOptions, keepEdited, openEdited } from '../edited-image.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'image rebase',
  summary: 'Put what stands on one base image onto another',
  details: [
    'The layers above those of the old base are put onto the new one, as they are: nothing is run or unpacked. The configuration stays the image’s own. What the upper layers expect of the base, such as its package database, must be there in the new one too.',
  ],
  operands: 'IMAGE',
  minOperands: 1,
  maxOperands: 1,
  options: [
    { long: 'from', value: 'IMAGE', required: true, summary: 'The base that it stands on' },
    { long: 'onto', value: 'IMAGE', required: true, summary: 'The base that it shall stand on' },
    ...editOptions.filter(({ long }) => long !== 'message'),
  ],
  async run({ options, positionals: [name = ''], context }) {
    const store = openStore(context)
    const open = async (text: string): Promise<EditedImage> =>
      await openEdited(store, text, options)
    const [edited, from, onto] = [
      await open(name),
      await open(options.requiredText('from')),
      await open(options.requiredText('onto')),
    ]
    const image = await wholePartsOf(store, edited.image)
    const rebased = rebase(image, partsOf(from.image), partsOf(onto.image))
    await keepEdited(store, withBase(rebased, onto), { options, context })
    return 0
  },
}

/** What image-spec's annotations say of the base that an image stands on. */
function withBase(parts: ImageParts, { image, reference }: EditedImage): ImageParts {
  const { 'org.opencontainers.image.base.name': _, ...annotations } = parts.annotations ?? {}
  return {
    ...parts,
    annotations: {
      ...annotations,
      'org.opencontainers.image.base.digest': image.descriptor.digest,
      ...(reference === undefined
        ? {}
        : { 'org.opencontainers.image.base.name': formatReference(reference) }),
    },
  }
}
