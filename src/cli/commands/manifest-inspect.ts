// `kauri manifest inspect`: the document of an image or an index, as it is stored.

import { KauriError } from '../../core/errors.ts'
import { getImage } from '../../image/find-image.ts'
import { isIndexType, isManifestType } from '../../oci/manifest.ts'
import { readBlob } from '../../store/verified-stream.ts'
import type { CommandSpec } from '../command.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'manifest inspect',
  summary: 'Show the manifest of an image, or the index of several',
  operands: 'NAME',
  minOperands: 1,
  maxOperands: 1,
  options: [],
  async run({ positionals: [name = ''], context }) {
    const store = openStore(context)
    const { descriptor } = await getImage(store, name)
    if (!isIndexType(descriptor.mediaType) && !isManifestType(descriptor.mediaType))
      throw new KauriError('UNSUPPORTED', `${name} is ${descriptor.mediaType}`)
    const document: unknown = JSON.parse(
      Buffer.from(await readBlob(store, descriptor)).toString('utf8'),
    )
    context.print(JSON.stringify(document, undefined, 2))
    context.printJson(document)
    return 0
  },
}
