// `kauri image append`: puts tars on top of an image as layers.

import { statSync } from 'node:fs'
import { KauriError } from '../../core/errors.ts'
import { appendLayer, wholePartsOf } from '../../image/edit-image.ts'
import { fileSource } from '../../image/file-source.ts'
import type { CommandSpec } from '../command.ts'
import { editLine, editOptions, keepEdited, openEdited } from '../edited-image.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'image append',
  summary: 'Put tars on top of an image as layers',
  details: [
    'Each tar, plain or packed with gzip, bzip2, xz or zstd, becomes a layer; files named .wh.NAME remove what is below. Prints the digest of the new image.',
  ],
  operands: 'IMAGE TAR...',
  minOperands: 2,
  options: editOptions,
  async run({ options, positionals: [name = '', ...files], context }) {
    const store = openStore(context)
    const { image } = await openEdited(store, name, options)
    const { storeLayerTar } = await import('../../image/store-layer.ts')
    let parts = await wholePartsOf(store, image)
    using batch = store.openBatch()
    for (const file of files) {
      const found = statSync(file, { throwIfNoEntry: false })
      if (!found?.isFile()) throw new KauriError('FILE_NOT_FOUND', `there is no file ${file}`)
      const source = { ...fileSource(file), name: file, totalBytes: found.size }
      const { signal, emit } = context
      const record = await storeLayerTar(batch, source, { signal, emit })
      await batch.commit({ signal })
      await store.rememberLayer(record)
      const { diffId, mediaType, digest, size } = record
      const layer = { descriptor: { mediaType, digest, size }, diffId }
      parts = appendLayer(parts, layer, editLine(`kauri image append ${file}`, options))
    }
    await keepEdited(store, parts, { options, context })
    return 0
  },
}
